//! The recorder: one line of `traffic.jsonl` per exchange, written by a thread of its own so that
//! no disk ever holds up a stream. The exchange is handed over as shared bytes ([`finished`]);
//! redaction happens while its line is made ([`lines`]), which then is appended ([`log`]). The queue is bounded:
//! what does not fit is counted like what the disk refuses ([`losses`]). Files that are long enough
//! are closed ([`segments`]), and all is brought to the disk beside it ([`sync`]).

mod eraser;
mod finished;
mod lines;
mod log;
mod losses;
mod segments;
mod sync;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use self::eraser::Eraser;
pub(crate) use self::finished::Finished;
use self::lines::Lines;
use self::log::Log;
use self::losses::Losses;
use self::sync::Syncer;
use crate::config::RecorderConfig;
use crate::secret::Secret;

/// The file inside the recording's directory.
pub const FILE_NAME: &str = "traffic.jsonl";

/// How many finished exchanges may wait to be written, and how many bytes they may hold: one is
/// always let in, so that a long one can be written at all.
const QUEUE: usize = 1024;
const QUEUE_BYTES: usize = 256 << 20;
/// How long the writer rests when nothing waits any more: to be woken for each exchange costs as much
/// as to write it.
const REST: Duration = Duration::from_millis(5);
/// How long it waits for an exchange while something else is to be done.
const TICK: Duration = Duration::from_millis(250);

/// Writes exchanges to a file, in the background.
#[derive(Debug)]
pub struct Recorder {
    queue: Option<SyncSender<Finished>>,
    queued_bytes: Arc<AtomicUsize>,
    writer: Option<JoinHandle<()>>,
    losses: Arc<Losses>,
    path: PathBuf,
}

impl Recorder {
    /// Opens `directory/traffic.jsonl` for appending; makes the directory where it is missing.
    /// `secret` is taken out of whatever is written.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn open(
        directory: &Path,
        config: &RecorderConfig,
        secret: Secret,
    ) -> io::Result<Recorder> {
        Recorder::open_file(directory.join(FILE_NAME), config, secret)
    }

    /// The same, for a file of any name.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn open_file(
        path: PathBuf,
        config: &RecorderConfig,
        secret: Secret,
    ) -> io::Result<Recorder> {
        let (queue, finished) = sync_channel(QUEUE);
        let redactor = config.redactor().map_err(io::Error::other)?;
        let losses = Arc::new(Losses::default());
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let syncer = Syncer::start(File::sync_data)?;
        let log = Log::open(path.clone(), config.clone(), Arc::clone(&losses), syncer)?;
        let lines = Lines::new(log, Eraser::new(redactor, secret));
        let weight = Arc::clone(&queued_bytes);
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write_all(lines, &finished, &weight))?;
        Ok(Recorder { queue: Some(queue), queued_bytes, writer: Some(writer), losses, path })
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many exchanges could not be written.
    pub fn lost(&self) -> u64 {
        self.losses.total()
    }

    /// Hands an exchange over. It never waits.
    pub(crate) fn record(&self, finished: Finished) {
        let Some(queue) = &self.queue else { return };
        let bytes = finished.bytes();
        let waiting = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = waiting == 0 || waiting + bytes <= QUEUE_BYTES;
        if !has_room || queue.try_send(finished).is_err() {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.losses.add(1, &"the recorder cannot keep up");
        }
    }
}

impl Drop for Recorder {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_all(mut lines: Lines, finished: &Receiver<Finished>, queued_bytes: &AtomicUsize) {
    while let Some(exchange) = next(finished, &mut lines) {
        lines.add(&exchange);
        queued_bytes.fetch_sub(exchange.bytes(), Ordering::Relaxed);
        lines.answer_to(exchange.waiting);
    }
    lines.finish();
}

/// The next exchange; none when there will be no more. What was made is written before it waits.
fn next(finished: &Receiver<Finished>, lines: &mut Lines) -> Option<Finished> {
    if let Ok(next) = finished.try_recv() {
        return Some(next);
    }
    lines.write();
    if !lines.log.is_strict() {
        std::thread::sleep(REST);
    }
    loop {
        if !lines.log.is_restless() {
            return finished.recv().ok();
        }
        match finished.recv_timeout(TICK) {
            Ok(next) => return Some(next),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => lines.log.rest(),
        }
    }
}
