//! Build steps that cargo alone cannot do: `cargo run --release -p xtask -- image`.

mod docs;
mod guest;
mod ids;
mod image;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run --release -p xtask -- COMMAND

  image [--force]     builds the JavaScript guest for wasm32-unknown-unknown and writes crates/cell/image/js.wasm;
                      does nothing when its inputs have not changed, unless forced
  ids FILE [--names]  reads the output of `cargo test` and prints which requirements hold; with --names, by which tests
  docs                writes the documentation that is a list in the code";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["image"] => image::make(false),
        ["image", "--force"] => image::make(true),
        ["ids", file] => ids(file, false),
        ["ids", file, "--names"] | ["ids", "--names", file] => ids(file, true),
        ["docs"] => docs::write(),
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

fn ids(file: &str, names: bool) -> Result<(), String> {
    let output = std::fs::read(file).map_err(|error| format!("cannot read `{file}`: {error}"))?;
    let report = ids::Report::read(&String::from_utf8_lossy(&output));
    print!("{}", report.show(names));
    if report.is_good() { Ok(()) } else { Err("not every requirement that has tests holds".to_owned()) }
}
