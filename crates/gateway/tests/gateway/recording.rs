//! What is written down of an exchange, what is not, and that traffic outlives the disk.

use latimer_gateway::Config;
use latimer_gateway::config::Limits;
use latimer_probe::record::account::Outcome;
use latimer_probe::record::exchange::{Payload, Unreadable};
use serde_json::json;

use crate::support::*;

const CANARIES: &str = "authorization: Bearer canary-a\r\ncookie: canary-b\r\n\
    x-api-key: canary-c\r\nopenai-organization: canary-d\r\nx-made-up: canary-e\r\n";

#[tokio::test]
async fn an_exchange_becomes_one_line() {
    let gateway = Gateway::start(Config::default()).await;
    let body = "{\"model\":\"m\",\r\n\"input\":\"Hi\",\"stream\":true,\
        \"tools\":[{\"type\":\"computer_use\"}]}";
    let answered = ask(gateway.address, &post("", body)).await;
    assert!(answered.header("latimer-notes").is_some());
    let address = gateway.address;
    let recording = gateway.stop().await;
    assert_eq!(recording.text.matches('\n').count(), 1);
    let [exchange] = recording.exchanges.as_slice() else { panic!("{}", recording.text) };
    assert_eq!(exchange.request.url, format!("http://{address}/v1/responses"));
    let one_line = body.replace(['\r', '\n'], " ");
    assert_eq!(exchange.request.body.json().map(|json| json.raw().as_str()), Some(&*one_line));
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(response.status_code, Some(200));
    assert_eq!(response.body, Payload::Text(answered.text().into()));
    let extra = recording.extras().next().unwrap();
    assert_eq!(extra["outcome"], "completed");
    assert_eq!(extra["attempts"], 1);
    assert_eq!(extra["notes"][0]["code"], "tool_dropped");
    assert!(answered.text().contains(extra["id"].as_str().unwrap()));
    assert_eq!(extra["route"], json!({"door": "responses", "way": "lift", "dialect": "chat"}));
    assert_eq!(extra["request_bytes"], body.len());
    assert_eq!(extra["response_bytes"], answered.body.len());
    let frames = extra["frames_us"].as_array().unwrap();
    assert_eq!(frames.len(), answered.events().len());
    assert_eq!(extra["first_event_us"], frames[0]);
    let last_us: u64 = frames.iter().map(|delta_us| delta_us.as_u64().unwrap()).sum();
    assert!(last_us <= extra["duration_us"].as_u64().unwrap());
    assert_eq!(latimer_probe::seal::holds(recording.text.as_bytes()), Some(true));
    assert_eq!(exchange.account().unwrap().outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn what_came_compressed_is_recorded_plain_with_its_size_and_times() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let squeezed = gzip(ASK_STREAM.as_bytes());
    let request = post("content-encoding: gzip\r\naccept-encoding: gzip\r\n", &squeezed);
    let client = Client::send(gateway.address, &request).await;
    let (mut line, _) = backend.heard().await;
    let events =
        "data: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.completed\"}\n\n";
    let answer = gzip(events.as_bytes());
    let pieces = [EVENTS_IN_GZIP_HEAD.as_bytes(), &piece_of(&answer), b"0\r\n\r\n"];
    line.say(pieces.concat()).await;
    client.finish().await;
    let recording = gateway.stop().await;
    let account = recording.exchanges[0].account().unwrap();
    assert_eq!(
        recording.exchanges[0].response.as_ref().unwrap().body,
        Payload::Text(events.into())
    );
    assert_eq!(account.frames_us.len(), 2);
    assert_eq!(account.request_bytes, Some(squeezed.len() as u64));
    assert_eq!(account.response_bytes, Some(answer.len() as u64));
    assert_eq!(account.request_coding.as_deref(), Some("gzip"));
    assert_eq!(account.response_coding.as_deref(), Some("gzip"));
    assert_eq!(account.route.unwrap().way.as_deref(), Some("pass"));
}

#[tokio::test]
async fn a_request_that_comes_again_says_so() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut answers = [whole("503 No", "", "busy"), whole("503 No", "", "busy")].to_vec();
    answers.push(whole("200 OK", "", "{\"choices\":[{\"message\":{\"content\":\"Hi\"}}]}"));
    for answer in answers {
        let asking = post("session-id: s\r\nthread-id: t\r\n", ASK_WHOLE);
        let client = Client::send(gateway.address, &asking).await;
        let (mut line, _) = backend.heard().await;
        line.say(answer).await;
        client.finish().await;
    }
    let recording = gateway.stop().await;
    let accounts: Vec<_> =
        recording.exchanges.iter().map(|exchange| exchange.account().unwrap()).collect();
    let attempts: Vec<_> = accounts.iter().map(|account| account.attempt).collect();
    assert_eq!(attempts, [None, Some(2), Some(3)]);
    assert_eq!(accounts[2].retry_of, accounts[1].id);
    assert_eq!(accounts[0].session.as_deref(), Some("s"));
    assert_eq!(accounts[0].thread.as_deref(), Some("t"));
}

