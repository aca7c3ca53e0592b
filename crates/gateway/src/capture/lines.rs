//! Lines on their way into the file. In: exchanges that are over. Out: their lines, without secrets, each
//! sealed behind the one before, written together when there are many: of 91 KB the system takes five by
//! one write for three quarters of what it costs one by one.

use latimer_probe::record::attempts::Attempts;
use latimer_probe::seal;
use tokio::sync::oneshot;

use super::eraser::Eraser;
use super::finished::Finished;
use super::log::Log;

/// How much is written together at most, but for a line that is longer.
const TOGETHER_BYTES: usize = 512 << 10;
/// How much memory is kept for the next line.
const LINE_BYTES: usize = 1 << 20;

/// Makes lines, and writes them.
pub(super) struct Lines {
    pub log: Log,
    eraser: Eraser,
    attempts: Attempts,
    /// How much is written together.
    together_bytes: usize,
    /// The line that is made.
    line: Vec<u8>,
    /// Those that are made and not written.
    made: Vec<u8>,
    /// The seals of the last line that was made, and of the last that is written.
    parent: Option<String>,
    written: Option<String>,
    /// Those who wait until what was made is written. Dropped when it is, or lost.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Lines {
    /// Lines for a file, without what the eraser takes out.
    pub fn new(log: Log, eraser: Eraser) -> Lines {
        Lines {
            together_bytes: TOGETHER_BYTES.min(log.segment_bytes()),
            log,
            eraser,
            attempts: Attempts::default(),
            line: Vec::new(),
            made: Vec::new(),
            parent: None,
            written: None,
            waiting: Vec::new(),
        }
    }

    /// Makes the line of an exchange.
    pub fn add(&mut self, exchange: &Finished) {
        self.line.clear();
        self.line.shrink_to(LINE_BYTES);
        exchange.write_line(&mut self.line, &mut self.attempts, self.eraser.is_idle());
        self.eraser.erase(&mut self.line, exchange);
        if self.made.len() + self.line.len() > self.together_bytes {
            self.write();
        }
        seal::add(&mut self.line, self.parent.as_deref());
        self.parent = seal::digits(&self.line);
        self.made.extend_from_slice(&self.line);
    }

    /// Somebody waits until what was made is written.
    pub fn answer_to(&mut self, waiting: Option<oneshot::Sender<()>>) {
        self.waiting.extend(waiting);
    }

    /// Writes what was made.
    pub fn write(&mut self) {
        if self.made.is_empty() {
            return;
        }
        let written = self.log.append(&self.made);
        if written.len() < self.made.len() {
            // The next line follows one that is in the file.
            let last = written.trim_ascii_end();
            let last =
                memchr::memrchr(b'\n', last).and_then(|end| last.get(end + 1..)).unwrap_or(last);
            self.parent = seal::digits(last).or(self.written.take());
        }
        self.written.clone_from(&self.parent);
        self.made.clear();
        self.made.shrink_to(TOGETHER_BYTES);
        self.waiting.clear();
    }

    /// The last thing to do.
    pub fn finish(mut self) {
        self.write();
        self.log.finish();
    }
}
