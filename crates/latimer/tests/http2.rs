//! HTTP/2 towards a service, over TLS with a certificate authority of its own: what one connection
//! carries, how it ends, and what is sent again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Listening, latimer};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use latimer_probe::record::account::{Account, Outcome};
use latimer_probe::record::exchange::read;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(10), future).await;
    done.unwrap_or_else(|_| panic!("{what}: it did not happen"))
}

/// A service that speaks HTTP/2, and what listens in on it.
struct Service {
    listener: TcpListener,
    tls: TlsAcceptor,
    capture: Listening,
    here: tempfile::TempDir,
}

/// A connection to it.
struct Line {
    asked: mpsc::UnboundedReceiver<(Request<RecvStream>, SendResponse<Bytes>)>,
    going: mpsc::UnboundedSender<()>,
    serving: tokio::task::JoinHandle<()>,
}

/// The server's side of TLS, and the certificate that a client has to trust.
fn tls(authority: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

impl Service {
    async fn start(is_trusted: bool) -> Service {
        let here = tempfile::tempdir().unwrap();
        let authority = here.path().join("authority.pem");
        let tls = tls(&authority);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = format!("model=https://localhost:{port}/");
        let mut command = latimer(here.path());
        command.args(["capture", "generic", "--upstream", &upstream, "--port", "model=0"]);
        if is_trusted {
            command.env("SSL_CERT_FILE", &authority);
        }
        let mut capture = Listening::start(&mut command);
        capture.address = capture.address.split(' ').next().unwrap().to_owned();
        Service { listener, tls, capture, here }
    }

    async fn accept(&self) -> Line {
        let (socket, _) = within("a connection", self.listener.accept()).await.unwrap();
        let stream = within("TLS", self.tls.accept(socket)).await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (told, asked) = mpsc::unbounded_channel();
        let (going, mut goes) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            loop {
                tokio::select! {
                    next = connection.accept() => match next {
                        Some(Ok(next)) => told.send(next).unwrap(),
                        _ => break,
                    },
                    Some(()) = goes.recv() => connection.graceful_shutdown(),
                }
            }
        });
        Line { asked, going, serving }
    }

    async fn ask(&self, body: &str) -> Client {
        let head = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        self.say(&format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await
    }

    async fn say(&self, request: &str) -> Client {
        let mut socket = TcpStream::connect(&self.capture.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        Client { socket, heard: String::new() }
    }

    fn stop(self) -> Vec<Account> {
        self.capture.stop();
        let recorded = std::fs::read(self.here.path().join("latimer/traffic.jsonl")).unwrap();
        read(&recorded).map(|exchange| exchange.unwrap().account().unwrap()).collect()
    }
}

impl Line {
    /// The next request, when its body is here.
    async fn asked(&mut self) -> (String, SendResponse<Bytes>) {
        let (request, respond) = self.begun().await;
        let mut incoming = request.into_body();
        let mut body = Vec::new();
        while let Some(piece) = within("the body", incoming.data()).await {
            let piece = piece.unwrap();
            incoming.flow_control().release_capacity(piece.len()).unwrap();
            body.extend_from_slice(&piece);
        }
        (String::from_utf8(body).unwrap(), respond)
    }

    async fn begun(&mut self) -> (Request<RecvStream>, SendResponse<Bytes>) {
        within("a request", self.asked.recv()).await.expect("the connection is open")
    }
}

fn events(mut respond: SendResponse<Bytes>) -> SendStream<Bytes> {
    let head = Response::builder().header("content-type", "text/event-stream");
    respond.send_response(head.body(()).unwrap(), false).unwrap()
}

fn answer(mut respond: SendResponse<Bytes>) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data("ok".into(), true).unwrap();
}

struct Client {
    socket: TcpStream,
    heard: String,
}

impl Client {
    async fn wait_for(&mut self, text: &str) {
        let mut piece = vec![0; 1 << 12];
        while !self.heard.contains(text) {
            let read = within(text, self.socket.read(&mut piece)).await.unwrap();
            assert!(read > 0, "{text:?} is not in {}", self.heard);
            self.heard += std::str::from_utf8(&piece[..read]).unwrap();
        }
    }

    async fn finish(mut self) -> String {
        let mut rest = String::new();
        let _ = within("the end", self.socket.read_to_string(&mut rest)).await;
        self.heard + &rest
    }
}

const CREATED: &str = "data: {\"type\":\"response.created\"}\n\n";
const COMPLETED: &str = "data: {\"type\":\"response.completed\",\"response\":{}}\n\n";