#[tokio::test]
async fn no_secret_is_written_down_or_given_back() {
    let backend = Backend::start().await;
    let echoed =
        format!("{{\"error\":{{\"message\":\"Wrong key {OPERATOR_KEY}\",\"code\":\"k\"}}}}");
    let json = "content-type: application/json\r\n";
    let event = "{\"type\":\"error\",\"code\":\"k\",\"message\":\"Wrong key KEY\"}";
    let event = format!("data: {}\n\n", event.replace("KEY", OPERATOR_KEY));
    let in_stream = EVENTS_HEAD.to_owned() + &piece(&format!("data: {echoed}\n\n")) + &piece("");
    let passed_on = EVENTS_HEAD.to_owned() + &piece(&event) + &piece("");
    // the dialect, what the backend answers, whether the client may see what it says
    type To = fn(std::net::SocketAddr) -> Config;
    let cases: &[(To, String, bool)] = &[
        (before, whole("401 No", json, &echoed), false),
        (before, whole("500 No", "", OPERATOR_KEY), false),
        (before, in_stream, false),
        (before, whole("200 OK", json, &echoed), false),
        (before_responses, whole("401 No", json, &echoed), false),
        (before_responses, passed_on, true),
    ];
    for (dialect, said, untouched) in cases {
        let mut config = dialect(backend.address);
        config.upstream.as_mut().unwrap().api_key_env = Some("KEY".to_owned());
        let gateway = Gateway::start(config).await;
        let request = String::from_utf8(post(CANARIES, ASK_STREAM)).unwrap();
        let request = request.replacen("/v1/responses", "/v1/responses?api-key=canary-f&a=1", 1);
        let client = Client::send(gateway.address, request.as_bytes()).await;
        let (mut line, heard) = backend.heard().await;
        assert!(!heard.head.contains("canary-f"), "a query is not passed on: {}", heard.head);
        line.say(said).await;
        drop(line);
        let answered = client.finish().await;
        assert!(answered.text().contains("Wrong key") || said.starts_with("HTTP/1.1 500"));
        assert!(*untouched || !answered.text().contains(OPERATOR_KEY), "{}", answered.text());
        let recording = gateway.stop().await;
        assert_eq!(recording.exchanges.len(), 1);
        assert!(!recording.text.contains("canary"), "{}", recording.text);
        assert!(recording.text.contains("/v1/responses?api-key=[REDACTED]&a=1"));
    }
}

#[tokio::test]
async fn an_absolute_address_in_the_request_does_not_confuse_the_record() {
    let gateway = Gateway::start(Config::default()).await;
    let request = "GET http://u:canary@elsewhere/v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(ask(gateway.address, request.as_bytes()).await.status, 200);
    let address = gateway.address;
    let recording = gateway.stop().await;
    assert_eq!(recording.exchanges[0].request.url, format!("http://{address}/v1/models"));
}

