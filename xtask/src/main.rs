//! Build steps that cargo alone cannot do: `cargo run --release -p xtask -- image`.

mod guest;
mod image;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run --release -p xtask -- image [--force]

  image    builds the JavaScript guest for wasm32-unknown-unknown and writes crates/cell/image/js.wasm;
           does nothing when its inputs have not changed
  --force  builds it in any case";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["image"] => image::make(false),
        ["image", "--force"] => image::make(true),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
