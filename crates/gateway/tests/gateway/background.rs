//! Responses that are made although nobody waits: polled, followed, resumed, cancelled.

use latimer_gateway::Config;
use latimer_gateway::config::Timeouts;
use latimer_gateway::state::{Keeper, StateConfig};
use latimer_scratch::PostgresServer;
use serde_json::{Value, json};

use crate::support::*;

fn in_background(stream: bool) -> Vec<u8> {
    let body = json!({"model": "m", "input": "Hi", "background": true, "stream": stream});
    post("", body.to_string())
}

/// Asks for the response until it has this status.
async fn until(gateway: &Gateway, path: &str, status: &str) -> Value {
    let polling = async {
        loop {
            let response = ask(gateway.address, &get(path)).await.json();
            if response["status"] == status {
                return response;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    within(status, polling).await
}

fn path_of(response: &Value) -> String {
    format!("/v1/responses/{}", response["id"].as_str().unwrap())
}

fn answer() -> String {
    EVENTS_HEAD.to_owned() + &piece(&delta("said")) + &piece(STOP) + &piece("")
}

#[tokio::test]
async fn a_response_is_queued_made_and_polled() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let asked = ask(gateway.address, &in_background(false)).await;
    let queued = asked.json();
    assert_eq!((asked.status, queued["status"].as_str()), (200, Some("queued")));
    assert_eq!((&queued["background"], &queued["store"]), (&json!(true), &json!(true)));
    let path = path_of(&queued);
    let (mut line, heard) = backend.heard().await;
    let sent: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(sent["stream"], true, "what is made can be followed");
    let open = until(&gateway, &path, "in_progress").await;
    assert_eq!(open["output"], json!([]));
    let next = json!({"model": "m", "input": "more", "previous_response_id": open["id"]});
    let refused = ask(gateway.address, &post("", next.to_string())).await;
    assert_eq!(
        (refused.status, refused.error()["param"].as_str()),
        (409, Some("previous_response_id"))
    );
    assert_eq!(refused.error()["code"], "response_in_progress");
    line.say(answer()).await;
    let made = until(&gateway, &path, "completed").await;
    assert_eq!(made["output"][0]["content"][0]["text"], "said");
    let client = Client::send(gateway.address, &post("", next.to_string())).await;
    drop(line);
    let (mut line, heard) = backend.heard().await;
    let sent: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(sent["messages"].as_array().unwrap().len(), 3, "it is continued like any other");
    line.say(answer()).await;
    client.finish().await;
}

/// The client leaves in the middle; the answer goes on, and is followed again from where it was.
#[tokio::test]
async fn a_stream_goes_on_without_its_client_and_is_resumed() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut client = Client::send(gateway.address, &in_background(true)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("one "))).await;
    client.wait_for("one ").await;
    let seen = String::from_utf8(client.received.clone()).unwrap();
    let id = seen.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    drop(client);

    let path = format!("/v1/responses/{id}?stream=true");
    let mut follower =
        Client::send(gateway.address, &get(&format!("{path}&starting_after=3"))).await;
    follower.wait_for("one ").await;
    line.say(piece(&delta("two"))).await;
    follower.wait_for("two").await;
    line.say(piece(STOP) + &piece("")).await;
    let rest = follower.finish().await.events();
    assert_eq!(rest[0]["sequence_number"], 4);
    assert_eq!(rest.last().unwrap()["response"]["output"][0]["content"][0]["text"], "one two");

    // Now that it has ended, the store tells the same.
    let all = ask(gateway.address, &get(&path)).await;
    assert_eq!(all.terminal()["response"]["status"], "completed");
    assert_eq!(all.events()[4..], rest[..]);
    let none = ask(gateway.address, &get(&format!("{path}&starting_after=99"))).await;
    assert_eq!((none.status, none.events().len()), (200, 0));
    let extras: Vec<_> = gateway.stop().await.outcomes();
    assert!(extras.iter().all(|outcome| outcome == "completed"), "{extras:?}");
}

