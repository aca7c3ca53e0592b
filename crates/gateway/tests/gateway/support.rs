//! The two ends a test puts the gateway between: a client that sends bytes and sees bytes, and a
//! backend that the test plays by hand.

use std::cell::RefCell;
use std::future::Future;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use latimer_gateway::mock::{Mock, Script};
use latimer_gateway::{Config, Dialect, Server, UpstreamConfig};
use latimer_probe::record::exchange::{self, Exchange};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
pub const OPERATOR_KEY: &str = "sk-operator-canary";

/// Waits for what has to happen; a test that waits longer has failed.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let deadline = tokio::time::timeout(Duration::from_secs(10), future).await;
    deadline.unwrap_or_else(|_| panic!("{what}: it did not happen"))
}

/// A directory that is removed when the test's thread ends: only then is nothing left that writes to it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        thread_local!(static KEPT: RefCell<Vec<tempfile::TempDir>> = RefCell::default());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        KEPT.with_borrow_mut(|kept| kept.push(directory));
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A gateway that listens.
pub struct Gateway {
    pub address: SocketAddr,
    pub directory: Folder,
    pub stop: oneshot::Sender<()>,
    pub running: JoinHandle<()>,
}

/// What a gateway has recorded.
pub struct Recording {
    pub text: &'static str,
    pub exchanges: Vec<Exchange<'static>>,
}

impl Gateway {
    pub async fn start(config: Config) -> Gateway {
        Gateway::start_in(Folder::new(), config).await
    }

    pub async fn start_in(directory: Folder, mut config: Config) -> Gateway {
        config.listen = Some(LOCAL);
        config.record = Some(directory.path().to_owned());
        let settings = config.resolve(|_| Some(OPERATOR_KEY.to_owned())).unwrap();
        let server = Server::bind(settings).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let address = server.address();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Gateway { address, directory, stop, running }
    }

    /// Stops it and reads what it recorded.
    pub async fn stop(self) -> Recording {
        let _ = self.stop.send(());
        within("the gateway stops", self.running).await.unwrap();
        let text = std::fs::read_to_string(self.directory.path().join("traffic.jsonl"));
        let text: &'static str = text.unwrap_or_default().leak();
        let exchanges = exchange::read(text.as_bytes()).map(Result::unwrap).collect();
        Recording { text, exchanges }
    }
}

impl Recording {
    /// How each exchange ended.
    pub fn outcomes(&self) -> Vec<String> {
        self.extras().map(|extra| extra["outcome"].as_str().unwrap().to_owned()).collect()
    }

    /// What Latimer noted down about each exchange.
    pub fn extras(&self) -> impl Iterator<Item = Value> {
        let extras = self.exchanges.iter().map(|exchange| exchange.latimer.unwrap());
        extras.map(|extra| serde_json::from_str(extra.as_str()).unwrap())
    }
}

/// The configuration that points at a backend.
pub fn before(backend: SocketAddr) -> Config {
    let url = Some(format!("http://{backend}/v1"));
    let upstream = UpstreamConfig { url, ..UpstreamConfig::default() };
    Config { upstream: Some(upstream), ..Config::default() }
}

/// The same, for a backend that speaks Responses.
pub fn before_responses(backend: SocketAddr) -> Config {
    let mut config = before(backend);
    config.upstream.as_mut().unwrap().dialect = Some(Dialect::Responses);
    config
}

/// The same, for an agent that is asked over HTTP.
pub fn before_agent(backend: SocketAddr) -> Config {
    let mut config = before(backend);
    config.upstream.as_mut().unwrap().dialect = Some(Dialect::Backplane);
    config
}

/// A scripted model.
pub fn model(script: &str) -> Mock {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("script.toml");
    std::fs::write(&path, script).unwrap();
    Mock::new(Script::read(&path).unwrap())
}

/// A scripted model on a port of its own.
pub async fn mock(script: &str) -> SocketAddr {
    serve(model(script)).await
}

