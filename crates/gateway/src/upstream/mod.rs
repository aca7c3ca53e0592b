//! The only room that opens connections to a model. In: a request. Out: the head of the answer and
//! its body, whose bytes come as one piece per read of the socket.
//!
//! The connection is driven by whoever reads the body, not by a task of its own: dropping the body
//! closes the connection at once, which is how a client that leaves cancels its backend. A
//! connection that ended well goes back to a small pool. It is looked at before it is used again,
//! and a request on a reused connection that dies before the answer begins is sent once more, as is one that
//! the backend says it did not begin with.

mod bell;
mod content;
mod error;
mod program;
mod proxy;
mod reply;
mod shared;
mod sidecar;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use self::content::Outgoing;
pub(crate) use self::content::{Content, Heard, Passing};
pub(crate) use self::error::{UpstreamError, words};
pub use self::proxy::{BadProxy, Proxy};
pub(crate) use self::reply::ReplyBody;
use self::shared::{Fate, Shared};
pub(crate) use self::sidecar::{Sidecar, host, words as command_words};
use crate::config::{Limits, Target, Timeouts};

/// A byte stream to a backend: a socket, TLS over one, or the embedded mock.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Driver = Pin<Box<Connection<TokioIo<Box<dyn Stream>>, Outgoing>>>;

/// Opens a stream to a backend that lives in this process.
pub(crate) type Embedded = Arc<dyn Fn() -> Box<dyn Stream> + Send + Sync>;

/// One backend and the connections to it.
pub(crate) struct Upstream {
    base: Uri,
    /// Host and port, as the messages name the backend, and as a header.
    host: String,
    host_header: Option<HeaderValue>,
    tls: Option<TlsConnector>,
    /// What offers HTTP/2 as well.
    tls_http2: Option<TlsConnector>,
    shared: Shared,
    proxy: Option<Proxy>,
    embedded: Option<Embedded>,
    idle: Mutex<Vec<Line>>,
    idle_max: usize,
    timeouts: Timeouts,
}

/// A connection and the handle that sends on it.
struct Line {
    sender: SendRequest<Outgoing>,
    driver: Driver,
    since: Instant,
}

/// A connection to send on: of one request at a time, or of several.
enum Link {
    Own(Line),
    Shared(shared::Sender),
}

/// A request to a backend.
pub(crate) struct Ask {
    pub method: Method,
    /// Below the base address.
    pub path: Cow<'static, str>,
    pub headers: HeaderMap,
    pub body: Content,
}

impl Ask {
    pub fn post(path: impl Into<Cow<'static, str>>, headers: HeaderMap, body: Bytes) -> Self {
        Ask { method: Method::POST, path: path.into(), headers, body: body.into() }
    }
}

/// What came of sending a request.
pub(crate) struct Reply {
    /// Status and headers.
    pub head: http::response::Parts,
    /// The body.
    pub body: ReplyBody,
    /// How often it was sent: 2 when a reused connection had died.
    pub attempts: u32,
}

impl Upstream {
    /// A backend at `base`. Nothing is opened yet.
    ///
    /// # Errors
    /// When the machine's trusted certificates cannot be used and `base` is https.
    pub fn new(base: Uri, limits: &Limits, timeouts: &Timeouts) -> Result<Self, rustls::Error> {
        let tls = match base.scheme_str() {
            Some("https") => Some(tls_connector(&[HTTP_1])?),
            _ => None,
        };
        Ok(Upstream { tls, ..Upstream::unopened(base, limits, timeouts) })
    }

    /// The same, over HTTP/2 where the backend speaks it.
    ///
    /// # Errors
    /// As for [`Upstream::new`].
    pub fn with_http2(mut self) -> Result<Self, rustls::Error> {
        if self.tls.is_some() {
            self.tls_http2 = Some(tls_connector(&[HTTP_2, HTTP_1])?);
        }
        Ok(self)
    }

