//! The recorder: one line of `traffic.jsonl` per exchange, written by a thread of its own so that
//! no disk ever holds up a stream. The line is handed over as shared bytes; redaction happens while
//! it is written. The queue is bounded: what does not fit is counted, and said when it happens.
//! A file that was removed is made anew; a line that was cut off spoils no other.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use latimer_probe::account::Account;
use latimer_probe::attempts::Attempts;
use latimer_probe::record::{Body, Record};
use latimer_probe::{arrivals, lineage, seal};
use latimer_wire::json::Raw;

use crate::coding::{self, Decoder};
use crate::headers;
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
/// How much memory the writer keeps for the next line.
const LINE_BYTES: usize = 1 << 20;
/// How much of a compressed body is recorded, made plain.
const PLAIN_BYTES: usize = 64 << 20;

/// An exchange that is over, as the recorder takes it.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub timestamp_unix_ms: u64,
    pub method: Method,
    pub url: String,
    pub request_headers: HeaderMap,
    pub request_body: Bytes,
    /// The body of the request was read as JSON on its way, all of it.
    pub is_json: bool,
    pub status: Option<u16>,
    pub response_headers: HeaderMap,
    /// The pieces of the answer's body, and when each left: microseconds since the beginning.
    pub response_body: Vec<(Bytes, u64)>,
    /// What is noted down beside it; what can be seen in the rest is added when it is written.
    pub account: Account,
}

impl Finished {
    /// What it holds in memory, nearly.
    fn bytes(&self) -> usize {
        let pieces = self.response_body.iter().map(|(piece, _)| piece.len());
        self.request_body.len() + pieces.sum::<usize>()
    }

    /// Keeps a piece of the answer.
    pub fn keep(&mut self, piece: Bytes, at_us: u64) {
        self.response_body.push((piece, at_us));
    }

    /// The body of the request. A bare JSON string would read back as text, without its quotes.
    fn request_body(&self) -> Body<'_> {
        match self.request_body.trim_ascii_start().first() {
            Some(b'{' | b'[') if self.is_json => Body::Json(&self.request_body),
            _ => Body::of(&self.request_body),
        }
    }

    /// The pieces of the answer without their coding, as far as it came and can be undone.
    fn plain_pieces(&self) -> Vec<(Cow<'_, [u8]>, u64)> {
        let coding = self.response_headers.get(header::CONTENT_ENCODING).map(text);
        let Some(mut decoder) = coding.and_then(|coding| Decoder::of(&coding, PLAIN_BYTES)) else {
            let pieces = self.response_body.iter();
            return pieces.map(|(piece, at_us)| (Cow::Borrowed(&**piece), *at_us)).collect();
        };
        let mut pieces = Vec::with_capacity(self.response_body.len());
        for (piece, at_us) in &self.response_body {
            let (plain, is_sound) = coding::undo_piece(&mut decoder, piece);
            pieces.push((Cow::Owned(plain), *at_us));
            if !is_sound {
                break;
            }
        }
        pieces
    }

    /// Notes down what can be seen in the exchange itself.
    fn complete(&self, pieces: &[(Cow<'_, [u8]>, u64)], attempts: &mut Attempts) -> Account {
        let mut account = self.account.clone();
        let header = |name: &str| self.request_headers.get(name).map(text);
        lineage::note(&mut account, header, &self.request_body);
        account.request_coding = headers::coding(&self.request_headers);
        account.response_coding = headers::coding(&self.response_headers);
        account.first_byte_us = self.response_body.first().map(|(_, at_us)| *at_us);
        account.first_byte_ms = account.first_byte_us.map(|us| us / 1000);
        account.duration_ms = account.duration_us.map(|us| us / 1000);
        let media_type = self.response_headers.get(header::CONTENT_TYPE).map(text);
        if media_type.is_some_and(|media_type| media_type.contains("event-stream")) {
            let pieces = pieces.iter().map(|(piece, at_us)| (&**piece, *at_us));
            account.arrived(arrivals::of_stream(pieces));
        }
        let ended_unix_ms = self.timestamp_unix_ms + account.duration_ms.unwrap_or_default();
        attempts.note(&mut account, ended_unix_ms, &self.url, &self.request_body);
        account
    }

    /// The key the caller sent: a backend that refuses it may say it back.
    fn caller_key(&self) -> Secret {
        let value = self.request_headers.get(header::AUTHORIZATION).map(text);
        Secret::of(value.as_deref().and_then(|value| value.split_whitespace().last()))
    }

    /// Appends its line.
    fn write_line(&self, line: &mut Vec<u8>, attempts: &mut Attempts) {
        let (request_headers, response_headers) =
            (texts(&self.request_headers), texts(&self.response_headers));
        let pieces = self.plain_pieces();
        let account = serde_json::to_string(&self.complete(&pieces, attempts)).unwrap_or_default();
        let response_body = match pieces.as_slice() {
            [(whole, _)] => Cow::Borrowed(&**whole),
            pieces => {
                let pieces: Vec<&[u8]> = pieces.iter().map(|(piece, _)| &**piece).collect();
                Cow::Owned(pieces.concat())
            }
        };
        Record {
            timestamp_unix_ms: self.timestamp_unix_ms,
            method: self.method.as_str(),
            url: &self.url,
            request_headers: &pairs(&request_headers),
            request_body: self.request_body(),
            status: self.status,
            response_headers: &pairs(&response_headers),
            response_body: Body::of(&response_body),
            extra: Some(Raw::unchecked(&account)),
        }
        .write_line(line);
    }
}

/// Writes exchanges to a file, in the background.
#[derive(Debug)]
pub struct Recorder {
    queue: Option<SyncSender<Finished>>,
    queued_bytes: Arc<AtomicUsize>,
    writer: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
    path: PathBuf,
}

impl Recorder {
    /// Opens `directory/traffic.jsonl` for appending; makes the directory where it is missing.
    /// `secret` is taken out of whatever is written.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn open(directory: &Path, secret: Secret) -> io::Result<Recorder> {
        Recorder::open_file(directory.join(FILE_NAME), secret)
    }

    /// The same, for a file of any name.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn open_file(path: PathBuf, secret: Secret) -> io::Result<Recorder> {
        let (queue, finished) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let log = Log::open(path.clone())?;
        let (counter, weight) = (Arc::clone(&lost), Arc::clone(&queued_bytes));
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write_all(log, finished, &secret, &counter, &weight))?;
        Ok(Recorder { queue: Some(queue), queued_bytes, writer: Some(writer), lost, path })
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
        let bytes = finished.bytes();
        let waiting = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = match waiting > 0 && waiting + bytes > QUEUE_BYTES {
            true => Err(TrySendError::Full(finished)),
            false => queue.try_send(finished),
        };
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
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

