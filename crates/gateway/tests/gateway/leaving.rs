//! A client that leaves, or reads no more, takes its backend's connection with it, at whatever moment.

use latimer_gateway::Config;
use latimer_gateway::config::Timeouts;

use crate::support::*;

#[tokio::test]
async fn a_client_that_leaves_frees_its_backend() {
    let begun = EVENTS_HEAD.to_owned() + &piece(&delta("Hello"));
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    // what is asked, what the backend has said by then, what the client has seen of it
    let cases: &[(&str, &str, &str, &str)] = &[
        ("before the head", ASK_STREAM, "", ""),
        ("before the head", ASK_WHOLE, "", ""),
        ("before the first event", ASK_STREAM, EVENTS_HEAD, "response.created"),
        ("in the middle", ASK_STREAM, &begun, "Hello"),
        ("in a whole body", ASK_WHOLE, json, ""),
    ];
    let backend = Backend::start().await;
    for dialect in [before, before_responses] {
        let gateway = Gateway::start(dialect(backend.address)).await;
        for (name, body, said, seen) in cases {
            let mut client = Client::send(gateway.address, &post("", body)).await;
            let (mut line, _) = backend.heard().await;
            line.say(said).await;
            if name != &"before the first event" {
                client.wait_for(seen).await;
            }
            drop(client);
            line.assert_left().await;
        }
        let recording = gateway.stop().await;
        assert_eq!(recording.outcomes(), vec!["cancelled"; cases.len()]);
        let last = recording.exchanges.last().unwrap();
        assert!(last.response.is_none(), "no answer was given: {:?}", last.response);
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_the_backend_talks_frees_it_too() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    line.say(piece(&delta("Hello"))).await;
    client.wait_for("Hello").await;
    drop(client);
    let flooded = async { while line.try_say(piece(&delta("more"))).await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(2), flooded).await.expect("it is left");
    assert_eq!(gateway.stop().await.outcomes(), ["cancelled"]);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let backend = Backend::start().await;
    let timeouts = Timeouts { client_write_ms: 100, ..Timeouts::default() };
    let gateway = Gateway::start(Config { timeouts, ..before(backend.address) }).await;
    let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    let many = piece(&delta(&"a".repeat(10_000)));
    within("it is given up", async { while line.try_say(&many).await.is_ok() {} }).await;
    assert_eq!(gateway.stop().await.outcomes(), ["cancelled"]);
    drop(client);
}
