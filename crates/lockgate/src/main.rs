//! The `lockgate` command.

// A `println!` panics where nobody reads; `cli::streams` says what happens instead.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
