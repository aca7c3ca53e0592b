//! Days on which the store is locked, full, frozen or corrupt: answers go on or fail, as configured, and
//! none says that it is stored which is not.

use std::io::Write;
use std::path::Path;

use latimer_gateway::state::{Keeper, StateConfig};
use latimer_gateway::{Config, Server};
use latimer_scratch::PostgresServer;
use rusqlite::Connection;
use serde_json::json;

use crate::support::*;

const SAID: &str = "[[rule]]\nanswer = { text = \"said\" }";

/// How the store is on a bad day: whether what is in it can still be read.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    On,
    Not,
}

async fn gateway(store: Keeper, fail_closed: bool, more: StateConfig) -> Gateway {
    let state = StateConfig { store, fail_closed, wait_ms: 300, ..more };
    Gateway::start(Config { state, ..before(mock(SAID).await) }).await
}

/// How many answers the gateway says it could not store.
async fn unstored(gateway: &Gateway) -> u64 {
    let health = ask(gateway.address, &get("/healthz")).await.json();
    assert_eq!(health["status"], "ok");
    health["state"]["unstored"].as_u64().unwrap()
}

/// An answer is stored and can be had; its path. A store that has just come up may not be in time for the
/// first.
async fn good(gateway: &Gateway) -> String {
    let stored = async {
        loop {
            let answered = ask(gateway.address, &post("", ASK_WHOLE)).await.json();
            if answered["store"] == true {
                return answered;
            }
        }
    };
    let answered = within("an answer is stored", stored).await;
    assert_eq!(answered["status"], "completed");
    let path = format!("/v1/responses/{}", answered["id"].as_str().unwrap());
    assert_eq!(ask(gateway.address, &get(&path)).await.json(), answered);
    path
}

/// Answers go on and say that they are not stored, or fail; `path` is that of one that is stored.
async fn bad(gateway: &Gateway, fail_closed: bool, path: &str, reads: Reads) {
    let before = unstored(gateway).await;
    let streamed = ask(gateway.address, &post("", ASK_STREAM)).await.terminal();
    let whole = ask(gateway.address, &post("", ASK_WHOLE)).await;
    assert_eq!(streamed["response"]["store"], false);
    match fail_closed {
        true => {
            assert_eq!(streamed["response"]["error"]["code"], "state_unavailable");
            assert_eq!((whole.status, whole.header("retry-after")), (503, Some("2")));
        }
        false => {
            assert_eq!(streamed["type"], "response.completed");
            assert_eq!((whole.status, &whole.json()["store"]), (200, &json!(false)));
            assert!(whole.header("latimer-notes").unwrap().contains("response_not_stored=1"));
        }
    }
    assert_eq!(unstored(gateway).await, before + 2);
    let read = ask(gateway.address, &get(path)).await;
    assert_eq!(read.status, if reads == Reads::On { 200 } else { 503 }, "{}", read.text());
    let aside = json!({"input": "x", "store": false}).to_string();
    assert_eq!(ask(gateway.address, &post("", aside)).await.status, 200, "who stores nothing");
    let background = json!({"input": "x", "background": true}).to_string();
    let refused = ask(gateway.address, &post("", background)).await;
    assert_eq!((refused.status, &refused.error()["code"]), (503, &json!("state_unavailable")));
}

fn database(directory: &Path) -> Connection {
    Connection::open(directory.join("state.db")).unwrap()
}

#[tokio::test]
async fn a_file_that_another_has_locked() {
    for fail_closed in [false, true] {
        let gateway = gateway(Keeper::Sqlite, fail_closed, StateConfig::default()).await;
        let path = good(&gateway).await;
        let other = database(gateway.directory.path());
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        bad(&gateway, fail_closed, &path, Reads::On).await;
        other.execute_batch("COMMIT").unwrap();
        good(&gateway).await;
    }
}

#[tokio::test]
async fn a_tenant_that_has_no_room_left() {
    for store in [Keeper::Sqlite, Keeper::Memory] {
        for fail_closed in [false, true] {
            let little = StateConfig { tenant_bytes: Some(4_000), ..StateConfig::default() };
            let gateway = gateway(store.clone(), fail_closed, little).await;
            let path = good(&gateway).await;
            while ask(gateway.address, &post("", ASK_WHOLE)).await.text().contains("\"store\":true")
            {
            }
            bad(&gateway, fail_closed, &path, Reads::On).await;
            assert_eq!(ask(gateway.address, &bare("DELETE", &path, "")).await.status, 200);
            good(&gateway).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_frozen() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    for fail_closed in [false, true] {
        let store = Keeper::Postgres(server.address());
        let gateway = gateway(store, fail_closed, StateConfig::default()).await;
        let path = good(&gateway).await;
        server.freeze().unwrap();
        bad(&gateway, fail_closed, &path, Reads::Not).await;
        server.thaw().unwrap();
        let back = async { while ask(gateway.address, &get(&path)).await.status != 200 {} };
        within("it is found again", back).await;
        good(&gateway).await;
    }
}

/// What is read is refused, and answers go on: what is written is lost and says so, or reaches what the
/// process still knows of the file.
#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_used() {
    let gateway = gateway(Keeper::Sqlite, false, StateConfig::default()).await;
    let path = good(&gateway).await;
    // Long enough to have pages of its own, which nobody has read yet.
    let long = json!({"model": "m", "input": "a".repeat(100_000)}).to_string();
    let unread = ask(gateway.address, &post("", long)).await.json();
    for name in ["state.db", "state.db-wal"] {
        let path = gateway.directory.path().join(name);
        let length = std::fs::metadata(&path).unwrap().len() as usize;
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all(&vec![0xa5; length]).unwrap();
    }
    let next =
        json!({"model": "m", "input": "x", "previous_response_id": unread["id"]}).to_string();
    for request in [post("", next), get(&path)] {
        let read = ask(gateway.address, &request).await;
        assert_eq!((read.status, &read.error()["code"]), (503, &json!("state_unavailable")));
    }
    for request in [post("", ASK_WHOLE), post("", ASK_STREAM)] {
        let answered = ask(gateway.address, &request).await;
        assert_eq!((answered.status, answered.whole), (200, true));
        assert!(answered.text().contains("\"status\":\"completed\""));
    }
}

#[tokio::test]
async fn a_file_that_was_damaged_before_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.db");
    std::fs::write(&file, "no database, whatever its name says").unwrap();
    let config = Config {
        listen: Some(LOCAL),
        record: Some(directory.path().to_owned()),
        ..Config::default()
    };
    let refused = Server::bind(config.resolve(|_| None).unwrap()).await.err().unwrap().to_string();
    assert!(refused.contains(&file.display().to_string()) && refused.contains("move"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), b"no database, whatever its name says");
}
