//! The load: connections that ask one request after the other and hold every answer against what
//! the upstream said. What comes out is how many were right, what was wrong with the rest, and when
//! things arrived.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::check::{self, Fault};
use crate::dialogue::{self, Shape};
use crate::results::Results;

/// What one exchange may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// After this no further request is asked: a slow peer is measured by fewer.
const ENOUGH: Duration = Duration::from_secs(2);

/// What is asked, how often and by how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// What is asked and answered.
    pub shape: Shape,
    /// The time between two chunks; at full speed without.
    pub pace: Option<Duration>,
    /// How many connections ask at once.
    pub connections: usize,
    /// How many requests they ask together, if there is time.
    pub requests: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Answers {
    /// How many were asked for.
    pub asked: usize,
    /// How many events those that were right had together.
    pub events: usize,
    /// What was wrong with those that were not right, and how often.
    pub faults: BTreeMap<Fault, usize>,
    /// From the request to the first text.
    pub first: Vec<Duration>,
    /// Between two arrivals of text inside a paced stream.
    pub gaps: Vec<Duration>,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl Answers {
    /// Adds them to the account of a case and a peer.
    pub fn account(&self, case: &str, peer: &str, results: &mut Results) {
        let faults = self.faults.iter().map(|(fault, count)| (fault.as_ref(), *count));
        results.check(case, peer, self.asked, faults);
    }

    fn add(&mut self, other: Answers) {
        self.asked += other.asked;
        self.events += other.events;
        self.first.extend(other.first);
        self.gaps.extend(other.gaps);
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }
}

/// Does the work against an address, and gives connections `apart` between their starts.
///
/// # Errors
/// When a task of the load itself broke; whatever a peer does wrong is in the answers.
pub async fn run(address: SocketAddr, work: Work, apart: Duration) -> Result<Answers> {
    say(address, work, dialogue::request(work.shape), apart).await
}

/// The same, where each request says `body`.
///
/// # Errors
/// As [`run`].
pub async fn say(address: SocketAddr, work: Work, body: Bytes, apart: Duration) -> Result<Answers> {
    let asker = Arc::new(Asker {
        address,
        body,
        text: dialogue::text(work.shape.chunks),
        stream: work.shape.stream,
        paced: work.pace.is_some(),
        left: AtomicUsize::new(work.requests),
        until: Instant::now() + ENOUGH,
    });
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for number in 0..work.connections as u32 {
        let asker = Arc::clone(&asker);
        connections.spawn(async move {
            if !apart.is_zero() {
                tokio::time::sleep(apart * number).await;
            }
            asker.ask_all().await
        });
    }
    let mut answers = Answers::default();
    while let Some(part) = connections.join_next().await {
        answers.add(part?);
    }
    answers.took = began.elapsed();
    Ok(answers)
}

/// Tells a gateway the history that it is to have, turn by turn. Out: what each request says that
/// names it.
///
/// # Errors
/// When a turn is not answered as one that can be named.
pub async fn tell(address: SocketAddr, shape: Shape) -> Result<Bytes> {
    let mut sender = connect(address).await?;
    let (mut turn, mut previous) = (0, None);
    loop {
        let said = dialogue::said(shape, turn, previous.as_deref());
        if said.is_last {
            return Ok(said.body);
        }
        sender.ready().await?;
        let answer = sender.send_request(request(said.body)?).await?;
        let answer = answer.into_body().collect().await?.to_bytes();
        let answer: Named = serde_json::from_slice(&answer)
            .with_context(|| format!("no answer to name: {}", String::from_utf8_lossy(&answer)))?;
        (turn, previous) = (turn + 1, Some(answer.id));
    }
}

/// An answer that can be named.
#[derive(Deserialize)]
struct Named {
    id: String,
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn request(body: Bytes) -> http::Result<Request<Full<Bytes>>> {
    Request::post("/v1/responses")
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, "Bearer sk-bench")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
}

struct Asker {
    address: SocketAddr,
    body: Bytes,
    text: String,
    stream: bool,
    paced: bool,
    left: AtomicUsize,
    until: Instant,
}

impl Asker {
    /// Asks on one connection as long as requests are left.
    async fn ask_all(&self) -> Answers {
        let mut answers = Answers::default();
        let mut connection = None;
        let mut answer = Vec::new();
        while self.may_ask(answers.asked) {
            answers.asked += 1;
            let asked = self.ask(&mut connection, &mut answer, &mut answers);
            let outcome = tokio::time::timeout(PATIENCE, asked).await;
            if let Err(fault) = outcome.unwrap_or(Err(Cow::Borrowed("no answer in time"))) {
                *answers.faults.entry(fault).or_default() += 1;
                connection = None;
            }
        }
        answers
    }

    /// Whether a connection that asked so often may ask once more. Each may ask once.
    fn may_ask(&self, asked: usize) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        let in_time = asked == 0 || Instant::now() < self.until;
        in_time && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    async fn ask(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        answer: &mut Vec<u8>,
        answers: &mut Answers,
    ) -> Result<(), Fault> {
        let mut open = connection.take();
        if let Some(sender) = &mut open
            && sender.ready().await.is_err()
        {
            open = None;
        }
        let sender = match open {
            Some(open) => connection.insert(open),
            None => connection.insert(connect(self.address).await.map_err(broken)?),
        };
        let began = Instant::now();
        let response = sender
            .send_request(request(self.body.clone()).map_err(broken)?)
            .await
            .map_err(broken)?;
        let status = response.status();
        let mut body = response.into_body();
        answer.clear();
        let mut seen = Seen { pieces: 0, until: 0, last: began };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(broken)?;
            let Some(data) = frame.data_ref() else { continue };
            answer.extend_from_slice(data);
            if self.paced || seen.pieces == 0 {
                seen.look(answer, began, answers);
            }
        }
        if !status.is_success() {
            return Err(Fault::Owned(format!("status {}", status.as_u16())));
        }
        match self.stream {
            true => answers.events += check::stream(answer, &self.text)?,
            false => check::whole(answer, &self.text)?,
        }
        Ok(())
    }
}