    /// The same, through a proxy.
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Upstream { proxy, ..self }
    }

    fn unopened(base: Uri, limits: &Limits, timeouts: &Timeouts) -> Self {
        let authority = base.authority().map(|authority| authority.as_str());
        let host = authority.and_then(|authority| authority.rsplit('@').next());
        let host = host.unwrap_or_default().to_owned();
        Upstream {
            base,
            host_header: host.parse().ok(),
            host,
            tls: None,
            tls_http2: None,
            shared: Shared::default(),
            proxy: None,
            embedded: None,
            idle: Mutex::new(Vec::new()),
            idle_max: limits.idle_upstream_connections,
            timeouts: timeouts.clone(),
        }
    }

    /// A model in this process.
    pub(crate) fn embedded(open: Embedded, limits: &Limits, timeouts: &Timeouts) -> Self {
        let base = Uri::from_static("http://mock.embedded/v1");
        Upstream { embedded: Some(open), ..Upstream::unopened(base, limits, timeouts) }
    }

    /// The backend that the operator has named: at an address, or a program.
    ///
    /// # Errors
    /// When the machine's trusted certificates cannot be used and the address is https.
    pub fn of(
        target: &Target,
        limits: &Limits,
        timeouts: &Timeouts,
    ) -> Result<Self, rustls::Error> {
        if target.command.is_empty() {
            return Upstream::new(target.url.clone(), limits, timeouts);
        }
        let sidecar = Arc::new(Sidecar::new(target.command.clone(), limits, timeouts));
        let base = target.url.clone();
        let open = Some(sidecar.embedded());
        Ok(Upstream { embedded: open, ..Upstream::unopened(base, limits, timeouts) })
    }

    /// Host and port, as the messages name the backend.
    pub fn host(&self) -> String {
        self.host.clone()
    }

    /// The address of `path` below the base.
    pub fn address(&self, path: &str) -> String {
        let scheme = self.base.scheme_str().unwrap_or("http");
        format!("{scheme}://{}{}", self.host(), self.path(path))
    }

    /// A path below the base.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base.path().trim_end_matches('/'))
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// [`UpstreamError`] when no answer begins.
    pub async fn send(self: &Arc<Self>, ask: &Ask) -> Result<Reply, UpstreamError> {
        let build = |body: Outgoing| {
            let mut request = Request::new(body);
            *request.method_mut() = ask.method.clone();
            *request.uri_mut() = self.path(&ask.path).parse().unwrap_or_default();
            *request.headers_mut() = ask.headers.clone();
            if let Some(host) = &self.host_header {
                request.headers_mut().insert(header::HOST, host.clone());
            }
            request
        };
        let mut attempts = 1;
        let broken = || UpstreamError::Closed {
            host: self.host(),
            reason: "the request broke off".to_owned(),
        };
        let body = ask.body.open().ok_or_else(broken)?;
        let reused = match self.shared.get() {
            Some(sender) => Some(Link::Shared(sender)),
            None => self.take_idle().await.map(Link::Own),
        };
        let was_reused = reused.is_some();
        let link = match reused {
            Some(link) => link,
            None => self.connect().await?,
        };
        let mut outcome = self.ask(link, build(body)).await;
        if outcome.as_ref().is_err_and(|error| may_be_sent_again(error, was_reused))
            && let Some(body) = ask.body.open()
        {
            attempts += 1;
            outcome = self.ask(self.connect().await?, build(body)).await;
        }
        let (response, line) = outcome?;
        let (head, incoming) = response.into_parts();
        let body = ReplyBody::new(incoming, line, Arc::clone(self));
        Ok(Reply { head, body, attempts })
    }

    /// An idle connection that is still alive. Each is polled once: what the backend closed while
    /// it lay idle shows itself then.
    async fn take_idle(&self) -> Option<Line> {
        loop {
            let mut line = self.idle.lock().unwrap_or_else(|lock| lock.into_inner()).pop()?;
            let fresh = line.since.elapsed() < Timeouts::of(self.timeouts.idle_upstream_ms);
            let alive = std::future::poll_fn(|cx| {
                let open = line.driver.as_mut().poll(cx).is_pending();
                Poll::Ready(open && line.sender.is_ready())
            });
            if fresh && alive.await {
                return Some(line);
            }
        }
    }

    /// Closes the connections that lay idle for too long.
    pub fn drop_expired(&self) {
        let kept = Timeouts::of(self.timeouts.idle_upstream_ms);
        let mut idle = self.idle.lock().unwrap_or_else(|lock| lock.into_inner());
        idle.retain(|line| line.since.elapsed() < kept);
    }

    fn put_idle(&self, line: Line) {
        let mut idle = self.idle.lock().unwrap_or_else(|lock| lock.into_inner());
        if idle.len() < self.idle_max {
            idle.push(Line { since: Instant::now(), ..line });
        }
    }

    /// A byte stream on which HTTP/1.1 is to be spoken: for what is to become something else.
    ///
    /// # Errors
    /// [`UpstreamError`] when there is none.
    pub async fn line(&self) -> Result<Box<dyn Stream>, UpstreamError> {
        self.open_in_time(self.tls.as_ref()).await.map(|(stream, _)| stream)
    }

    async fn connect(&self) -> Result<Link, UpstreamError> {
        let tls = self.tls_http2.as_ref().or(self.tls.as_ref());
        let (stream, speaks_http2) = self.open_in_time(tls).await?;
        if speaks_http2 {
            let sender = self.shared.begin(stream).await;
            return sender.map(Link::Shared).map_err(|error| self.closed(&error));
        }
        let handshake = Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| self.closed(&error))?;
        Ok(Link::Own(Line { sender, driver: Box::pin(connection), since: Instant::now() }))
    }

    async fn open_in_time(
        &self,
        tls: Option<&TlsConnector>,
    ) -> Result<(Box<dyn Stream>, bool), UpstreamError> {
        let after_ms = self.timeouts.connect_ms;
        let connecting = tokio::time::timeout(Timeouts::of(after_ms), self.open(tls));
        let timed_out = |_| UpstreamError::ConnectTimeout { host: self.host(), after_ms };
        connecting.await.map_err(timed_out)?
    }

    /// A byte stream, and whether HTTP/2 is to be spoken on it.
    async fn open(
        &self,
        tls: Option<&TlsConnector>,
    ) -> Result<(Box<dyn Stream>, bool), UpstreamError> {
        if let Some(open) = &self.embedded {
            return Ok((open(), false));
        }
        let host = self.base.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.base.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let unreachable = |error: std::io::Error| UpstreamError::Unreachable {
            host: self.host(),
            reason: error.to_string(),
        };
        let socket = match &self.proxy {
            Some(proxy) => proxy.connect(host, port).await.map_err(unreachable)?,
            None => TcpStream::connect((host, port)).await.map_err(unreachable)?,
        };
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = tls else { return Ok((Box::new(socket), false)) };
        let failed = |reason: String| UpstreamError::Tls { host: self.host(), reason };
        let name = rustls::pki_types::ServerName::try_from(host.to_owned())
            .map_err(|error| failed(error.to_string()))?;
        let stream = tls.connect(name, socket).await.map_err(|error| failed(error.to_string()))?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok((Box::new(stream), speaks_http2))
    }

    /// Sends on a connection, and waits for the head of the answer.
    async fn ask(
        &self,
        link: Link,
        mut request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Option<Line>), UpstreamError> {
        let sender = match link {
            Link::Own(line) => return self.exchange(line, request).await,
            Link::Shared(sender) => sender,
        };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let scheme = self.base.scheme_str().unwrap_or("http");
        let whole = format!("{scheme}://{}{path}", self.host).parse();
        *request.uri_mut() = whole.unwrap_or_default();
        request.headers_mut().remove(header::HOST);
        let after_ms = self.timeouts.first_byte_ms;
        let sending = shared::send(sender, request);
        let answer = tokio::time::timeout(Timeouts::of(after_ms), sending)
            .await
            .map_err(|_| UpstreamError::FirstByteTimeout { host: self.host(), after_ms })?;
        answer.map(|response| (response, None)).map_err(|error| {
            let (host, reason) = (self.host(), words(&error));
            match shared::fate(&error) {
                Fate::Untaken => UpstreamError::Untaken { host, reason },
                Fate::Reset => UpstreamError::Reset { host, reason },
                Fate::Unknown => self.closed(&error),
            }
        })
    }

    /// Sends on a line and drives it until the head of the answer is there. No line comes back when
    /// the connection ended with that.
    async fn exchange(
        &self,
        line: Line,
        mut request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Option<Line>), UpstreamError> {
        if request.headers().contains_key(header::TE) {
            // It is said to one hop (RFC 9110, 10.1.4); over HTTP/2 that goes without saying.
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
        let Line { mut sender, driver, since } = line;
        let mut driver = Some(driver);
        let mut sending = Box::pin(sender.send_request(request));
        let answer = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(answer) = sending.as_mut().poll(cx) {
                    return Poll::Ready(answer);
                }
                let Some(running) = &mut driver else { return Poll::Pending };
                if running.as_mut().poll(cx).is_pending() {
                    return sending.as_mut().poll(cx);
                }
                // A connection that closed while the request was in its queue says nothing to it;
                // only when it is dropped does the sender learn.
                driver = None;
            }
        });
        let after_ms = self.timeouts.first_byte_ms;
        let answer = tokio::time::timeout(Timeouts::of(after_ms), answer)
            .await
            .map_err(|_| UpstreamError::FirstByteTimeout { host: self.host(), after_ms })?;
        drop(sending);
        let line = driver.map(|driver| Line { sender, driver, since });
        answer.map(|response| (response, line)).map_err(|error| self.closed(&error))
    }

    fn closed(&self, error: &hyper::Error) -> UpstreamError {
        let (host, reason) = (self.host(), words(error));
        match error.is_parse() || error.is_parse_too_large() {
            true => UpstreamError::Invalid { host, reason },
            false => UpstreamError::Closed { host, reason },
        }
    }
}

