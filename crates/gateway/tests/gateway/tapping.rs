//! Listening in: nothing is changed on the way, everything is written down.

use latimer_gateway::tap::{Channel, Tap};
use latimer_gateway::{Config, Proxy};
use latimer_probe::record::account::ControlKind::{Close, Ping, Pong};
use latimer_probe::record::account::Side::{Client as Asker, Server};
use latimer_probe::record::account::{Account, Outcome};
use latimer_probe::record::exchange::{Exchange, Payload};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

/// A channel that is listened on.
pub struct Tapped {
    pub address: std::net::SocketAddr,
    directory: Folder,
    stop: tokio::sync::oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Tapped {
    async fn start(upstream: String, proxy: Option<&str>) -> Tapped {
        Tapped::start_with(upstream, proxy, Config::default()).await
    }

    pub async fn start_with(upstream: String, proxy: Option<&str>, config: Config) -> Tapped {
        let directory = Folder::new();
        let channel = Channel {
            name: "model".to_owned(),
            listen: LOCAL,
            upstream: upstream.parse().unwrap(),
            proxy: proxy.map(|url| Proxy::parse(url).unwrap()),
        };
        let config = Config { record: Some(directory.path().to_owned()), ..config };
        let tap = Tap::bind(vec![channel], &config).await.unwrap();
        let address = tap.channels()[0].1;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let running = tokio::spawn(tap.run(async {
            let _ = stopped.await;
        }));
        Tapped { address, directory, stop, running }
    }

    /// Stops listening and reads what was written down.
    pub async fn stop(self) -> Vec<(Exchange<'static>, Account)> {
        let _ = self.stop.send(());
        within("it stops", self.running).await.unwrap();
        let text = std::fs::read_to_string(self.directory.path().join("traffic.jsonl")).unwrap();
        let text: &'static str = text.leak();
        let exchanges = latimer_probe::record::exchange::read(text.as_bytes()).map(Result::unwrap);
        exchanges.map(|exchange| (exchange.clone(), exchange.account().unwrap())).collect()
    }
}

fn text_of<'a>(exchange: &'a Exchange<'_>) -> &'a str {
    match &exchange.response.as_ref().unwrap().body {
        Payload::Text(text) => text,
        other => panic!("no text: {other:?}"),
    }
}

const COMPLETED: &str = "\u{feff}: a comment\r\n\r\ndata: {\"type\":\"response.created\"}\r\n\r\n\
    event: odd\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\
    \"output_tokens\":4}}}\n\ndata: [DONE]\n\nrest";

#[tokio::test]
async fn every_byte_goes_through_as_it_is() {
    let backend = Backend::start().await;
    let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
    let headers =
        "session-id: s\r\nx-codex-turn-metadata: {\"turn_id\":\"t\"}\r\naccept-encoding: zebra\r\n";
    let request = post_to("/v1/responses?a=%20b", headers, ASK_STREAM);
    let client = Client::send(tapped.address, &request).await;
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.starts_with("POST /v1/responses?a=%20b HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(heard.header("accept-encoding"), Some("zebra"));
    assert_eq!(heard.header("host"), Some(&*backend.address.to_string()));
    assert_eq!(heard.body, ASK_STREAM.as_bytes());
    let head =
        EVENTS_HEAD.replace("\r\n\r\n", "\r\nopenai-model: other\r\nx-codex-turn-state: z\r\n\r\n");
    line.say(head + &piece(COMPLETED) + &piece("")).await;
    let answered = client.finish().await;
    assert_eq!(answered.text(), COMPLETED);
    assert_eq!(answered.header("openai-model"), Some("other"));
    assert_eq!(answered.header("x-codex-turn-state"), Some("z"));
    assert_eq!(answered.header("x-request-id"), None, "nothing is added");

    // Errors, other paths, other methods.
    let client = Client::send(
        tapped.address,
        b"PUT /backend-api/thing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )
    .await;
    let heard = line.request().await;
    assert!(heard.head.starts_with("PUT /backend-api/thing "), "{}", heard.head);
    line.say(whole("418 Teapot", "x-odd: 1\r\n", "<html>no</html>")).await;
    let answered = client.finish().await;
    assert_eq!((answered.status, answered.text()), (418, "<html>no</html>".to_owned()));
    assert_eq!(answered.header("content-length"), Some("15"));

    let address = backend.address;
    let recorded = tapped.stop().await;
    let (exchange, account) = &recorded[0];
    assert_eq!(exchange.request.url, format!("http://{address}/v1/responses?a=%20b"));
    assert_eq!(text_of(exchange), COMPLETED);
    assert_eq!(account.outcome, Some(Outcome::Completed));
    assert_eq!((account.session.as_deref(), account.turn.as_deref()), (Some("s"), Some("t")));
    assert_eq!(account.frames_us.len(), 3);
    assert_eq!(account.usage.map(|usage| (usage.input, usage.output)), Some((3, 4)));
    assert_eq!(account.route.as_ref().unwrap().door, "model");
    let (exchange, account) = &recorded[1];
    assert_eq!(text_of(exchange), "<html>no</html>");
    assert_eq!(account.outcome, Some(Outcome::Failed));
}

#[tokio::test]
async fn trailers_go_to_a_client_that_takes_them_and_are_written_down() {
    let backend = Backend::start().await;
    let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
    let head = EVENTS_HEAD.replace("\r\n\r\n", "\r\ntrailer: x-request-id, x-sum\r\n\r\n");
    let trailers = "x-request-id: r\r\nx-request-id: q\r\nx-sum: s\r\n";
    for (takes, passed_on) in [("te: deflate, Trailers\r\n", trailers), ("te: deflate\r\n", "")] {
        let mut client = Client::send(tapped.address, &post(takes, ASK_STREAM)).await;
        let (mut line, heard) = backend.heard().await;
        let (te, of_this_hop) = (heard.header("te"), heard.header("connection"));
        let is_taken = !passed_on.is_empty();
        assert_eq!((te, of_this_hop), is_taken.then_some(("trailers", "te")).unzip());
        line.say(format!("{head}{}0\r\n{trailers}\r\n", piece(COMPLETED))).await;
        client.wait_for(&format!("rest\r\n0\r\n{passed_on}\r\n")).await;
    }
    for (_, account) in tapped.stop().await {
        assert_eq!(account.outcome, Some(Outcome::Completed));
        let written: Vec<_> = account.trailers.iter().collect();
        let [id, sum] = [("x-request-id", "r, q"), ("x-sum", "[REDACTED]")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(written, [(&id.0, &id.1), (&sum.0, &sum.1)]);
    }
}

#[tokio::test]
async fn an_answer_that_comes_whole_says_how_it_ended_and_what_it_used() {
    let backend = Backend::start().await;
    let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
    let cut_short = "{\"object\":\"response\",\"status\":\"incomplete\",\
        \"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}";
    let client = Client::send(tapped.address, &post("", ASK_WHOLE)).await;
    let (mut line, _) = backend.heard().await;
    line.say(whole_in_gzip("200 OK", cut_short)).await;
    assert_eq!(client.finish().await.status, 200);
    let (exchange, account) = tapped.stop().await.remove(0);
    let body = &exchange.response.as_ref().unwrap().body;
    assert_eq!(body.json().map(|json| json.raw().as_str()), Some(cut_short));
    assert_eq!(account.outcome, Some(Outcome::Incomplete));
    assert_eq!(account.usage.map(|usage| (usage.input, usage.output)), Some((3, 4)));
    assert_eq!(account.response_coding.as_deref(), Some("gzip"));
    assert_eq!(account.response_bytes, Some(gzip(cut_short.as_bytes()).len() as u64));
}

/// The key of a client comes back in every form it may take, in answers and on a WebSocket.
#[tokio::test]
async fn no_key_of_a_client_is_written_down() {
    const KEY: &str = "canary/\"ключ\"+1";
    let forms = [
        KEY.to_owned(),
        KEY.replace('"', "\\\""),
        "canary%2F%22%D0%BA%D0%BB%D1%8E%D1%87%22%2B1".to_owned(),
        "Y2FuYXJ5LyLQutC70Y7RhyIrMQ==".to_owned(),
    ];
    let backend = Backend::start().await;
    let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
    let key = format!("authorization: Bearer {KEY}\r\n");
    let said = forms.join(" and ");
    let client = Client::send(tapped.address, &post(&key, &said)).await;
    let (mut line, heard) = backend.heard().await;
    assert_eq!(heard.header("authorization"), Some(&*format!("Bearer {KEY}")));
    line.say(whole("401 No", "", &said)).await;
    assert_eq!(client.finish().await.text(), said);
    let mut client = TcpStream::connect(tapped.address).await.unwrap();
    let handshake = format!(
        "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n{key}upgrade: websocket\r\n\r\n"
    );
    client.write_all(handshake.as_bytes()).await.unwrap();
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.contains(KEY));
    line.say("HTTP/1.1 101 Switching\r\n\r\n").await;
    let answers: Vec<u8> = forms
        .iter()
        .flat_map(|form| [frame(1, false, form.as_bytes()), frame(9, false, form.as_bytes())])
        .flatten()
        .chain(frame(8, false, format!("\x03\u{20}{KEY}").as_bytes()))
        .collect();
    line.say(&answers).await;
    let mut heard = vec![0; "HTTP/1.1 101 Switching\r\n\r\n".len() + answers.len()];
    within("all of it", client.read_exact(&mut heard)).await.unwrap();
    drop((client, line));
    let path = tapped.directory.path().join("traffic.jsonl");
    assert_eq!(tapped.stop().await.len(), 2);
    let recorded = std::fs::read_to_string(path).unwrap();
    let escaped_twice = forms[1].replace('\\', "\\\\");
    for form in forms.iter().chain([&escaped_twice]) {
        assert!(!recorded.contains(form), "{form} in {recorded}");
    }
    assert!(recorded.matches("[REDACTED]").count() >= 2 * forms.len());
}

#[tokio::test]
async fn a_stream_goes_on_as_it_comes_and_breaks_as_it_breaks() {
    let backend = Backend::start().await;
    let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
    let mut client = Client::send(tapped.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece("data: {\"type\":\"response.cr")).await;
    client.wait_for("response.cr").await;
    line.reset();
    let answered = client.finish().await;
    assert!(!answered.whole, "no end is made up");
    let mut client = Client::send(tapped.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece("data: {\"type\":\"response.created\"}\n\n")).await;
    client.wait_for("response.created").await;
    drop(client);
    line.assert_left().await;
    let outcomes: Vec<_> =
        tapped.stop().await.into_iter().map(|(_, account)| account.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Failed), Some(Outcome::Cancelled)]);
}

/// A frame of a WebSocket.
fn frame(code: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | code];
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => frame.push(mask | short as u8),
        long => {
            frame.push(mask | 126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    if masked {
        frame.extend([1, 2, 3, 4]);
        frame.extend(
            payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask),
        );
    } else {
        frame.extend(payload);
    }
    frame
}

async fn hears(client: &mut TcpStream, wanted: &[u8]) {
    let mut heard = vec![0; wanted.len()];
    within("it is passed on", client.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, wanted);
}

#[tokio::test]
async fn what_is_said_on_a_websocket_is_written_down_turn_by_turn() {
    let backend = Backend::start().await;
    let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
    let handshake = "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nsec-websocket-version: 13\r\nthread-id: t\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut client = TcpStream::connect(tapped.address).await.unwrap();
    client.write_all(handshake.as_bytes()).await.unwrap();
    let (mut line, heard) = backend.heard().await;
    assert_eq!(heard.header("upgrade"), Some("websocket"));
    assert_eq!(heard.header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    let welcome =
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-odd: 1\r\n\r\n";
    line.say(welcome).await;
    hears(&mut client, welcome.as_bytes()).await;
    let ping = frame(9, false, b"there?");
    line.say(&ping).await;
    hears(&mut client, &ping).await;
    for turn in ["one", "two"] {
        let request = format!("{{\"type\":\"response.create\",\"input\":\"{turn}\"}}");
        let request = frame(1, true, request.as_bytes());
        client.write_all(&request).await.unwrap();
        assert_eq!(line.read(request.len()).await, request, "masked as it came");
        let begun = frame(1, false, b"{\"type\":\"response.created\"}");
        let ended = frame(
            1,
            false,
            format!("{{\"type\":\"response.completed\",\"n\":\"{turn}\"}}").as_bytes(),
        );
        let pinged = frame(9, false, b"");
        let answer = [begun, pinged, ended].concat();
        line.say(&answer).await;
        hears(&mut client, &answer).await;
        let pong = frame(10, true, b"");
        client.write_all(&pong).await.unwrap();
        assert_eq!(line.read(pong.len()).await, pong);
    }
    let goodbye = frame(8, true, b"\x03\xe8enough");
    client.write_all(&goodbye).await.unwrap();
    assert_eq!(line.read(goodbye.len()).await, goodbye);
    let goodbye = frame(8, false, b"\x03\xe8");
    line.say(&goodbye).await;
    hears(&mut client, &goodbye).await;
    drop(line);
    let mut rest = Vec::new();
    within("the end", client.read_to_end(&mut rest)).await.unwrap();
    drop(client);
    let address = backend.address;
    let recorded = tapped.stop().await;
    assert_eq!(recorded.len(), 3);
    assert_eq!(recorded[0].1.outcome, Some(Outcome::Completed), "nothing was asked");
    let control = recorded.iter().map(|(_, account)| {
        let socket = account.websocket.as_ref().unwrap();
        let frames = socket.control.iter();
        frames.map(|of| (of.by, of.kind, of.code, of.text.as_str())).collect::<Vec<_>>()
    });
    let (ping, pong) = ((Server, Ping, None, ""), (Asker, Pong, None, ""));
    let wanted = [
        vec![(Server, Ping, None, "there?")],
        vec![ping, pong],
        vec![ping, pong, (Asker, Close, Some(1000), "enough"), (Server, Close, Some(1000), "")],
    ];
    assert_eq!(control.collect::<Vec<_>>(), wanted);
    for ((number, turn), (exchange, account)) in (1..).zip(["one", "two"]).zip(&recorded[1..]) {
        assert_eq!(exchange.request.url, format!("ws://{address}/v1/responses"));
        assert_eq!(exchange.request.method, "GET");
        let body = exchange.request.body.json().expect("JSON");
        assert_eq!(body.root().member_text("input").as_deref(), Some(turn));
        assert_eq!(exchange.response.as_ref().unwrap().status_code, Some(101));
        assert_eq!(text_of(exchange).matches("data: ").count(), 2);
        assert_eq!(account.frames_us.len(), 2);
        assert_eq!(account.outcome, Some(Outcome::Completed));
        assert_eq!(account.thread.as_deref(), Some("t"));
        let socket = account.websocket.as_ref().unwrap();
        assert_eq!(socket.message, number);
        assert_eq!(socket.connection, recorded[0].1.websocket.as_ref().unwrap().connection);
    }
}

#[tokio::test]
async fn a_websocket_that_is_refused_is_a_failure_as_it_came() {
    for path in ["/v1/responses", "/other"] {
        let backend = Backend::start().await;
        let tapped = Tapped::start(format!("http://{}/", backend.address), None).await;
        let handshake = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\n\r\n"
        );
        let client = Client::send(tapped.address, handshake.as_bytes()).await;
        let (mut line, _) = backend.heard().await;
        line.say(whole("426 Upgrade", "x-odd: 1\r\n", "{\"no\":1}")).await;
        drop(line);
        let answered = client.finish().await;
        assert_eq!((answered.status, answered.text()), (426, "{\"no\":1}".to_owned()));
        let recorded = tapped.stop().await;
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].0.response.as_ref().unwrap().status_code, Some(426));
        assert_eq!(recorded[0].1.outcome, Some(Outcome::Failed));
    }
}

