//! Measures how long a jailed worker takes from the gate's request to its first answer.
//!
//! `cargo run --release -p lockgate-wall --example fork_latency [ROUNDS] [ZYGOTE_MIB]`
//!
//! Prints one JSON object: for each jail the percentiles in microseconds of `fork` (until the worker
//! has reported its walls) and of `answer` (until it has also echoed a byte), over ROUNDS workers
//! (300 by default), forked from a zygote that holds ZYGOTE_MIB MiB of touched memory (8 by
//! default, about what a Wasm engine with one image holds).

use std::error::Error;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Instant;

use lockgate_wall::{JailSpec, Wall, WallSet, Zygote, ZygoteOptions};

/// The hidden subcommand.
const WORKER: &str = "worker";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == WORKER) {
        return worker(&arguments[1..]);
    }
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn worker(arguments: &[String]) -> ExitCode {
    let mebibytes: usize = arguments.first().and_then(|word| word.parse().ok()).unwrap_or(0);
    lockgate_wall::zygote::main(
        || Ok(vec![1u8; mebibytes << 20]),
        |_memory| Ok(()),
        |_memory, (), socket, _walls| echo(socket),
    )
}

fn echo(mut socket: UnixStream) -> u8 {
    let mut byte = [0];
    while socket.read_exact(&mut byte).and_then(|()| socket.write_all(&byte)).is_ok() {}
    0
}

fn measure(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let rounds: usize = arguments.first().map_or(Ok(300), |word| word.parse())?;
    let mebibytes: OsString = arguments.get(1).map_or("8".into(), Into::into);
    let exe = std::env::current_exe()?;
    let start = Instant::now();
    let zygote = Zygote::start(&exe, &[WORKER.into(), mebibytes.clone()], &ZygoteOptions::default())?;
    let started = start.elapsed().as_micros();
    let all = WallSet::all();
    let jails = [
        ("no wall", WallSet::none()),
        ("without namespaces", all.minus(WallSet::namespaces())),
        ("every wall but net_ns", all.without(Wall::NetworkNamespace)),
        ("every wall", all),
    ];
    println!("{{");
    println!(
        "  \"rounds\": {rounds}, \"zygote_mib\": {}, \"zygote_start_us\": {started},",
        mebibytes.to_string_lossy()
    );
    println!("  \"jails\": [");
    for (index, (name, raise)) in jails.into_iter().enumerate() {
        let spec = JailSpec { raise, minimum: WallSet::none(), ..JailSpec::default() };
        let (mut fork, mut answer) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (forked, answered) = one(&zygote, &spec)?;
            fork.push(forked);
            answer.push(answered);
        }
        let comma = if index + 1 == jails.len() { "" } else { "," };
        println!(
            "    {{\"jail\": \"{name}\", \"fork_us\": {}, \"answer_us\": {}}}{comma}",
            percentiles(fork),
            percentiles(answer)
        );
    }
    println!("  ]\n}}");
    Ok(())
}

fn one(zygote: &Zygote, spec: &JailSpec) -> Result<(u128, u128), Box<dyn Error>> {
    let start = Instant::now();
    let mut worker = zygote.fork(spec)?;
    let forked = start.elapsed().as_micros();
    let mut socket = worker.take_socket().ok_or("the first take has it")?;
    socket.write_all(b"x")?;
    socket.read_exact(&mut [0])?;
    Ok((forked, start.elapsed().as_micros()))
}

fn percentiles(mut times: Vec<u128>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len().saturating_sub(1)) * percent / 100).copied().unwrap_or(0);
    format!("{{\"min\": {}, \"p50\": {}, \"p90\": {}, \"p99\": {}}}", at(0), at(50), at(90), at(99))
}
