//! The recorder: one line of `traffic.jsonl` per exchange, written by a thread of its own so that
//! no disk ever holds up a stream. The line is handed over as shared bytes; redaction happens while
//! it is written. The queue is bounded: what does not fit is counted, and said when it happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use latimer_probe::record::{Body, Record};
use latimer_wire::json::Raw;

/// The file inside the recording's directory.
pub const FILE_NAME: &str = "traffic.jsonl";

/// How many finished exchanges may wait to be written.
const QUEUE: usize = 1024;

/// An exchange that is over, as the recorder takes it.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub timestamp_unix_ms: u64,
    pub method: String,
    pub url: String,
    pub request_headers: Vec<(String, String)>,
    pub request_body: Bytes,
    pub status: Option<u16>,
    pub response_headers: Vec<(String, String)>,
    pub response_body: Vec<Bytes>,
    /// The object under the key `latimer`, as JSON.
    pub extra: String,
}

/// Writes exchanges to a file, in the background.
#[derive(Debug)]
pub struct Recorder {
    queue: Option<SyncSender<Finished>>,
    writer: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
    path: PathBuf,
}

impl Recorder {
    /// Opens `directory/traffic.jsonl` for appending; makes the directory where it is missing.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn open(directory: &Path) -> io::Result<Recorder> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(FILE_NAME);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let (queue, finished) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write_all(file, finished, &counter))?;
        Ok(Recorder { queue: Some(queue), writer: Some(writer), lost, path })
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many exchanges could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Hands an exchange over. It never waits.
    pub(crate) fn record(&self, finished: Finished) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send(finished) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(lost, "an exchange was not recorded: the recorder cannot keep up");
            }
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

fn write_all(mut file: File, finished: Receiver<Finished>, lost: &AtomicU64) {
    let mut line = String::new();
    for exchange in finished {
        line.clear();
        write_line(&mut line, &exchange);
        if let Err(error) = file.write_all(line.as_bytes()) {
            let lost = lost.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(lost, %error, "an exchange was not recorded");
        }
    }
}

fn write_line(line: &mut String, exchange: &Finished) {
    fn pairs(headers: &[(String, String)]) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
    let response_body = exchange.response_body.concat();
    Record {
        timestamp_unix_ms: exchange.timestamp_unix_ms,
        method: &exchange.method,
        url: &exchange.url,
        request_headers: &pairs(&exchange.request_headers),
        request_body: Body::of(&exchange.request_body),
        status: exchange.status,
        response_headers: &pairs(&exchange.response_headers),
        response_body: Body::of(&response_body),
        extra: Raw::parse(&exchange.extra).ok(),
    }
    .write_line(line);
}
