//! What a gateway keeps, when its process is killed: the real binary, a real kill, the same directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A gateway that will be killed.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(directory: &Path, arguments: &[&str]) -> Serving {
        let mut child = Command::new(env!("CARGO_BIN_EXE_latimer"))
            .current_dir(directory)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("http://") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it did not start: {said}");
        }
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let address = said.split("http://").nth(1).unwrap();
        let address = address.split(['/', ' ', '\n']).next().unwrap().to_owned();
        Serving { child, address }
    }

    /// Ends it as nothing can be prepared for.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks once; the body of the answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        write!(socket, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn id(response: &serde_json::Value) -> &str {
    response["id"].as_str().unwrap_or_else(|| panic!("{response}"))
}

#[test]
fn a_conversation_goes_on_after_a_kill() {
    let here = tempfile::tempdir().unwrap();
    let first = Serving::start(here.path(), &[]);
    let one = first.ask("POST", "/v1/responses", r#"{"model":"m","input":"I am Ada."}"#);
    assert_eq!(one["store"], true);
    first.kill();

    let second = Serving::start(here.path(), &[]);
    let path = format!("/v1/responses/{}", id(&one));
    assert_eq!(second.ask("GET", &path, ""), one);
    let next = format!(r#"{{"model":"m","input":"And?","previous_response_id":"{}"}}"#, id(&one));
    let two = second.ask("POST", "/v1/responses", &next);
    assert_eq!(two["status"], "completed");
    let items = second.ask("GET", &format!("/v1/responses/{}/input_items", id(&two)), "");
    assert_eq!(items["data"][0]["content"][0]["text"], "And?");
}

/// What was made in the background by a process that is gone has failed, and says why.
#[test]
fn a_killed_gateway_leaves_a_failed_response() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("latimer.toml"), "[state]\nlease_s = 1").unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}/v1", silent.local_addr().unwrap());
    let arguments = ["--config", "latimer.toml", "--upstream", &upstream];
    let first = Serving::start(here.path(), &arguments);
    let queued =
        first.ask("POST", "/v1/responses", r#"{"model":"m","input":"x","background":true}"#);
    assert_eq!(queued["status"], "queued");
    first.kill();

    let second = Serving::start(here.path(), &arguments);
    let path = format!("/v1/responses/{}", id(&queued));
    let deadline = Instant::now() + Duration::from_secs(20);
    let failed = loop {
        let response = second.ask("GET", &path, "");
        if response["status"] == "failed" {
            break response;
        }
        assert!(Instant::now() < deadline, "{response}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(failed["error"]["code"], "gateway_stopped");
}
