//! The program whose workers the tests look at: it does what it is told over the work socket.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

/// Makes this binary a zygote.
pub const ZYGOTE: &str = "zygote";

/// Makes it a zygote whose preparation fails with a message.
pub const UNPREPARED: &str = "zygote-unprepared";

/// Makes it a zygote whose preparation panics.
pub const PANICKING: &str = "zygote-panicking";

/// Makes it a zygote whose preparation leaves a thread behind.
pub const THREADED: &str = "zygote-threaded";

/// Makes it a zygote whose workers cannot start their threads.
pub const THREADLESS: &str = "zygote-threadless";

/// Makes it the zygote of the probes.
pub const PROBES: &str = "zygote-probes";

/// Runs the program these arguments ask for, if they do.
pub fn run(arguments: &[String]) -> Option<ExitCode> {
    let code = match arguments.first()?.as_str() {
        ZYGOTE => {
            lockgate_wall::zygote::main(prepare, |()| ticker(), |(), ticker, socket, _walls| obey(&ticker, socket))
        }
        UNPREPARED => unable(|| Err("the image is not where it should be".into())),
        PANICKING => unable(|| panic!("the image is upside down")),
        THREADED => unable(|| {
            std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3600)));
            Ok(())
        }),
        THREADLESS => lockgate_wall::zygote::main(
            || Ok(()),
            |()| Err::<(), _>("no thread today".into()),
            |(), (), _socket, _walls| 0,
        ),
        PROBES => lockgate_wall::probe::main(),
        _ => return None,
    };
    Some(code)
}

fn unable(prepare: impl FnOnce() -> Result<(), String>) -> ExitCode {
    lockgate_wall::zygote::main(prepare, |()| Ok(()), |(), (), _socket, _walls| 0)
}

/// The process's page map, held as an engine with a pool of memories holds it.
static PAGE_MAP: OnceLock<std::fs::File> = OnceLock::new();

/// Opens the page map, and after each fork opens the child's in its place.
fn prepare() -> Result<(), String> {
    extern "C" fn reopen() {
        let held = PAGE_MAP.get().expect("opened before the handler was registered");
        let own = std::fs::File::open("/proc/self/pagemap").expect("`/proc` is there at a fork");
        // SAFETY: both descriptors are open and owned by files that live on.
        assert!(unsafe { libc::dup2(own.as_raw_fd(), held.as_raw_fd()) } != -1);
    }
    // Looks up the kernel's clock page the first time, which takes a call the filter forbids.
    let _ = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let own = std::fs::File::open("/proc/self/pagemap").map_err(|error| error.to_string())?;
    PAGE_MAP.set(own).map_err(|_| "prepared twice")?;
    // SAFETY: the handler may run any code, because this process has one thread when it forks.
    match unsafe { libc::pthread_atfork(None, None, Some(reopen)) } {
        0 => Ok(()),
        error => Err(format!("pthread_atfork: {error}")),
    }
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
        let order = order.trim();
        if let Some(code) = order.strip_prefix("end ") {
            return code.parse().expect("a test asks for a code");
        }
        let answer = perform(order, ticker);
        if (&socket).write_all(format!("{answer}\n").as_bytes()).is_err() {
            return 9;
        }
    }
}

fn perform(order: &str, ticker: &Ticker) -> String {
    let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
    match verb {
        "hello" => "hello".into(),
        "tick" => {
            let (reply, answered) = mpsc::channel();
            ticker.ask.send(reply).expect("the ticker lives as long as the worker");
            format!("{:?}", answered.recv())
        }
        "open" => format!("{:?}", std::fs::File::open(rest).map(|_| "opened")),
        "environment" => std::env::vars_os().count().to_string(),
        "descriptors" => descriptors(),
        "work" => steady_work(),
        "scan" => scan_own_pages(),
        "execute" => {
            use std::os::unix::process::CommandExt;
            format!("{:?}", std::process::Command::new(rest).arg(crate::gates::WHO_AM_I).exec())
        }
        "segfault" => segfault(),
        "abort" => std::process::abort(),
        "panic" => panic!("as told"),
        "overflow" => overflow(0).to_string(),
        "spin" => loop {
            black_box(0);
        },
        _ => format!("unknown order {order}"),
    }
}

fn segfault() -> String {
    let nowhere = black_box(std::ptr::dangling_mut::<u8>());
    // SAFETY: none; the fault is the point, and nothing is mapped at the lowest addresses.
    unsafe { nowhere.write_volatile(1) };
    "still here".into()
}

#[allow(unconditional_recursion, reason = "running out of stack is the point")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    overflow(depth + 1) + frame[7]
}

/// The numbers of the open descriptors.
fn descriptors() -> String {
    let open = |number: &i32| {
        // SAFETY: F_GETFD on any number is only a question.
        unsafe { libc::fcntl(*number, libc::F_GETFD) != -1 }
    };
    let numbers: Vec<String> = (0..4096).filter(open).map(|number| number.to_string()).collect();
    numbers.join(" ")
}

/// What a worker in steady state does: memory in all sizes, clocks, hash maps, sleeping.
fn steady_work() -> String {
    let mut blocks: Vec<Vec<u8>> = (0..24).map(|power| vec![1; 1 << power]).collect();
    for block in &mut blocks {
        block.extend(std::iter::repeat_n(2, block.len()));
        block.shrink_to_fit();
    }
    let bytes: usize = blocks.iter().map(Vec::len).sum();
    drop(blocks);
    let counted: HashMap<usize, usize> = (0..1000).map(|n| (n, n * n)).collect();
    let before = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    let slept = before.elapsed() >= Duration::from_millis(2);
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_nsec > 0;
    std::thread::yield_now();
    format!("{bytes} {} {slept} {cpu}", counted.len())
}

/// Asks the page map which pages of a fresh mapping were written.
fn scan_own_pages() -> String {
    const PAGE: usize = 4096;
    const PAGES: usize = 16;
    const PAGE_IS_WRITTEN: u64 = 1 << 1;
    const PAGE_IS_PRESENT: u64 = 1 << 3;
    const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;
    // SAFETY: a new private mapping at an address of the kernel's choice.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE * PAGES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return "no memory".into();
    }
    for page in 3..5 {
        // SAFETY: inside the mapping just made.
        unsafe { start.cast::<u8>().add(page * PAGE).write_volatile(1) };
    }
    let start = start as u64;
    let mut regions = [[0u64; 3]; 4];
    // `struct pm_scan_arg`: size, flags, start, end, walk end, regions and their number, most
    // pages, inverted, wanted, any of, returned categories.
    let wanted = PAGE_IS_WRITTEN | PAGE_IS_PRESENT;
    let argument: [u64; 12] = [
        96,
        0,
        start,
        start + (PAGE * PAGES) as u64,
        0,
        regions.as_mut_ptr() as u64,
        regions.len() as u64,
        0,
        0,
        wanted,
        0,
        wanted,
    ];
    let map = PAGE_MAP.get().expect("prepared").as_raw_fd();
    // SAFETY: the argument is laid out as the kernel wants it and its regions outlive the call.
    let found = unsafe { libc::ioctl(map, PAGEMAP_SCAN, &argument) };
    let pages = |address: u64| (address - start) / PAGE as u64;
    match found {
        -1 => format!("{}", std::io::Error::last_os_error()),
        1 => format!("pages {} to {}", pages(regions[0][0]), pages(regions[0][1])),
        count => format!("{count} regions"),
    }
}