#[tokio::test]
async fn a_long_answer_is_kept_up_to_the_limit() {
    let limits = Limits { recorded_bytes: 3_000, ..Limits::default() };
    let backend = Backend::start().await;
    let gateway = Gateway::start(Config { limits, ..before(backend.address) }).await;
    let mut client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    for text in ["one", &"long".repeat(1_000), "two"] {
        line.say(piece(&delta(text))).await;
        client.wait_for(text).await;
    }
    line.say(piece(STOP) + &piece("")).await;
    let text = client.finish().await.text();
    let recording = gateway.stop().await;
    let Some(Payload::Text(kept)) = recording.exchanges[0].response.clone().map(|r| r.body) else {
        panic!("{}", recording.text)
    };
    assert!(text.starts_with(&*kept), "what is kept has no gap");
    let left_out = recording.extras().next().unwrap()["left_out_bytes"].clone();
    assert_eq!(left_out, json!(text.len() - kept.len()));
}

#[tokio::test]
async fn traffic_goes_on_when_the_recording_cannot() {
    let directory = Folder::new();
    std::os::unix::fs::symlink("/dev/full", directory.path().join("traffic.jsonl")).unwrap();
    let full = Gateway::start_in(directory, Config::default()).await;
    for _ in 0..3 {
        assert_eq!(ask(full.address, &post("", ASK_STREAM)).await.status, 200);
    }

    let removed = Gateway::start(Config::default()).await;
    let path = removed.directory.path().join("traffic.jsonl");
    assert_eq!(ask(removed.address, &post("", ASK_STREAM)).await.status, 200);
    within("the first record", async {
        while std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    std::fs::remove_dir_all(removed.directory.path()).unwrap();
    assert_eq!(ask(removed.address, &post("", ASK_STREAM)).await.status, 200);
    assert_eq!(removed.stop().await.exchanges.len(), 1, "the file is made anew");
}

#[tokio::test]
async fn a_torn_last_line_spoils_no_other() {
    let directory = Folder::new();
    let path = directory.path().join("traffic.jsonl");
    std::fs::write(&path, "{\"timestamp\": 1, \"req").unwrap();
    let gateway = Gateway::start_in(directory, Config::default()).await;
    assert_eq!(ask(gateway.address, &post("", ASK_STREAM)).await.status, 200);
    let _ = gateway.stop.send(());
    within("it stops", gateway.running).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = latimer_probe::record::exchange::read(text.as_bytes()).collect();
    let [Err(Unreadable::Incident { incident, .. }), Ok(_)] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert!(incident.torn && incident.cut_bytes == 21);
}

#[tokio::test]
async fn the_mock_writes_down_what_left_it() {
    let script = "rule = [
        { when = { user = 'cut' }, answer = { text = 'Half.' }, fault = { kind = 'cut', after = 2 } },
        { when = { user = 'wait' }, answer = { text = 'Half.' }, fault = { kind = 'stall', after = 2 } },
        { answer = { text = 'Whole.' } },
    ]";
    let directory = Folder::new();
    let mock = serve(model(script).recording(directory.path()).unwrap()).await;
    let asking = |text: &str| post("", ASK_STREAM.replace("Hi", text));
    let mut sent = vec![ask(mock, &asking("Hi")).await, ask(mock, &asking("cut")).await];
    let mut client = Client::send(mock, &asking("wait")).await;
    client.wait_for("response.in_progress").await;
    drop(client);
    sent.push(ask(mock, &asking("Bye")).await);
    let lines = within("four lines", lines(&directory.path().join("traffic.jsonl"), 4)).await;
    let outcomes: Vec<_> = lines.iter().map(|line| &line["latimer"]["outcome"]).collect();
    assert_eq!(outcomes, ["completed", "failed", "cancelled", "completed"]);
    for (line, sent) in [&lines[0], &lines[1], &lines[3]].into_iter().zip(sent) {
        assert_eq!(line["response"]["body"], sent.text());
    }
    assert_eq!(lines[2]["request"]["body"]["input"], "wait");
}

/// The lines of a recording, once there are so many.
async fn lines(path: &std::path::Path, count: usize) -> Vec<serde_json::Value> {
    loop {
        let text = std::fs::read_to_string(path).unwrap();
        if text.matches('\n').count() == count {
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
