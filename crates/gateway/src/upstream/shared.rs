//! Connections that several requests share: HTTP/2, where a backend offers it over TLS. Such a
//! connection is driven by a task of its own; a body that is dropped resets its stream, not the
//! connection.

use std::sync::Mutex;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::Stream;
use super::content::Outgoing;

/// How much of one answer may be under way, in bytes; what is more waits for its client.
const WINDOW_BYTES: u32 = 1 << 20;

/// Sends requests on a shared connection.
pub(super) type Sender = http2::SendRequest<Outgoing>;

/// The shared connection to a backend, if there is one.
#[derive(Default)]
pub(super) struct Shared(Mutex<Option<Sender>>);

impl Shared {
    /// The connection, while it takes requests.
    pub fn get(&self) -> Option<Sender> {
        let mut sender = self.0.lock().unwrap_or_else(|lock| lock.into_inner());
        *sender = sender.take().filter(|sender| !sender.is_closed());
        sender.clone()
    }

    /// Begins a connection, which from now on is the one.
    pub async fn begin(&self, stream: Box<dyn Stream>) -> hyper::Result<Sender> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).initial_stream_window_size(WINDOW_BYTES);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a shared connection to the backend ended");
            }
        });
        *self.0.lock().unwrap_or_else(|lock| lock.into_inner()) = Some(sender.clone());
        Ok(sender)
    }
}

/// Sends a request, once there is room for it.
pub(super) async fn send(
    mut sender: Sender,
    request: Request<Outgoing>,
) -> hyper::Result<Response<Incoming>> {
    sender.ready().await?;
    sender.send_request(request).await
}

/// What became of a request without an answer.
pub(super) enum Fate {
    /// The backend says that it did not begin with it (RFC 9113, 8.7): it refused the stream, or said
    /// goodbye before it.
    Untaken,
    /// The backend gave it up, but not the connection.
    Reset,
    /// The connection ended, or more is not known.
    Unknown,
}

/// What an error says of the request.
pub(super) fn fate(error: &hyper::Error) -> Fate {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    match cause {
        Some(cause) if !cause.is_remote() => Fate::Unknown,
        Some(cause) if cause.is_go_away() => Fate::Untaken,
        Some(cause) if cause.reason() == Some(h2::Reason::REFUSED_STREAM) => Fate::Untaken,
        Some(cause) if cause.is_reset() => Fate::Reset,
        _ => Fate::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::super::content::Content;
    use super::{Shared, send};

    #[tokio::test]
    async fn several_requests_share_a_connection_until_it_ends() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let echo = service_fn(async |request: Request<hyper::body::Incoming>| {
            let said = format!("{} {}", request.method(), request.uri());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(said))))
        });
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let serving =
            tokio::spawn(async move { serving.serve_connection(TokioIo::new(theirs), echo).await });
        let shared = Shared::default();
        assert!(shared.get().is_none());
        shared.begin(Box::new(ours)).await.expect("a connection");
        let empty = || Content::from(Bytes::new()).open().expect("it is whole");
        let ask = async |path: &str| {
            let uri = format!("https://model.invalid{path}");
            let request = Request::get(uri).body(empty()).expect("a request");
            let answer = send(shared.get().expect("it is open"), request).await.expect("an answer");
            answer.into_body().collect().await.expect("a body").to_bytes()
        };
        let (one, two) = tokio::join!(ask("/1"), ask("/2"));
        assert_eq!(&*one, b"GET https://model.invalid/1");
        assert_eq!(&*two, b"GET https://model.invalid/2");
        serving.abort();
        let closed = async {
            while shared.get().is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), closed)
            .await
            .expect("it is let go");
    }
}