/// How far an answer has come.
struct Seen {
    /// How many pieces of its text are there.
    pieces: usize,
    /// Where the last of them ends.
    until: usize,
    /// When it came.
    last: Instant,
}

impl Seen {
    /// Looks for further pieces, and notes when they came.
    fn look(&mut self, answer: &[u8], began: Instant, answers: &mut Answers) {
        let before = self.pieces;
        while let Some(at) = answer.get(self.until..).and_then(|rest| {
            let piece = dialogue::piece(self.pieces);
            memmem::find(rest, piece.as_bytes()).map(|at| at + piece.len())
        }) {
            (self.pieces, self.until) = (self.pieces + 1, self.until + at);
        }
        if self.pieces == before {
            return;
        }
        let now = Instant::now();
        match before {
            0 => answers.first.push(now - began),
            _ => answers.gaps.push(now - self.last),
        }
        self.last = now;
    }
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::Owned(format!("the connection broke: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answers, Work, run};
    use crate::dialogue::Shape;
    use crate::upstream::Upstream;

    const SHAPE: Shape = Shape::stream(9 << 10, 4);
    const WORK: Work = Work { shape: SHAPE, pace: None, connections: 2, requests: 5 };

    /// What comes of work when the upstream says `said`.
    async fn answers(work: Work, said: Shape) -> Answers {
        let upstream = Upstream::start().await.expect("a free port");
        upstream.play(said, work.pace);
        run(upstream.address, work, Duration::ZERO).await.expect("the load runs")
    }

    #[tokio::test]
    async fn streamed_or_whole_every_answer_is_right() {
        for stream in [true, false] {
            let shape = Shape { stream, ..SHAPE };
            let answers = answers(Work { shape, ..WORK }, shape).await;
            assert_eq!((answers.asked, answers.first.len()), (5, 5));
            assert_eq!(answers.events, if stream { 5 * 12 } else { 0 });
            assert!(answers.faults.is_empty(), "{:?}", answers.faults);
        }
    }

    #[tokio::test]
    async fn a_pace_is_kept() {
        let pace = Duration::from_millis(20);
        let answers = answers(Work { pace: Some(pace), requests: 2, ..WORK }, SHAPE).await;
        assert!(answers.faults.is_empty(), "{:?}", answers.faults);
        assert!(answers.took >= pace * 3, "{:?}", answers.took);
        assert!(answers.gaps.iter().any(|gap| *gap > pace / 2), "{:?}", answers.gaps);
    }

    #[tokio::test]
    async fn what_is_wrong_is_counted() {
        let fewer = Shape { chunks: 3, ..SHAPE };
        let short = answers(WORK, fewer).await;
        assert_eq!(short.faults.get("text is missing"), Some(&5));
        let larger = Shape { request_bytes: 64 << 10, ..SHAPE };
        let lost = answers(WORK, larger).await;
        assert_eq!(lost.faults.get("status 422"), Some(&5));
    }
}
