//! Connections to the backend: they are used again, and one that died while idle costs nothing.

use crate::support::*;

const OK: &str = "{\"choices\":[{\"message\":{\"content\":\"ok\"},\"finish_reason\":\"stop\"}]}";

fn ok() -> String {
    whole("200 OK", "content-type: application/json\r\n", OK)
}

fn streamed() -> String {
    EVENTS_HEAD.to_owned() + &piece(&(delta("ok") + STOP)) + &piece("")
}

/// One exchange on a connection that stays open.
async fn once(gateway: &Gateway, line: &mut Line) {
    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    line.request().await;
    line.say(ok()).await;
    assert_eq!(client.finish().await.status, 200);
}

/// A connection that has served one exchange and stays open.
async fn used(gateway: &Gateway, backend: &Backend) -> Line {
    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    let (mut line, _) = backend.heard().await;
    line.say(ok()).await;
    assert_eq!(client.finish().await.status, 200);
    line
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let first = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(streamed()).await;
    assert_eq!(first.finish().await.terminal()["type"], "response.completed");
    for _ in 0..3 {
        once(&gateway, &mut line).await;
        let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
        line.request().await;
        line.say(streamed()).await;
        assert_eq!(client.finish().await.terminal()["type"], "response.completed");
    }
    backend.assert_quiet().await;
}

#[tokio::test]
async fn a_stream_whose_body_ends_a_little_later_leaves_its_connection_usable() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&(delta("ok") + STOP))).await;
    // The client has its answer before the body has ended.
    assert_eq!(client.finish().await.terminal()["type"], "response.completed");
    line.say(piece("")).await;
    once(&gateway, &mut line).await;
    backend.assert_quiet().await;
}

#[tokio::test]
async fn a_connection_that_is_not_to_be_kept_is_not() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let closing = ok().replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let unasked = ok() + "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen";
    let old = ok().replacen("HTTP/1.1", "HTTP/1.0", 1);
    for said in [closing, unasked, old] {
        let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
        let (mut line, _) = backend.heard().await;
        line.say(said).await;
        let answered = client.finish().await;
        assert_eq!(answered.status, 200);
        assert!(!answered.text().contains("stolen"));
        line.assert_left().await;
    }
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_the_client_nothing() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    for reset in [false, true] {
        let line = used(&gateway, &backend).await;
        if reset {
            line.reset()
        } else {
            drop(line)
        }
        let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
        let (mut line, _) = backend.heard().await;
        line.say(ok().replacen("\r\n", "\r\nconnection: close\r\n", 1)).await;
        assert_eq!(client.finish().await.status, 200, "reset: {reset}");
    }
}

#[tokio::test]
async fn a_request_that_dies_on_a_used_connection_is_sent_once_more() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    for reset in [false, true] {
        let mut line = used(&gateway, &backend).await;
        let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
        let heard = line.request().await;
        if reset {
            line.reset()
        } else {
            drop(line)
        }
        let (mut line, again) = backend.heard().await;
        assert_eq!((heard.head, heard.body), (again.head, again.body));
        line.say(ok().replacen("\r\n", "\r\nconnection: close\r\n", 1)).await;
        assert_eq!(client.finish().await.status, 200, "reset: {reset}");
    }
    let recording = gateway.stop().await;
    let attempts: Vec<_> = recording.extras().map(|extra| extra["attempts"].clone()).collect();
    assert_eq!(attempts, [1, 2, 1, 2]);
}

#[tokio::test]
async fn it_is_sent_no_third_time() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut line = used(&gateway, &backend).await;
    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    line.request().await;
    drop(line);
    drop(backend.heard().await);
    let answered = client.finish().await;
    assert_eq!((answered.status, &answered.error()["code"]), (502, &"upstream_closed".into()));
    backend.assert_quiet().await;
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_read() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let body = format!("{{\"model\":\"m\",\"input\":\"{}\"}}", "a".repeat(8 << 20));
    let request = post("", body);
    let client = tokio::spawn(async move { ask(gateway.address, &request).await });
    let mut line = backend.accept().await;
    line.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await;
    line.say(whole("413 Too Large", "connection: close\r\n", "no")).await;
    let answered = within("the early answer", client).await.unwrap();
    assert_eq!(answered.status, 413, "{}", answered.text());
    line.assert_left().await;
}
