//! Standard output, which must arrive, and standard error, which need not.

use super::output::{Trouble, terminal};
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Standard output as [`page`] gives it.
pub(crate) type Page<'a> = BufWriter<StdoutLock<'a>>;

/// Writes to standard output and sees to it that all of it is out.
///
/// # Errors
///
/// [`Trouble::cannot_write`], or [`Trouble::reader_gone`] where nobody reads any more (`| head`).
pub(crate) fn page(write: impl FnOnce(&mut Page<'_>) -> io::Result<()>) -> Result<(), Trouble> {
    let mut page = BufWriter::new(io::stdout().lock());
    write(&mut page).and_then(|()| page.flush()).map_err(|error| {
        // What could not be written must not be tried again when the buffer is dropped.
        let (_, _unwritten) = page.into_parts();
        unwritten(&error)
    })
}

/// One line on standard output; errors as of [`page`].
pub(crate) fn line(text: &str) -> Result<(), Trouble> {
    page(|page| writeln!(page, "{text}"))
}

/// What a failed write to standard output means.
pub(crate) fn unwritten(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::BrokenPipe => Trouble::reader_gone(),
        _ => Trouble::cannot_write(error),
    }
}

/// Text on standard error as it is. Where it cannot be written it is lost, and that is all.
pub(crate) fn note_raw(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One line on standard error; see [`note_raw`].
pub(crate) fn note(text: &str) {
    note_raw(&format!("{text}\n"));
}

/// Most bytes of console output that wait for standard error; what comes then is lost.
const MOST_WAITING: usize = 16 << 20;

/// Writes console output of guests from a thread of its own, so that a slow reader holds up no cell and no gate.
#[derive(Default)]
pub(crate) struct Console {
    thread: OnceLock<Option<Sender<Said>>>,
    waiting: Arc<AtomicUsize>,
}

enum Said {
    Line(String),
    /// Everything before this is written.
    Drained(SyncSender<()>),
}

impl Console {
    /// One line, control characters shown and not sent. Never waits, never fails.
    pub(crate) fn say(&self, text: &str) {
        let text = terminal(text);
        if self.waiting.load(Ordering::Relaxed).saturating_add(text.len()) > MOST_WAITING {
            return;
        }
        if let Some(thread) = self.thread.get_or_init(|| self.start()) {
            self.waiting.fetch_add(text.len(), Ordering::Relaxed);
            let _ = thread.send(Said::Line(text));
        }
    }

    /// Waits until everything said is written or lost.
    pub(crate) fn drain(&self) {
        let (tell, drained) = mpsc::sync_channel(1);
        if let Some(Some(thread)) = self.thread.get()
            && thread.send(Said::Drained(tell)).is_ok()
        {
            let _ = drained.recv();
        }
    }

    fn start(&self) -> Option<Sender<Said>> {
        let (sender, said) = mpsc::channel();
        let waiting = Arc::clone(&self.waiting);
        let print = move || {
            for said in said {
                match said {
                    Said::Line(text) => {
                        note(&text);
                        waiting.fetch_sub(text.len(), Ordering::Relaxed);
                    }
                    Said::Drained(tell) => drop(tell.send(())),
                }
            }
        };
        // Without a thread there is no console output; a run does not fail for that.
        thread::Builder::new().name("console".to_owned()).spawn(print).ok().map(|_| sender)
    }
}
