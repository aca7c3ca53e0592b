//! The model backend of every measurement. It serves both dialects on one address, says what the
//! case at hand wants at the pace it wants, and refuses a request that lost its text on the way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Sleep};

use crate::answer::{self, Answer, Dialect};
use crate::dialogue::Shape;

/// How much of a request has to arrive: dialects wrap the same text differently.
const ARRIVING_SHARE: f64 = 0.7;

/// Requests below this are more wrapping than text, and are not held against their size.
const CHECKED_FROM_BYTES: usize = 8 << 10;

/// A backend that listens.
#[derive(Debug)]
pub struct Upstream {
    /// Where.
    pub address: SocketAddr,
    play: Arc<Mutex<Arc<Play>>>,
}

/// What is said to whatever is asked now.
#[derive(Debug)]
struct Play {
    shape: Shape,
    pace: Option<Duration>,
    chat: Arc<Answer>,
    responses: Arc<Answer>,
    /// Whether an answer is begun at all.
    begins: bool,
    /// Who wants to know of requests that come and of askers that go.
    watcher: Option<UnboundedSender<Seen>>,
}

impl Play {
    fn new(shape: Shape, pace: Option<Duration>) -> Play {
        let [chat, responses] =
            [Dialect::Chat, Dialect::Responses].map(|dialect| Arc::new(answer::of(dialect, shape)));
        Play { shape, pace, chat, responses, begins: true, watcher: None }
    }
}

/// What the upstream sees of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A request has come, all of it.
    Asked,
    /// The asker is gone before the answer was over.
    Left(Instant),
}

impl Upstream {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Upstream> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(4096)?;
        let address = listener.local_addr()?;
        let shape = Shape::stream(0, 1);
        let play = Arc::new(Mutex::new(Arc::new(Play::new(shape, None))));
        tokio::spawn(accept(listener, Arc::clone(&play)));
        Ok(Upstream { address, play })
    }

    /// From now on answers in this shape, with this time between two chunks; at full speed without.
    pub fn play(&self, shape: Shape, pace: Option<Duration>) {
        self.set(Play::new(shape, pace));
    }

    /// The same, and tells of requests that come and of askers that go; where an answer is not to be
    /// begun, its head never comes.
    pub fn watch(
        &self,
        shape: Shape,
        pace: Option<Duration>,
        begins: bool,
    ) -> UnboundedReceiver<Seen> {
        let (watcher, seen) = unbounded_channel();
        self.set(Play { begins, watcher: Some(watcher), ..Play::new(shape, pace) });
        seen
    }

    fn set(&self, play: Play) {
        *self.play.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(play);
    }
}

/// Tells when it is dropped, unless the answer was over by then.
#[derive(Debug)]
struct Watch {
    watcher: Option<UnboundedSender<Seen>>,
}

impl Watch {
    fn of(play: &Play) -> Watch {
        let watch = Watch { watcher: play.watcher.clone() };
        watch.tell(Seen::Asked);
        watch
    }

    fn tell(&self, seen: Seen) {
        if let Some(watcher) = &self.watcher {
            // Nobody looks any more once the next case has begun.
            let _ = watcher.send(seen);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tell(Seen::Left(Instant::now()));
    }
}

async fn accept(listener: TcpListener, play: Arc<Mutex<Arc<Play>>>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of files, most likely: some come back with every answer.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        let play = Arc::clone(&play);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let play = Arc::clone(&play.lock().unwrap_or_else(PoisonError::into_inner));
            async move { Ok::<_, Infallible>(answer(request, &play).await) }
        });
        // One write for everything that is ready, so that it can arrive in one read.
        let connection =
            http1::Builder::new().writev(false).serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection);
    }
}

async fn answer(
    request: http::Request<Incoming>,
    play: &Play,
) -> Response<Either<Said, Full<Bytes>>> {
    let dialect = Dialect::of_path(request.uri().path());
    let Ok(arrived) = length(request.into_body()).await else {
        return refusal(StatusCode::BAD_REQUEST);
    };
    let wanted = play.shape.request_bytes;
    let lost = wanted >= CHECKED_FROM_BYTES && (arrived as f64) < wanted as f64 * ARRIVING_SHARE;
    let answer = match dialect {
        None => return refusal(StatusCode::NOT_FOUND),
        Some(_) if lost => return refusal(StatusCode::UNPROCESSABLE_ENTITY),
        Some(Dialect::Chat) => &play.chat,
        Some(Dialect::Responses) => &play.responses,
    };
    let watch = Watch::of(play);
    if !play.begins {
        std::future::pending::<()>().await;
    }
    let kind = if play.shape.stream { "text/event-stream" } else { "application/json" };
    let said = Said::new(Arc::clone(answer), play, watch);
    let mut response = Response::new(Either::Left(said));
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

/// How many bytes a body has, none of which are kept.
async fn length(mut body: Incoming) -> hyper::Result<usize> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}

fn refusal(status: StatusCode) -> Response<Either<Said, Full<Bytes>>> {
    let body = r#"{"error":{"message":"refused by the upstream","type":"invalid_request_error"}}"#;
    let mut response = Response::new(Either::Right(Full::from(body)));
    *response.status_mut() = status;
    response
}

/// An answer on its way, each piece when it is due.
struct Said {
    answer: Arc<Answer>,
    next: usize,
    pace: Option<Pace>,
    /// Known of an answer that is not streamed.
    length: Option<u64>,
    watch: Watch,
}

struct Pace {
    began: Instant,
    step: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Said {
    fn new(answer: Arc<Answer>, play: &Play, watch: Watch) -> Said {
        let pace = play.pace.map(|step| {
            let began = Instant::now();
            Pace { began, step, sleep: Box::pin(tokio::time::sleep_until(began)) }
        });
        let length = answer.iter().map(|(_, piece)| piece.len() as u64).sum();
        Said { answer, next: 0, pace, length: (!play.shape.stream).then_some(length), watch }
    }
}

impl Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((paces, piece)) = self.answer.get(self.next).cloned() else {
            return Poll::Ready(None);
        };
        if let Some(pace) = &mut self.pace {
            let due = pace.began + pace.step * paces;
            if pace.sleep.deadline() != due {
                pace.sleep.as_mut().reset(due);
            }
            ready!(pace.sleep.as_mut().poll(cx));
        }
        self.next += 1;
        if self.is_end_stream() {
            self.watch.watcher = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.answer.len()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
