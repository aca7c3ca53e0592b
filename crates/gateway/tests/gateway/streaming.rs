//! A stream on its way: nothing is held back, nothing is mixed up, silence is filled.

use latimer_gateway::Config;
use latimer_gateway::config::Timeouts;

use crate::support::*;

#[tokio::test]
async fn every_event_is_there_before_the_next_is_sent() {
    let backend = Backend::start().await;
    for dialect in [before, before_responses] {
        let gateway = Gateway::start(dialect(backend.address)).await;
        let mut client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD).await;
        client.wait_for("text/event-stream").await;
        for number in 0..20 {
            let text = format!("<{number}>");
            line.say(piece(&delta(&text))).await;
            client.wait_for(&text).await;
        }
    }
}

/// The end of an answer that is stored may come alone.
const UNSTORED: &str = r#"{"model":"m","input":"Hi","stream":true,"store":false}"#;

#[tokio::test]
async fn what_came_together_leaves_together() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut client = Client::send(gateway.address, &post("", UNSTORED)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("first"))).await;
    client.wait_for("first").await;
    let many: String = (0..30).map(|number| piece(&delta(&format!("<{number}>")))).collect();
    line.say(many + &piece(STOP) + &piece("")).await;
    let answered = client.finish().await;
    let holds = |piece: &Vec<u8>| String::from_utf8_lossy(piece).contains("<0>");
    let together = answered.pieces.iter().find(|piece| holds(piece)).unwrap();
    let together = String::from_utf8_lossy(together);
    assert!(together.contains("\"<29>\"") && together.contains("response.completed"));
}

#[tokio::test]
async fn silence_is_filled_where_an_event_may_stand() {
    let backend = Backend::start().await;
    let timeouts = Timeouts { keep_alive_ms: 20, ..Timeouts::default() };
    for (dialect, half, rest) in [
        (before as fn(_) -> Config, "data: {\"choi", "ces\":[]}\n\n"),
        (before_responses, "data: {\"type\":", "\"x\"}\n\n"),
    ] {
        let gateway =
            Gateway::start(Config { timeouts: timeouts.clone(), ..dialect(backend.address) }).await;
        let mut client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD).await;
        client.wait_for(&piece(": keep-alive\n\n").repeat(3)).await;
        line.say(piece(half)).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        line.say(piece(rest) + &piece(STOP) + &piece("")).await;
        let text = client.finish().await.text();
        assert!(!text.contains("\"type\":: keep-alive"), "no comment inside an event: {text}");
    }
}

#[tokio::test]
async fn a_flood_is_taken_only_as_fast_as_the_client_reads() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    let many = piece(&delta(&"a".repeat(10_000)));
    let mut taken_bytes = 0;
    while tokio::time::timeout(std::time::Duration::from_millis(500), line.say(&many)).await.is_ok()
    {
        taken_bytes += many.len();
        assert!(taken_bytes < 64 << 20, "the gateway keeps what nobody reads");
    }
    drop(client);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_at_once_keep_to_themselves() {
    const STREAMS: usize = 200;
    let script = "delay_ms = 1\npiece = 3\nrule = [{ answer = { text = 'echo {user}' } }]";
    let gateway = Gateway::start(before(mock(script).await)).await;
    let address = gateway.address;
    let clients: Vec<_> = (0..STREAMS)
        .map(|number| {
            tokio::spawn(async move {
                let marker = format!("marker-{number:04}-{number:04}");
                let body = format!("{{\"model\":\"m\",\"input\":\"{marker}\",\"stream\":true}}");
                (marker, ask(address, &post("", body)).await)
            })
        })
        .collect();
    for client in clients {
        let (marker, answered) = client.await.unwrap();
        let completed = answered.terminal();
        assert_eq!(completed["type"], "response.completed");
        let deltas = answered
            .events()
            .into_iter()
            .filter_map(|event| event["delta"].as_str().map(str::to_owned));
        assert_eq!(deltas.collect::<String>(), format!("echo {marker}"));
        let foreign = answered.text().replace(&marker, "").contains("marker-");
        assert!(!foreign, "{marker}");
    }
    let recording = gateway.stop().await;
    assert_eq!(recording.exchanges.len(), STREAMS);
    for line in recording.text.lines() {
        let marker = &line[line.find("marker-").unwrap()..][.."marker-0000-0000".len()];
        assert!(!line.replace(marker, "").contains("marker-"), "{marker}");
    }
}

/// Codex shows no refusal part (0.169, measured), so it gets the words as plain text.
#[tokio::test]
async fn codex_gets_a_refusal_it_can_show() {
    let refusal = "data: {\"choices\":[{\"delta\":{\"refusal\":\"No.\"}}]}\n\n";
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    for (headers, kind) in [("", "refusal"), ("originator: codex_exec\r\n", "output_text")] {
        let client = Client::send(gateway.address, &post(headers, ASK_STREAM)).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD.to_owned() + &piece(refusal) + &piece(STOP) + &piece("")).await;
        let completed = client.finish().await.terminal();
        assert_eq!(completed["response"]["output"][0]["content"][0]["type"], kind);
    }
}