/// A proxy that lets one connection through, after it was asked as it should be.
async fn proxy(
    asked: &'static [(&'static [u8], &'static [u8])],
    target: std::net::SocketAddr,
) -> u16 {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        for (wanted, answer) in asked {
            let mut heard = vec![0; wanted.len()];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, *wanted);
            client.write_all(answer).await.unwrap();
        }
        let mut backend = TcpStream::connect(target).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut backend).await;
    });
    port
}

#[tokio::test]
async fn proxies_are_asked_in_their_ways() {
    const WELCOME: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    // the scheme and login, what the proxy hears, what it answers
    type Case = (&'static str, &'static [(&'static [u8], &'static [u8])]);
    let cases: &[Case] = &[
        (
            "http://me:pw@",
            &[(
                b"CONNECT model.invalid:80 HTTP/1.1\r\nhost: model.invalid:80\r\n\
                  proxy-authorization: Basic bWU6cHc=\r\n\r\n",
                b"HTTP/1.1 200 OK\r\n\r\n",
            )],
        ),
        (
            "socks5h://me:pw@",
            &[
                (&[5, 1, 2], &[5, 2]),
                (b"\x01\x02me\x02pw", &[1, 0]),
                (b"\x05\x01\x00\x03\x0dmodel.invalid\x00\x50", WELCOME),
            ],
        ),
        (
            "socks5h://",
            &[(&[5, 1, 0], &[5, 0]), (b"\x05\x01\x00\x03\x0dmodel.invalid\x00\x50", WELCOME)],
        ),
    ];
    for (scheme, asked) in cases {
        let backend = Backend::start().await;
        let port = proxy(asked, backend.address).await;
        let through = format!("{scheme}127.0.0.1:{port}");
        let tapped = Tapped::start("http://model.invalid/".to_owned(), Some(&through)).await;
        let client = Client::send(tapped.address, &post("", ASK_WHOLE)).await;
        let (mut line, heard) = backend.heard().await;
        assert_eq!(heard.header("host"), Some("model.invalid"));
        line.say(whole("200 OK", "content-type: application/json\r\n", "{\"id\":1}")).await;
        assert_eq!(client.finish().await.text(), "{\"id\":1}");
        assert_eq!(tapped.stop().await.len(), 1);
    }
    // One that refuses is an error that names it.
    let backend = Backend::start().await;
    const REFUSED: &[(&[u8], &[u8])] =
        &[(b"CONNECT model.invalid:80 HTTP/1.1\r\n", b"HTTP/1.1 407 No\r\n\r\n")];
    let port = proxy(REFUSED, backend.address).await;
    let through = format!("http://127.0.0.1:{port}");
    let tapped = Tapped::start("http://model.invalid/".to_owned(), Some(&through)).await;
    let answered = ask(tapped.address, &post("", ASK_WHOLE)).await;
    assert_eq!(answered.status, 502);
    assert!(
        answered.text().contains("407") && answered.text().contains("proxy"),
        "{}",
        answered.text()
    );
}
