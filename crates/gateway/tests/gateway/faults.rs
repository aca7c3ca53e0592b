//! Every fault of the mock, and what a client of the gateway sees of it: the catalogue in
//! `docs/faults.md`. `UPDATE_FIXTURES=1` writes it; otherwise it has to be true.

use std::net::SocketAddr;
use std::path::Path;

use latimer_gateway::Config;
use latimer_gateway::config::{Limits, Timeouts};
use latimer_gateway::mock::{FAULTS, FaultKind, Number};
use serde_json::Value;

use crate::support::*;

const SCRIPT: &str = "piece = 4\nrule = [{ answer = { text = 'naïve 東京, and so on to the end', \
    output_tokens = 9 } }]";

/// Small enough that the faults which are about size or time are over soon.
fn small(config: Config) -> Config {
    let limits = Limits {
        event_bytes: 50_000,
        stream_bytes: 100_000,
        answer_bytes: 50_000,
        ..Limits::default()
    };
    let timeouts = Timeouts { idle_ms: 300, first_byte_ms: 1_000, ..Timeouts::default() };
    Config { limits, timeouts, ..config }
}

/// The fault with a number that is no larger than needed.
fn named(fault: &FaultKind) -> String {
    match fault.name {
        "keepalive_only" => "keepalive_only:0".to_owned(),
        "status" => "status:429".to_owned(),
        name => match fault.number {
            Number::Of { what: "MiB", .. } => format!("{name}:1"),
            _ => name.to_owned(),
        },
    }
}

/// Orders a fault at the mock.
async fn order(mock: SocketAddr, fault: &str, times: u32) {
    let body = format!("{{\"fault\":\"{fault}\",\"times\":{times}}}");
    let answered = ask(mock, &post_to("/mock/fault", "", body)).await;
    assert_eq!(answered.json()["pending"], times, "{fault}: {}", answered.text());
}

/// The last event of a stream.
fn last_event(text: &str) -> Value {
    let last = text.lines().rfind(|line| line.starts_with("data: {")).unwrap_or_default();
    serde_json::from_str(last.trim_start_matches("data: ")).unwrap_or_default()
}

/// What a client sees, in few words.
fn seen(answered: &Answered) -> String {
    let status = answered.status;
    if status != 200 {
        let error = answered.error();
        let code = error["code"].as_str().or(error["type"].as_str());
        return format!("{status} `{}`", code.unwrap());
    }
    let whole = if answered.whole { "" } else { ", broken off" };
    if answered.header("content-type") == Some("application/json") {
        return format!("{status}, a whole answer{whole}");
    }
    let last = last_event(&answered.text());
    let code = last["response"]["error"]["code"].as_str();
    let code = code.map_or(String::new(), |code| format!(", `{code}`"));
    let name = match last["type"].as_str() {
        Some(name @ ("response.completed" | "response.failed")) => format!("`{name}`"),
        _ => "no last event".to_owned(),
    };
    format!("{name}{code}{whole}")
}

/// What clients of a gateway before the mock see of each fault. The request after it is answered,
/// and the recording knows how each has ended.
async fn outcomes(mock: SocketAddr, config: Config, body: &str) -> Vec<String> {
    let gateway = Gateway::start(small(config)).await;
    let mut all = Vec::new();
    for fault in FAULTS {
        // Twice: a reused connection that dies at once is asked anew on another.
        order(mock, &named(fault), 2).await;
        let answered = ask(gateway.address, &post("", body)).await;
        assert!(!answered.text().contains("stolen"), "{}", fault.name);
        all.push(seen(&answered));
        order(mock, fault.name, 0).await;
        let next = ask(gateway.address, &post("", ASK_STREAM)).await;
        assert_eq!(next.terminal()["type"], "response.completed", "after {}", fault.name);
    }
    let recorded = gateway.stop().await.outcomes();
    assert_eq!(recorded.len(), 2 * FAULTS.len());
    for ((fault, seen), outcome) in FAULTS.iter().zip(&all).zip(recorded.iter().step_by(2)) {
        let sound = ["`response.completed`", "200, a whole answer"].contains(&&**seen);
        assert_eq!(outcome, if sound { "completed" } else { "failed" }, "{}: {seen}", fault.name);
    }
    all
}

fn number(fault: &FaultKind) -> String {
    match fault.number {
        Number::None => String::new(),
        Number::Frames => "frames before it; half of them".to_owned(),
        Number::Of { what, default, .. } => format!("{what}; {default}"),
    }
}