/// Two gateways over one database: what one makes, the other tells as it is made, and ends.
#[tokio::test]
async fn a_response_that_another_gateway_makes_is_followed_and_cancelled() {
    let Some(database) = PostgresServer::start().unwrap() else { return };
    let backend = Backend::start().await;
    let store = Keeper::Postgres(database.address());
    let state = StateConfig { store, ..StateConfig::default() };
    let config = || Config { state: state.clone(), ..before(backend.address) };
    let [maker, other] = [Gateway::start(config()).await, Gateway::start(config()).await];
    let queued = ask(maker.address, &in_background(false)).await.json();
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("one "))).await;
    let path = format!("{}?stream=true", path_of(&queued));
    let mut follower = Client::send(other.address, &get(&path)).await;
    follower.wait_for("one ").await;
    line.say(piece(&delta("two"))).await;
    follower.wait_for("two").await;
    line.say(piece(STOP) + &piece("")).await;
    let followed = follower.finish().await;
    let end = followed.terminal();
    assert_eq!(end["response"]["output"][0]["content"][0]["text"], "one two");
    assert_eq!(ask(maker.address, &get(&path)).await.events(), followed.events());

    let queued = ask(maker.address, &in_background(false)).await.json();
    line.request().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("one"))).await;
    until(&maker, &path_of(&queued), "in_progress").await;
    let cancel = post_to(&format!("{}/cancel", path_of(&queued)), "", "");
    assert_eq!(ask(other.address, &cancel).await.json()["status"], "cancelled");
    line.say(piece(&delta("two"))).await;
    line.assert_left().await;
    assert_eq!(ask(maker.address, &get(&path_of(&queued))).await.json()["status"], "cancelled");
}

#[tokio::test]
async fn a_response_is_cancelled_once_and_its_backend_is_let_go() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let queued = ask(gateway.address, &in_background(false)).await.json();
    let path = path_of(&queued);
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("one"))).await;
    until(&gateway, &path, "in_progress").await;
    let cancel = post_to(&format!("{path}/cancel"), "", "");
    let cancelled = ask(gateway.address, &cancel).await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("cancelled")));
    line.assert_left().await;
    assert_eq!(ask(gateway.address, &get(&path)).await.json()["status"], "cancelled");
    assert_eq!(ask(gateway.address, &cancel).await.json()["status"], "cancelled", "again");
    let followed = ask(gateway.address, &get(&format!("{path}?stream=true"))).await;
    assert!(followed.whole);
}

#[tokio::test]
async fn what_cannot_be_cancelled_says_why() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    backend.heard().await.0.say(answer()).await;
    let response = client.finish().await.json();
    let cancel = post_to(&format!("{}/cancel", path_of(&response)), "", "");
    let refused = ask(gateway.address, &cancel).await;
    assert_eq!((refused.status, &refused.error()["type"]), (400, &json!("invalid_request_error")));

    let queued = ask(gateway.address, &in_background(false)).await.json();
    backend.heard().await.0.say(answer()).await;
    until(&gateway, &path_of(&queued), "completed").await;
    let cancel = post_to(&format!("{}/cancel", path_of(&queued)), "", "");
    let refused = ask(gateway.address, &cancel).await;
    assert_eq!((refused.status, &refused.error()["code"]), (409, &json!("conflict")));
    let unknown = ask(gateway.address, &post_to("/v1/responses/resp_none/cancel", "", "")).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_backend_that_refuses_or_breaks_off_leaves_a_failed_response() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let refusal = whole("429 Too Many Requests", "", "{\"error\":{\"message\":\"Slow down.\"}}");
    let cut = EVENTS_HEAD.to_owned() + &piece(&delta("half"));
    for (said, words) in [(refusal, "Slow down."), (cut, "broke")] {
        let queued = ask(gateway.address, &in_background(false)).await.json();
        backend.heard().await.0.say(said).await;
        let failed = until(&gateway, &path_of(&queued), "failed").await;
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
        let followed =
            ask(gateway.address, &get(&format!("{}?stream=true", path_of(&queued)))).await;
        assert_eq!(followed.terminal()["type"], "response.failed");
    }
}

#[tokio::test]
async fn a_gateway_that_stops_leaves_no_response_open() {
    let backend = Backend::start().await;
    let timeouts = Timeouts { drain_ms: 1, ..Timeouts::default() };
    let gateway = Gateway::start(Config { timeouts, ..before(backend.address) }).await;
    ask(gateway.address, &in_background(false)).await;
    let (line, _) = backend.heard().await;
    let recording = gateway.stop().await;
    assert_eq!(recording.outcomes(), ["cancelled"]);
    line.assert_left().await;
}

#[tokio::test]
async fn only_so_many_are_made_at_once_and_all_are_stored() {
    let backend = Backend::start().await;
    let state = StateConfig { background: 1, ..StateConfig::default() };
    let gateway = Gateway::start(Config { state, ..before(backend.address) }).await;
    let first = ask(gateway.address, &in_background(false)).await;
    assert_eq!(first.status, 200);
    let second = ask(gateway.address, &in_background(false)).await;
    assert_eq!((second.status, &second.error()["param"]), (429, &json!("background")));
    let unstored = json!({"input": "x", "background": true, "store": false});
    let refused = ask(gateway.address, &post("", unstored.to_string())).await;
    assert_eq!((refused.status, &refused.error()["param"]), (400, &json!("background")));
}
