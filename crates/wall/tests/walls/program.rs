//! The program whose workers the tests look at: it does what it is told over the work socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// The argument that makes this binary a zygote.
pub const ZYGOTE: &str = "zygote";

/// Runs this binary as zygote.
pub fn zygote() -> ExitCode {
    lockgate_wall::zygote::main(|| Ok(()), |()| ticker(), |(), ticker, socket, _walls| obey(&ticker, socket))
}

/// A helper thread as a cell's worker has one; it answers, so that its life can be seen.
struct Ticker {
    ask: mpsc::Sender<mpsc::Sender<()>>,
}

fn ticker() -> Result<Ticker, String> {
    let (ask, asked) = mpsc::channel::<mpsc::Sender<()>>();
    let (ready, running) = mpsc::channel();
    std::thread::Builder::new()
        .spawn(move || {
            let _ = ready.send(());
            loop {
                match asked.recv_timeout(Duration::from_millis(5)) {
                    Ok(reply) => drop(reply.send(())),
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
            }
        })
        .map_err(|error| error.to_string())?;
    running.recv().map_err(|error| error.to_string())?;
    Ok(Ticker { ask })
}

fn obey(ticker: &Ticker, socket: UnixStream) -> u8 {
    let mut orders = BufReader::new(&socket);
    loop {
        let mut order = String::new();
        match orders.read_line(&mut order) {
            Ok(0) | Err(_) => return 0,
            Ok(_) => {}
        }
        let answer = perform(order.trim(), ticker);
        if (&socket).write_all(format!("{answer}\n").as_bytes()).is_err() {
            return 9;
        }
    }
}

fn perform(order: &str, ticker: &Ticker) -> String {
    let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
    match verb {
        "hello" => "hello".into(),
        "open" => format!("{:?}", std::fs::File::open(rest).map(|_| "opened")),
        "tick" => {
            let (reply, answered) = mpsc::channel();
            ticker.ask.send(reply).expect("the ticker lives as long as the worker");
            format!("{:?}", answered.recv())
        }
        _ => format!("unknown order {order}"),
    }
}