#[tokio::test]
async fn the_catalogue_of_faults_is_true() {
    let mock = mock(SCRIPT).await;
    let translated = outcomes(mock, before(mock), ASK_STREAM).await;
    let passed = outcomes(mock, before_responses(mock), ASK_STREAM).await;
    let whole = outcomes(mock, before(mock), ASK_WHOLE).await;
    let agent = outcomes(mock, before_agent(mock), ASK_STREAM).await;
    let mut rows = String::new();
    for (index, fault) in FAULTS.iter().enumerate() {
        let short =
            if fault.short.is_empty() { String::new() } else { format!(", `{}`", fault.short) };
        rows += &format!(
            "| `{}`{short} | {} | {} | {} | {} | {} | {} |\n",
            fault.name,
            fault.does,
            number(fault),
            translated[index],
            passed[index],
            whole[index],
            agent[index],
        );
    }
    let page = include_str!("faults.md").replace("{rows}", &rows);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(page, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

#[tokio::test]
async fn a_fault_is_asked_for_by_header_order_or_script() {
    let script = "rule = [
        { when = { user = 'script' }, answer = { text = 'a' }, fault = { kind = 'status:418' } },
        { answer = { text = 'a' } } ]";
    let mock = mock(script).await;
    let asked = |headers: &str, user: &str| {
        let body = format!("{{\"model\":\"m\",\"input\":\"{user}\"}}");
        let request = post(headers, body);
        async move { ask(mock, &request).await }
    };
    let ordered =
        |body: &'static str| async move { ask(mock, &post_to("/mock/fault", "", body)).await };
    let by_header = asked("latimer-fault: status:429\r\n", "").await;
    assert_eq!((by_header.status, by_header.header("retry-after")), (429, Some("7")));
    assert_eq!(asked("", "").await.status, 200);
    assert_eq!(asked("", "script").await.status, 418);
    ordered(r#"{"fault":"status:500","times":2}"#).await;
    for status in [500, 500, 200] {
        assert_eq!(asked("", "").await.status, status);
    }
    ordered(r#"{"fault":"status:500"}"#).await;
    ordered(r#"{"fault":"status:500","times":0}"#).await;
    assert_eq!(asked("", "").await.status, 200, "the order was taken back");

    let unknown = asked("latimer-fault: melt\r\n", "").await;
    assert_eq!((unknown.status, &unknown.error()["code"]), (400, &"unknown_fault".into()));
    assert!(unknown.text().contains("close_before_head"), "it says what there is");
    for (body, word) in [
        (r#"{"fault":"melt"}"#, "there is no fault `melt`"),
        (r#"{"fault":"status:200"}"#, "one from 400 to 599"),
        (r#"{"fault":"garbage:2"}"#, "takes none"),
        (r#"{"fault":"garbage","time":2}"#, "unknown field `time`"),
    ] {
        let refused = ordered(body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.text().contains(word), "{body}: {}", refused.text());
    }
}

#[tokio::test]
async fn what_is_played_is_what_the_table_says() {
    // Each at a mock of its own: ids count the answers.
    let played = |fault: &str| {
        let request = post(&format!("latimer-fault: {fault}\r\n"), ASK_STREAM);
        async move { Client::send(mock(SCRIPT).await, &request).await }
    };
    let sound = played("bad_json:0").await.finish().await;
    let frames: Vec<String> =
        sound.text().split_inclusive("\n\n").skip(1).map(str::to_owned).collect();
    let body = frames.concat();
    let cut = played("close_mid_stream:3").await.finish().await;
    assert_eq!((cut.text(), cut.whole), (frames[..3].concat(), false));
    let half = played("close_mid_utf8:3").await.finish().await.body;
    assert!(half.ends_with(b"\xc3") && std::str::from_utf8(&half).is_err());
    let marked = played("bom").await.finish().await;
    assert_eq!(marked.text(), format!("\u{feff}{body}"));
    let split = played("split_bytes").await.finish().await;
    assert_eq!(
        (split.text(), split.pieces.len(), split.whole),
        (body.clone(), body.len() + 1, true)
    );
    let flooded = played("flood:2").await.finish().await;
    assert!(flooded.body.len() > 2 << 20 && flooded.whole);
    assert_eq!(last_event(&flooded.text())["type"], "response.completed");
    let huge = played("huge_event:2").await.finish().await;
    let longest = huge.text().lines().map(str::len).max().unwrap();
    assert!(longest > 2 << 20 && huge.whole);
    let short = played("truncated_length").await.finish().await;
    assert_eq!((short.text(), short.whole), (body, false));
    let squeezed = played("gzip_bomb_response:50").await.finish().await;
    assert_eq!(squeezed.header("content-encoding"), Some("gzip"));
    assert!(squeezed.body.len() < 1 << 20, "{} bytes", squeezed.body.len());
}