/// The address of a model from now on.
pub async fn serve(mock: Mock) -> SocketAddr {
    let (tell, told) = oneshot::channel();
    tokio::spawn(mock.serve(
        LOCAL,
        |address| tell.send(address).unwrap(),
        std::future::pending::<()>(),
    ));
    told.await.unwrap()
}

/// `POST /v1/responses` on a connection that is closed after it. `headers` are whole lines.
pub fn post(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_to("/v1/responses", headers, body)
}

/// The same, to any path.
pub fn post_to(path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A request without a body.
pub fn bare(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
        .into_bytes()
}

/// `GET` on a connection that is closed after it.
pub fn get(path: &str) -> Vec<u8> {
    bare("GET", path, "")
}

pub const ASK_STREAM: &str = r#"{"model":"m","input":"Hi","stream":true}"#;
pub const ASK_WHOLE: &str = r#"{"model":"m","input":"Hi"}"#;

/// A client's connection.
pub struct Client {
    socket: TcpStream,
    pub received: Vec<u8>,
}

impl Client {
    pub async fn send(to: SocketAddr, request: &[u8]) -> Client {
        let mut socket = TcpStream::connect(to).await.unwrap();
        socket.write_all(request).await.unwrap();
        Client { socket, received: Vec::new() }
    }

    /// Says more.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until this text has come.
    pub async fn wait_for(&mut self, text: &str) {
        let seen = |received: &[u8]| String::from_utf8_lossy(received).contains(text);
        let waiting = async {
            while !seen(&self.received) {
                let read = self.socket.read_buf(&mut self.received).await.unwrap();
                assert!(read > 0, "{text:?}: not in {}", String::from_utf8_lossy(&self.received));
            }
        };
        within(text, waiting).await;
    }

    /// Reads to the end of the connection.
    pub async fn finish(mut self) -> Answered {
        let reading =
            async { while let Ok(1..) = self.socket.read_buf(&mut self.received).await {} };
        within("the answer ends", reading).await;
        Answered::parse(&self.received)
    }
}

/// Asks once and reads the whole answer.
pub async fn ask(to: SocketAddr, request: &[u8]) -> Answered {
    Client::send(to, request).await.finish().await
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The pieces of a chunked body.
    pub pieces: Vec<Vec<u8>>,
    /// Whether the body came to its proper end.
    pub whole: bool,
}

impl Answered {
    fn parse(bytes: &[u8]) -> Answered {
        let end = find(bytes, b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answered =
            Answered { status, head, body: Vec::new(), pieces: Vec::new(), whole: false };
        let mut rest = &bytes[end..];
        if let Some(length) = answered.header("content-length") {
            answered.whole = rest.len() == length.parse::<usize>().unwrap();
            answered.body = rest.to_vec();
            return answered;
        }
        while let Some(at) = find(rest, b"\r\n") {
            let size =
                usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
            let Some(piece) = rest.get(at + 2..at + 2 + size) else { break };
            answered.whole = size == 0;
            answered.body.extend_from_slice(piece);
            answered.pieces.push(piece.to_vec());
            rest = rest.get(at + 4 + size..).unwrap_or_default();
        }
        answered
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The `error` of a body in OpenAI's shape.
    pub fn error(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let error = self.json()["error"].clone();
        assert!(error["message"].is_string() && error["type"].is_string(), "{}", self.text());
        error
    }

    /// The events of a stream, each checked against its `event:` line.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text();
        let frames = text.split("\n\n").filter(|frame| frame.contains("data: "));
        let event = |frame: &str| -> Value {
            let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let event: Value = serde_json::from_str(data).unwrap();
            let name = frame.lines().find_map(|line| line.strip_prefix("event: "));
            assert_eq!(name, event["type"].as_str());
            event
        };
        frames.map(event).collect()
    }

    /// The one event that ends the stream; all events are numbered without a gap.
    pub fn terminal(&self) -> Value {
        let events = self.events();
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{}", self.text());
        }
        let ends = ["response.completed", "response.incomplete", "response.failed"];
        let ended = |event: &&Value| ends.contains(&event["type"].as_str().unwrap_or_default());
        assert_eq!(events.iter().filter(ended).count(), 1, "one end: {}", self.text());
        events.into_iter().rfind(|event| ended(&event)).unwrap()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A backend that a test plays.
pub struct Backend {
    listener: TcpListener,
    pub address: SocketAddr,
}

/// One connection to it.
pub struct Line {
    socket: TcpStream,
    unread: Vec<u8>,
}

/// A request as the backend got it.
#[derive(Debug, Default)]
pub struct Heard {
    pub head: String,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Backend {
    pub async fn start() -> Backend {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let address = listener.local_addr().unwrap();
        Backend { listener, address }
    }

    pub async fn accept(&self) -> Line {
        let (socket, _) = within("a connection", self.listener.accept()).await.unwrap();
        Line { socket, unread: Vec::new() }
    }

    /// A connection on which a request has come.
    pub async fn heard(&self) -> (Line, Heard) {
        let mut line = self.accept().await;
        let heard = line.request().await;
        (line, heard)
    }

    /// No connection is waiting. To be asked when the answer is already there.
    pub async fn assert_quiet(&self) {
        let accepted = tokio::time::timeout(Duration::from_millis(50), self.listener.accept());
        assert!(accepted.await.is_err(), "one connection too many");
    }
}

impl Line {
    pub async fn request(&mut self) -> Heard {
        let mut heard = Heard::default();
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                heard.head = String::from_utf8_lossy(&self.unread[..end + 4]).into_owned();
                let length = heard.header("content-length").map_or(0, |text| text.parse().unwrap());
                if self.unread.len() >= end + 4 + length {
                    heard.body = self.unread[end + 4..end + 4 + length].to_vec();
                    self.unread.drain(..end + 4 + length);
                    return heard;
                }
            }
            let read = within("a request", self.socket.read_buf(&mut self.unread)).await.unwrap();
            assert!(read > 0, "the request broke off");
        }
    }

    /// So many bytes, as they come.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let read = within("bytes", self.socket.read_buf(&mut self.unread)).await.unwrap();
            assert!(read > 0, "the connection ended");
        }
        self.unread.drain(..count).collect()
    }

    /// Reads until this text has come, and past it.
    pub async fn wait_for(&mut self, text: &str) {
        let end = loop {
            if let Some(at) = find(&self.unread, text.as_bytes()) {
                break at + text.len();
            }
            let read = within(text, self.socket.read_buf(&mut self.unread)).await.unwrap();
            assert!(read > 0, "{text:?}: not in {}", String::from_utf8_lossy(&self.unread));
        };
        self.unread.drain(..end);
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Closes with a reset instead of a proper end.
    pub fn reset(self) {
        self.socket.set_zero_linger().unwrap();
    }

    /// Says something that may not be heard any more.
    pub async fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.socket.write_all(bytes.as_ref()).await
    }

    /// The gateway closes this connection soon.
    pub async fn assert_left(self) {
        self.left_with().await;
    }

    /// What comes until the gateway closes this connection, which it does soon.
    pub async fn left_with(mut self) -> String {
        let left = async { while let Ok(1..) = self.socket.read_buf(&mut self.unread).await {} };
        tokio::time::timeout(Duration::from_secs(2), left).await.expect("it is closed soon");
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

pub const EVENTS_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
pub const EVENTS_IN_GZIP_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";

/// A piece of a chunked body; an empty one ends it.
pub fn piece(text: &str) -> String {
    format!("{:X}\r\n{text}\r\n", text.len())
}

/// A piece of a chunked body that is no text.
pub fn piece_of(bytes: &[u8]) -> Vec<u8> {
    [format!("{:X}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A whole answer.
pub fn whole(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A whole answer, compressed.
pub fn whole_in_gzip(status: &str, plain: &str) -> Vec<u8> {
    let body = gzip(plain.as_bytes());
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), &body].concat()
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A text delta of Chat Completions.
pub fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

pub const STOP: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