#[tokio::test]
async fn a_stream_comes_piece_by_piece_and_its_trailers_are_written_down() {
    let service = Service::start(true).await;
    let mut client = service.ask("one").await;
    let mut line = service.accept().await;
    let (body, respond) = line.asked().await;
    assert_eq!(body, "one");
    let mut stream = events(respond);
    stream.send_data(CREATED.into(), false).unwrap();
    client.wait_for("response.created").await;
    stream.send_data(COMPLETED.into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
    assert!(client.finish().await.ends_with("0\r\n\r\n"), "it is whole");

    // Two at once on the same connection.
    let (one, two) = (service.ask("two").await, service.ask("three").await);
    for _ in 0..2 {
        answer(line.asked().await.1);
    }
    assert!(one.finish().await.ends_with("\r\nok\r\n0\r\n\r\n"));
    assert!(two.finish().await.ends_with("\r\nok\r\n0\r\n\r\n"));
    let accounts = service.stop();
    assert!(accounts.iter().all(|account| account.outcome == Some(Outcome::Completed)));
    assert_eq!(accounts.len(), 3);
    assert!(accounts[0].trailers.contains_key("x-checksum"), "{:?}", accounts[0].trailers);
    assert_eq!(accounts[0].response_bytes, Some((CREATED.len() + COMPLETED.len()) as u64));
    assert!(accounts[0].upstream.as_ref().unwrap().starts_with("https://localhost:"));
}

#[tokio::test]
async fn a_stream_that_is_reset_breaks_off_and_a_client_that_leaves_resets_it() {
    let service = Service::start(true).await;
    let mut client = service.ask("one").await;
    let mut line = service.accept().await;
    let mut stream = events(line.asked().await.1);
    stream.send_data(CREATED.into(), false).unwrap();
    client.wait_for("response.created").await;
    stream.send_reset(Reason::INTERNAL_ERROR);
    let heard = client.finish().await;
    assert!(!heard.ends_with("0\r\n\r\n"), "no end is made up: {heard}");

    let mut client = service.ask("two").await;
    let mut stream = events(line.asked().await.1);
    stream.send_data(CREATED.into(), false).unwrap();
    client.wait_for("response.created").await;
    drop(client);
    let reset = std::future::poll_fn(|cx| stream.poll_reset(cx));
    assert_eq!(within("a reset", reset).await.unwrap(), Reason::CANCEL);

    // A request that breaks off has no end here either.
    let head = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\n";
    let client = service.say(&format!("{head}transfer-encoding: chunked\r\n\r\n1\r\na\r\n")).await;
    let mut incoming = line.begun().await.0.into_body();
    assert_eq!(within("a piece", incoming.data()).await.unwrap().unwrap(), "a");
    drop(client);
    let end = within("the end", incoming.data()).await;
    assert!(end.is_some_and(|end| end.is_err()), "it is reset");
    let outcomes: Vec<_> = service.stop().iter().map(|of| of.outcome.unwrap()).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Cancelled, Outcome::Cancelled]);
}

#[tokio::test]
async fn only_what_the_service_did_not_take_is_sent_again() {
    let service = Service::start(true).await;
    let client = service.ask("one").await;
    let mut line = service.accept().await;
    answer(line.asked().await.1);
    assert!(client.finish().await.contains("ok"));

    // A connection that says goodbye is left when its streams are over.
    line.going.send(()).unwrap();
    within("it is over", line.serving).await.unwrap();
    let client = service.ask("two").await;
    let mut line = service.accept().await;
    answer(line.asked().await.1);
    assert!(client.finish().await.contains("ok"));

    // What is refused was not begun (RFC 9113, 8.7).
    let client = service.ask("three").await;
    line.asked().await.1.send_reset(Reason::REFUSED_STREAM);
    let mut line = service.accept().await;
    let (body, respond) = line.asked().await;
    assert_eq!(body, "three");
    answer(respond);
    assert!(client.finish().await.contains("ok"));

    // Any other reset may come after the work was done.
    let client = service.ask("four").await;
    line.asked().await.1.send_reset(Reason::INTERNAL_ERROR);
    assert!(client.finish().await.starts_with("HTTP/1.1 502 "));

    // A connection that was used before and died without a word is not asked twice for one request.
    let client = service.ask("five").await;
    let asked = line.asked().await;
    line.serving.abort();
    drop((asked, line.asked));
    let mut line = service.accept().await;
    answer(line.asked().await.1);
    assert!(client.finish().await.contains("ok"));
    let accounts = service.stop();
    let attempts: Vec<_> = accounts.iter().map(|account| account.attempts.unwrap()).collect();
    assert_eq!(attempts, [1, 1, 2, 0, 2]);
}

#[tokio::test]
async fn a_service_that_is_not_trusted_is_told_nothing() {
    let service = Service::start(false).await;
    let client = service.ask("a secret").await;
    let (socket, _) = within("a connection", service.listener.accept()).await.unwrap();
    assert!(within("TLS", service.tls.accept(socket)).await.is_err());
    let heard = client.finish().await;
    assert!(heard.starts_with("HTTP/1.1 502 ") && heard.contains("TLS"), "{heard}");
    assert_eq!(service.stop()[0].outcome, Some(Outcome::Failed));
}