/// The file, and whether its last line was cut off.
struct Log {
    path: PathBuf,
    file: File,
    torn: bool,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Log> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let mut last = [b'\n'];
        if file.metadata()?.is_file() && file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last)?;
        }
        Ok(Log { path, file, torn: last != [b'\n'] })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.file.metadata()?.nlink() == 0 {
            *self = Log::open(self.path.clone())?;
        }
        if self.torn {
            self.file.write_all(b"\n")?;
        }
        self.torn = true;
        self.file.write_all(line)?;
        self.torn = false;
        Ok(())
    }
}

fn write_all(
    mut log: Log,
    finished: Receiver<Finished>,
    secret: &Secret,
    lost: &AtomicU64,
    queued_bytes: &AtomicUsize,
) {
    let (mut line, mut attempts) = (Vec::new(), Attempts::default());
    while let Some(exchange) = next(&finished) {
        line.clear();
        line.shrink_to(LINE_BYTES);
        exchange.write_line(&mut line, &mut attempts);
        secret.erase(&mut line);
        exchange.caller_key().erase(&mut line);
        seal::add(&mut line);
        if let Err(error) = log.append(&line) {
            let lost = lost.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(lost, %error, "an exchange was not recorded");
        }
        queued_bytes.fetch_sub(exchange.bytes(), Ordering::Relaxed);
    }
}

/// The next exchange; none when there will be no more.
fn next(finished: &Receiver<Finished>) -> Option<Finished> {
    finished.try_recv().ok().or_else(|| {
        std::thread::sleep(REST);
        finished.recv().ok()
    })
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// Headers as text.
fn texts(headers: &HeaderMap) -> Vec<(&str, Cow<'_, str>)> {
    headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

fn pairs<'h>(headers: &'h [(&'h str, Cow<'h, str>)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, &**value)).collect()
}