/// Whether a request may be sent once more: it was not begun with, or it may never have arrived, as its
/// connection had been used before and died.
fn may_be_sent_again(error: &UpstreamError, was_reused: bool) -> bool {
    match error {
        UpstreamError::Untaken { .. } => true,
        UpstreamError::Closed { .. } => was_reused,
        _ => false,
    }
}

/// The names of the protocols in TLS (RFC 7301).
const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";

fn tls_connector(protocols: &[&[u8]]) -> Result<TlsConnector, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, Request};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::mpsc;

    use super::{Ask, Content, Embedded, Upstream, UpstreamError};
    use crate::config::{Limits, Timeouts};

    fn backend() -> (Arc<Upstream>, mpsc::UnboundedReceiver<DuplexStream>) {
        let (opened, lines) = mpsc::unbounded_channel();
        let open: Embedded = Arc::new(move || {
            let (ours, theirs) = tokio::io::duplex(4096);
            opened.send(theirs).expect("the test takes it");
            Box::new(ours)
        });
        let upstream = Upstream::embedded(open, &Limits::default(), &Timeouts::default());
        (Arc::new(upstream), lines)
    }

    /// The backend closes a used connection just after it was looked at and just before it is
    /// written to: hyper then ends the connection without a word to the request in its queue.
    #[tokio::test]
    async fn a_connection_that_ends_as_it_is_used_is_an_error_at_once() {
        let (upstream, mut lines) = backend();
        let first = tokio::spawn({
            let upstream = Arc::clone(&upstream);
            async move {
                let ask = Ask::post("/x", HeaderMap::new(), Bytes::new());
                let sent = upstream.send(&ask).await;
                sent.expect("an answer").body.collect(10, Duration::from_secs(5)).await
            }
        });
        let mut theirs = lines.recv().await.expect("a connection");
        theirs.read_u8().await.expect("a request");
        theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("open");
        assert_eq!(first.await.expect("no panic").as_deref(), Ok(&b"ok"[..]));
        let line = upstream.idle.lock().expect("not poisoned").pop().expect("it is kept");
        drop(theirs);
        let body = Content::from(Bytes::from_static(b"{}")).open().expect("it is whole");
        let request = Request::new(body);
        let sent = upstream.exchange(line, request);
        let sent = tokio::time::timeout(Duration::from_secs(5), sent).await;
        let refused = sent.expect("it does not wait").err();
        assert!(matches!(refused, Some(UpstreamError::Closed { .. })), "{refused:?}");
    }
}
