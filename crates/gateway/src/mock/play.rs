//! A faulty answer, played on the connection itself: what no HTTP server would do, and what a server
//! would do only by accident. In: steps. Out: bytes, made while they are written, so that the
//! largest answer takes no more memory than the smallest; and whether the connection lives on.

use std::io::{Result, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::body::Entry;
use super::pace::Pace;
use latimer_probe::record::account::Outcome;

/// How many bytes are made at once.
const BLOCK_BYTES: usize = 64 << 10;
/// How much of the body of a faulty answer is recorded.
const RECORDED_BYTES: usize = 1 << 20;

/// What can be done on the connection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// The head of an answer. Without a length its body comes in chunks.
    Head { status: u16, headers: Vec<(&'static str, String)>, length: Option<u64> },
    /// From here on the body is compressed.
    Gzip,
    /// A piece of the body.
    Say(Bytes),
    /// A piece of the body, each byte alone.
    Drip(Bytes),
    /// So many bytes of the body, of these over and over.
    Fill(Bytes, u64),
    /// A piece of the body again and again, until the client leaves.
    Repeat(Bytes, Duration),
    /// The end of the body.
    End,
    /// Bytes that belong to no answer.
    Raw(Bytes),
    /// Nothing more, until the client leaves.
    Stall,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

/// A connection that can be reset.
pub(super) trait Line: AsyncRead + AsyncWrite + Unpin + Send {
    /// Whether an answer has a head, as it has over HTTP.
    const HAS_HEADS: bool = true;

    /// Lets the next close be a reset.
    fn reset(&self);
}

/// Whether the connection serves the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Serve,
    Close,
}

/// Steps, and how they are to be played.
pub(super) struct Play {
    pub steps: Vec<Step>,
    pub pace: Pace,
    /// The client wants no answer after this one.
    pub last: bool,
    /// What is to stand in the recording.
    pub entry: Option<Entry>,
}

impl Play {
    /// Plays all steps. A client that leaves ends the play, and so does `stopped`.
    pub async fn perform(self, line: &mut impl Line, stopped: &mut watch::Receiver<()>) -> After {
        let Play { steps, pace, last, entry } = self;
        let mut stage = Stage { line, pace, entry, chunked: false, gzip: None, recorded: 0 };
        let played = tokio::select! {
            played = stage.play(steps) => played,
            _ = stopped.changed() => Ok(After::Close),
        };
        played.ok().filter(|_| !last).unwrap_or(After::Close)
    }
}

/// Where a play has come to.
struct Stage<'a, L> {
    line: &'a mut L,
    pace: Pace,
    entry: Option<Entry>,
    chunked: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
    recorded: usize,
}

impl<L: Line> Stage<'_, L> {
    async fn play(&mut self, steps: Vec<Step>) -> Result<After> {
        for step in steps {
            match step {
                Step::Head { status, headers, length } => {
                    self.head(status, &headers, length).await?;
                }
                Step::Gzip => self.gzip = Some(GzEncoder::new(Vec::new(), Compression::fast())),
                Step::Say(bytes) => {
                    tokio::time::sleep(self.pace.next()).await;
                    self.say(&bytes).await?;
                }
                Step::Drip(bytes) => {
                    for byte in bytes.chunks(1) {
                        self.say(byte).await?;
                    }
                }
                Step::Fill(unit, count) => self.fill(&unit, count).await?,
                Step::Repeat(bytes, every) => loop {
                    self.say(&bytes).await?;
                    let waits = !every.is_zero();
                    if waits && tokio::time::timeout(every, gone(self.line)).await.is_ok() {
                        return Ok(After::Close);
                    }
                },
                Step::End => self.end().await?,
                Step::Raw(bytes) => self.line.write_all(&bytes).await?,
                Step::Stall => {
                    self.line.flush().await?;
                    tracing::info!("nothing more is said until the client leaves");
                    gone(self.line).await;
                    return Ok(After::Close);
                }
                Step::Close | Step::Reset => {
                    self.line.flush().await?;
                    self.ended(Outcome::Failed);
                    if step == Step::Reset {
                        self.line.reset();
                    }
                    return Ok(After::Close);
                }
            }
        }
        self.line.flush().await?;
        self.ended(Outcome::Completed);
        Ok(After::Serve)
    }

    async fn head(
        &mut self,
        status: u16,
        headers: &[(&'static str, String)],
        length: Option<u64>,
    ) -> Result<()> {
        if !L::HAS_HEADS {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {status} Mock\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match length {
            Some(length) => format!("content-length: {length}\r\n\r\n"),
            None => "transfer-encoding: chunked\r\n\r\n".to_owned(),
        };
        self.chunked = length.is_none();
        if let Some(entry) = &mut self.entry {
            entry.finished.status = Some(status);
            let known = headers.iter().filter_map(|(name, value)| {
                Some((http::HeaderName::from_static(name), value.parse().ok()?))
            });
            entry.finished.response_headers = known.collect();
        }
        self.line.write_all(head.as_bytes()).await
    }

    async fn say(&mut self, piece: &[u8]) -> Result<()> {
        match &mut self.gzip {
            Some(gzip) => {
                gzip.write_all(piece)?;
                let squeezed = std::mem::take(gzip.get_mut());
                self.write(&squeezed).await
            }
            None => self.write(piece).await,
        }
    }

    async fn write(&mut self, piece: &[u8]) -> Result<()> {
        // An empty chunk would be the end.
        if piece.is_empty() {
            return Ok(());
        }
        let room = RECORDED_BYTES.saturating_sub(self.recorded);
        if let Some(entry) = self.entry.as_mut().filter(|_| room > 0) {
            let kept = piece.get(..room).unwrap_or(piece);
            self.recorded += kept.len();
            entry.keep(Bytes::copy_from_slice(kept));
        }
        if !self.chunked {
            return self.line.write_all(piece).await;
        }
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.line.write_all(&chunk).await
    }

    async fn fill(&mut self, unit: &[u8], count: u64) -> Result<()> {
        let block: Vec<u8> = unit.repeat((BLOCK_BYTES / unit.len().max(1)).max(1));
        let mut left = count;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            // Only whole units, the last one included: half an event would be another fault.
            let now = if now < block.len() { now.next_multiple_of(unit.len()) } else { now };
            self.say(block.get(..now).unwrap_or(&block)).await?;
            left = left.saturating_sub(now as u64);
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        if let Some(gzip) = self.gzip.take() {
            let rest = gzip.finish()?;
            self.write(&rest).await?;
        }
        match self.chunked {
            true => self.line.write_all(b"0\r\n\r\n").await,
            false => Ok(()),
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        if let Some(entry) = &mut self.entry {
            entry.outcome = outcome;
        }
    }
}

/// Ready when the client has closed its end.
async fn gone(line: &mut impl Line) {
    let mut unread = [0; 1_024];
    while let Ok(1..) = line.read(&mut unread).await {}
}
