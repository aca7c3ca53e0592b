//! The binary as a user meets it: what it prints, how it exits, and what it leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Listening, ask, latimer, run, text};

#[test]
fn help_shows_how_to_begin() {
    let here = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (vec!["--help"], vec!["latimer serve", "latimer run codex", "report", "mock"]),
        (vec!["serve", "--help"], vec!["--upstream", "--dialect", "--no-record", "curl"]),
        (vec!["run", "--help"], vec!["--program", "thrown away"]),
        (vec!["report", "--help"], vec!["--layout"]),
        (vec!["mock", "--help"], vec!["--script", "--stdio", "[[rule]]"]),
        (vec!["replay", "--help"], vec!["--speed", "--record-missing", "evenly", "404"]),
        (vec!["receipt", "--help"], vec!["verify", "--signing-key", "openssl"]),
        (vec!["check", "--help"], vec!["--explain", "Exit code"]),
        (vec!["--version"], vec!["latimer 0"]),
    ] {
        let output = run(here.path(), &arguments);
        assert!(output.status.success());
        for word in words {
            assert!(text(&output.stdout).contains(word), "{arguments:?}: {word}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("bad.toml"), "[limits]\nbody_byte = 1").unwrap();
    std::fs::write(here.path().join("bad-script.toml"), "[[rule]]\nanwser = {}").unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["serve", "--config", "bad.toml"], &["bad.toml", "body_byte", "line 2"]),
        (&["serve", "--config", "none.toml"], &["none.toml"]),
        (&["serve", "--listen", "0.0.0.0:0"], &["0.0.0.0:0", "--open"]),
        (&["serve", "--upstream", "nonsense"], &["nonsense", "http://"]),
        (&["serve", "--upstream", "http://h", "--api-key-env", "NO_SUCH"], &["NO_SUCH"]),
        (&["serve", "--record", "bad.toml/x"], &["bad.toml/x", "--no-record"]),
        (&["mock", "--script", "bad-script.toml"], &["bad-script.toml", "anwser", "line 2"]),
        (&["report", "none.jsonl"], &["none.jsonl"]),
        (&["replay", "none.jsonl"], &["none.jsonl"]),
        (&["replay", "bad.toml"], &["bad.toml", "nothing to play", "line 1"]),
        (&["replay", "bad.toml", "--listen", "0.0.0.0:0"], &["0.0.0.0:0", "--open"]),
        (&["run", "codex", "--program", "no-such-codex", "--", "x"], &["no-such-codex", "install"]),
    ];
    for (arguments, words) in cases {
        let output = run(here.path(), arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        for word in *words {
            assert!(said.contains(word), "{arguments:?}: {word:?} is missing in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
    let homes = std::fs::read_dir(here.path().join("cache/latimer")).unwrap();
    assert_eq!(homes.count(), 0, "nothing is left behind");
}

#[test]
fn serve_and_mock_say_where_they_listen_and_stop_when_told() {
    const ASK: &str = r#"{"model":"m","input":"Hi","stream":true}"#;
    let here = tempfile::tempdir().unwrap();
    let script = "[[rule]]\nanswer = { text = 'scripted' }";
    std::fs::write(here.path().join("script.toml"), script).unwrap();
    let arguments = ["mock", "--script", "script.toml", "--listen", "127.0.0.1:0"];
    let mock = Listening::start(latimer(here.path()).args(arguments));
    let url = format!("http://{}/v1", mock.address);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--upstream", &url];
    let serve = Listening::start(latimer(here.path()).args(arguments));
    let answer = ask(&serve.address, "", "/v1/responses", ASK);
    assert!(answer.contains("scripted") && answer.contains("response.completed"), "{answer}");
    // A client that has connected and says nothing holds nobody up.
    let silent = TcpStream::connect(&serve.address).unwrap();
    let (code, said) = serve.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&url) && !said.contains('\u{1b}'), "no colours in a pipe: {said}");
    assert_eq!(mock.stop().0, Some(0));
    drop(silent);
    let report = run(here.path(), &["report", "latimer"]);
    assert!(text(&report.stdout).contains("scripted"), "{}", text(&report.stdout));
}

#[test]
fn no_secret_is_logged_however_much_is_logged() {
    let here = tempfile::tempdir().unwrap();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", backend.local_addr().unwrap());
    let playing = std::thread::spawn(move || {
        for answer in [
            r#"{"error":{"message":"Wrong key sk-canary-operator","code":"k"}}"#,
            r#"{"error":"Wrong key sk-canary-operator"}"#,
            "sk-canary-operator",
        ] {
            let (mut socket, _) = backend.accept().unwrap();
            let mut heard = [0; 4096];
            let _ = socket.read(&mut heard).unwrap();
            let length = answer.len();
            let head = "HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: ";
            write!(socket, "{head}{length}\r\n\r\n{answer}").unwrap();
        }
    });
    let arguments = ["serve", "-vv", "--listen", "127.0.0.1:0", "--api-key-env", "CANARY_KEY"];
    let mut command = latimer(here.path());
    command.args(arguments).args(["--upstream", &url]).env("CANARY_KEY", "sk-canary-operator");
    let serve = Listening::start(&mut command);
    let headers = "authorization: Bearer canary-a\r\ncookie: canary-b\r\nx-api-key: canary-c\r\n\
        openai-organization: canary-d\r\n";
    for input in ["canary-prompt", "canary-tool", "canary-last"] {
        let body = format!(
            r#"{{"model":"canary-model","input":"{input}","tools":[{{"type":"canary-kind"}}]}}"#
        );
        let answer = ask(&serve.address, headers, "/v1/responses?api-key=canary-e", &body);
        assert!(answer.contains("401") && !answer.contains("canary"), "{answer}");
    }
    // A body that is no request, a path that is none.
    ask(&serve.address, headers, "/v1/responses", "{\"input\": canary-f");
    ask(&serve.address, headers, "/canary-g?token=canary-h", "");
    playing.join().unwrap();
    let (code, said) = serve.stop();
    assert_eq!(code, Some(0));
    assert!(said.contains("path=\"/v1/responses\""), "the log says what was asked: {said}");
    assert!(!said.contains("canary"), "{said}");
    let recorded = std::fs::read_to_string(here.path().join("latimer/traffic.jsonl")).unwrap();
    assert_eq!(recorded.lines().count(), 4);
    for word in ["sk-canary", "canary-a", "canary-b", "canary-c", "canary-d", "canary-e"] {
        assert!(!recorded.contains(word), "{word}: {recorded}");
    }
}

/// The operator's key, and how it stands in JSON, in base64 at two places, and in a URL.
const KEY: &str = "can\"ary/k+ey-0123456789";
const FORMS: &[&str] = &[
    KEY,
    "can\\\"ary/k+ey-0123456789",
    "Y2FuImFyeS9rK2V5LTAxMjM0NTY3ODk=",
    "dTpjYW4iYXJ5L2srZXktMDEyMzQ1Njc4OQ==",
    "can%22ary%2Fk%2Bey-0123456789",
];
/// Of each form a part that betrays it.
const TRACES: &[&str] =
    &["k+ey-0123", "FyeS9rK2V5LTAxMjM0NTY3", "YXJ5L2srZXktMDEyMzQ1Njc4", "k%2Bey-01"];

#[test]
fn a_key_is_written_nowhere_in_no_form() {
    let here = tempfile::tempdir().unwrap();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", backend.local_addr().unwrap());
    let playing = std::thread::spawn(move || {
        for form in FORMS {
            let (mut socket, _) = backend.accept().unwrap();
            let mut heard = [0; 4096];
            let _ = socket.read(&mut heard).unwrap();
            let answer =
                serde_json::json!({"error": {"message": format!("Wrong {form}"), "code": "k"}});
            let answer = answer.to_string();
            let length = answer.len();
            let head = "HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: ";
            write!(socket, "{head}{length}\r\n\r\n{answer}").unwrap();
        }
    });
    let arguments = ["serve", "-vv", "--listen", "127.0.0.1:0", "--api-key-env", "CANARY_KEY"];
    let mut command = latimer(here.path());
    let serve =
        Listening::start(command.args(arguments).args(["--upstream", &url]).env("CANARY_KEY", KEY));
    let mut seen = Vec::new();
    for form in FORMS {
        let secret = "sk-proj-Zt4kX9vQ2mL7pR1sW8yB";
        let body = serde_json::json!({"model": "m", "input": format!("{form} and {secret}")});
        let in_url = if form.contains('"') { FORMS[FORMS.len() - 1] } else { form };
        let target = format!("/v1/responses?q={in_url}");
        seen.push(ask(&serve.address, "authorization: Bearer x\r\n", &target, &body.to_string()));
    }
    playing.join().unwrap();
    let (code, said) = serve.stop();
    assert_eq!(code, Some(0));
    assert!(seen.iter().all(|answer| answer.contains("[REDACTED]")), "{seen:?}");
    seen.push(said);
    seen.push(std::fs::read_to_string(here.path().join("latimer/traffic.jsonl")).unwrap());
    assert_eq!(seen.last().unwrap().matches(" and [REDACTED]").count(), FORMS.len());
    seen.push(text(&run(here.path(), &["report", "latimer"]).stdout));
    for trace in TRACES.iter().chain(&["Zt4kX9vQ2mL7pR1sW8yB"]) {
        assert!(seen.iter().all(|text| !text.contains(trace)), "{trace}: {seen:?}");
    }
}

#[test]
fn what_is_to_be_revealed_is_recorded() {
    let here = tempfile::tempdir().unwrap();
    let arguments = ["-q", "serve", "--listen", "127.0.0.1:0", "--reveal"];
    let serve = Listening::start(latimer(here.path()).args(arguments));
    let secret = "sk-proj-Zt4kX9vQ2mL7pR1sW8yB";
    let body = serde_json::json!({"model": "m", "input": secret}).to_string();
    ask(&serve.address, "x-api-key: canary-a\r\n", "/v1/responses?key=canary-b", &body);
    serve.stop();
    let recorded = std::fs::read_to_string(here.path().join("latimer/traffic.jsonl")).unwrap();
    for word in [secret, "canary-a", "canary-b"] {
        assert!(recorded.contains(word), "{word}: {recorded}");
    }
}

const EXPLAINED: &str = "\
no-terminal (breaks)
The stream has no terminal event

  What holds:  A stream ends in `response.completed`, `response.incomplete` or `response.failed`; after an `error` it may just end.
  Why:         ollama#17118, ollama#14600, codex#41340: `stream closed before response.completed`; Codex asks again.
";

#[test]
fn a_file_is_judged() {
    let here = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/fixtures/check");
    for name in ["good.sse", "no-terminal.sse", "sequence-order.sse"] {
        std::fs::copy(fixtures.join(name), here.path().join(name)).unwrap();
    }
    std::fs::write(here.path().join("empty.sse"), "\n").unwrap();
    let stream = std::fs::read_to_string(fixtures.join("limit-as-completed.sse")).unwrap();
    let exchange = serde_json::json!({"request": {"method": "POST", "url": "/v1/responses",
        "body": {"max_output_tokens": 2, "stream": true}}, "response": {"status_code": 200, "body": stream}});
    std::fs::write(here.path().join("traffic.jsonl"), format!("\n{exchange}\n{{\"torn")).unwrap();
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["good.sse"], 0, &["No findings in 1 answer."]),
        (&["no-terminal.sse"], 1, &["no-terminal.sse\n  breaks no-terminal: ", "line 25, event 8"]),
        (
            &["sequence-order.sse", "--format", "json"],
            1,
            &["\"rule\": \"sequence-order\"", "\"line\": 13"],
        ),
        (
            &["sequence-order.sse", "--format", "junit"],
            1,
            &["failures=\"1\"", "<failure type=\"sequence-order\""],
        ),
        (&["good.sse", "--format", "junit"], 0, &["tests=\"1\" failures=\"0\""]),
        (
            &["."],
            1,
            &[
                "traffic.jsonl:2 POST /v1/responses",
                "limit-as-completed",
                "line 3 ends in the middle",
            ],
        ),
        (&["empty.sse"], 2, &["there is no answer to judge"]),
        (&["none.sse"], 2, &["cannot read none.sse"]),
        (&["--explain"], 0, &["no-terminal ", "call-kind ", "not-json "]),
        (&["--explain", "no-terminal"], 0, &[EXPLAINED]),
        (&["--explain", "nothing"], 2, &["no rule `nothing`", "--explain"]),
        (&[], 2, &["FILE"]),
    ];
    for (arguments, code, words) in cases {
        let output = run(here.path(), &[&["check"], *arguments].concat());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        for word in *words {
            assert!(said.contains(word), "{arguments:?}: {word:?} is missing in: {said}");
        }
    }
}

#[test]
fn the_mock_is_an_agent_that_is_a_program() {
    let here = tempfile::tempdir().unwrap();
    let script = "[[rule]]\nanswer = { text = 'You said: {user}', output_tokens = 3 }";
    std::fs::write(here.path().join("script.toml"), script).unwrap();
    let program = env!("CARGO_BIN_EXE_latimer");
    let upstream = format!("stdio:'{program}' mock --stdio --script script.toml");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--no-record", "--upstream", &upstream];
    let gateway = Listening::start(latimer(here.path()).args(serve));
    for _ in 0..2 {
        let body = r#"{"model":"m","input":"Hello"}"#;
        let answer = ask(&gateway.address, "", "/v1/responses", body);
        assert!(answer.contains("You said: Hello"), "{answer}");
    }
    gateway.stop();
    let output = run(here.path(), &["mock", "--stdio", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn a_server_is_judged() {
    let here = tempfile::tempdir().unwrap();
    let script = "[[rule]]\nanswer = { text = 'Hello', input_tokens = 1, output_tokens = 1 }";
    std::fs::write(here.path().join("script.toml"), script).unwrap();
    let arguments = ["mock", "--script", "script.toml", "--listen", "127.0.0.1:0"];
    let mock = Listening::start(latimer(here.path()).args(arguments));
    let url = format!("http://{}/v1", mock.address);
    let output = run(here.path(), &["check", &url, "--dialect", "chat"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("chat: forced call, streamed\n  breaks tool-choice-ignored"), "{said}");
    assert!(!said.contains("responses"), "only what was asked for: {said}");
    let output = run(here.path(), &["check", &url, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["target"], url);
    assert!(report["findings"].as_u64() > Some(0) && report["answers"].is_array());
    let output = run(here.path(), &["check", &format!("http://{}/nowhere", mock.address)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("usually ends in /v1"), "{}", text(&output.stderr));
    mock.stop();
    let output = run(here.path(), &["check", &url]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("Is the server running"), "{}", text(&output.stderr));
}

#[test]
fn an_agent_runs_in_a_home_of_its_own() {
    let here = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\necho \"$CODEX_HOME\" > home\ncp \"$CODEX_HOME\"/* .\necho \"$@\" > said\n\
        if [ \"$1\" = die ]; then kill -KILL $$; fi\nexit 7\n";
    let program = here.path().join("fake-codex");
    std::fs::write(&program, script).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    for (word, code) in [("exec", 7), ("die", 128 + 9)] {
        let arguments = ["run", "codex", "--model", "qwen\"3", "--record", "rec", "--program"];
        let arguments = [&arguments[..], &[program, "--", word, "two words"]].concat();
        let output = run(here.path(), &arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let left = |name: &str| std::fs::read_to_string(here.path().join(name)).unwrap();
        assert_eq!(left("said"), format!("{word} two words\n"));
        let home = PathBuf::from(left("home").trim());
        assert!(home.starts_with(here.path().join("cache")), "{}", home.display());
        assert!(!home.exists(), "it is thrown away");
        let config = left("config.toml");
        assert!(config.contains("base_url = \"http://127.0.0.1:"), "{config}");
        assert!(config.contains("model = \"qwen\\\"3\""), "{config}");
        let models: serde_json::Value = serde_json::from_str(&left("models.json")).unwrap();
        assert_eq!(models["models"][0]["slug"], "qwen\"3");
        assert!(here.path().join("rec/report.md").exists(), "{}", text(&output.stderr));
    }
}

#[test]
fn an_agent_is_told_to_stop_with_us() {
    let here = tempfile::tempdir().unwrap();
    let script = "trap 'exit 5' TERM; echo \"http://started\" >&2; while :; do sleep 0.05; done";
    std::fs::write(here.path().join("agent"), script).unwrap();
    let arguments = ["run", "codex", "--no-record", "--program", "/bin/sh", "--", "agent"];
    let (code, said) = Listening::start(latimer(here.path()).args(arguments)).stop();
    assert_eq!(code, Some(5), "{said}");
    let homes = std::fs::read_dir(here.path().join("cache/latimer")).unwrap();
    assert_eq!(homes.count(), 0, "its home is thrown away");
}

#[test]
fn a_recording_becomes_a_report() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let sample = root.join("shared/samples/sample_traffic.jsonl");
    if !sample.exists() {
        eprintln!("skipped: {} is not there", sample.display());
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let sample = sample.to_str().unwrap();
    let printed = run(here.path(), &["report", sample]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    assert!(text(&printed.stdout).starts_with("# "), "{}", text(&printed.stdout));
    let written = run(here.path(), &["report", sample, "-o", "report.md"]);
    assert!(written.status.success() && written.stdout.is_empty());
    let report = std::fs::read_to_string(here.path().join("report.md")).unwrap();
    let same = |report: &str| report.lines().filter(|line| !line.contains("enerated")).count();
    assert_eq!(same(&report), same(&text(&printed.stdout)));
    // A reader that leaves early, as `head` does.
    let mut child = latimer(here.path());
    let child = child.args(["report", sample]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

const CHAT_STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const RESPONSE: &str = r#"{"status":"completed","output":[{"type":"message","id":"m","role":"assistant",
    "content":[{"type":"output_text","text":"Hello"}]}]}"#;
const CHAT_REQUEST: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"logit_bias":{"1":2}}"#;

#[test]
fn what_is_translated_is_seen_from_its_beginning() {
    // from, to, input, what stands in the output, what is said on standard error
    let cases = [
        ("chat", "responses", CHAT_REQUEST, r#""input":[{"type":"message""#, "parameter_dropped"),
        ("chat", "chat", CHAT_REQUEST, r#""messages":[{"role":"user","content":"Hi"}]"#, ""),
        ("responses", "chat", r#"{"model":"m","input":"Hi"}"#, r#""messages":[{"role":"user""#, ""),
        ("responses", "chat", RESPONSE, r#""message":{"role":"assistant","content":"Hello""#, ""),
        ("chat", "responses", CHAT_STREAM, "event: response.completed\n", "usage_missing"),
        ("chat", "chat", CHAT_STREAM, "data: [DONE]\n", ""),
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("input");
    for (from, to, input, wanted, said) in cases {
        std::fs::write(&file, input).unwrap();
        let done = run(directory.path(), &["translate", "--from", from, "--to", to, "input"]);
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        assert!(done.status.success() && out.contains(wanted), "{from} to {to}: {out}{err}");
        assert!(err.contains(said), "{from} to {to}: {err}");
    }
    for (input, said) in [("", "empty"), ("{", "neither JSON nor"), (r#"{"input":7}"#, "`input`")] {
        std::fs::write(&file, input).unwrap();
        let done =
            run(directory.path(), &["translate", "--from", "responses", "--to", "chat", "input"]);
        assert!(!done.status.success() && text(&done.stderr).contains(said), "{input}");
    }
}

#[test]
fn a_stream_is_translated_as_it_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = latimer(directory.path())
        .args(["translate", "--from", "chat", "--to", "responses"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (first, rest) = CHAT_STREAM.split_at(CHAT_STREAM.find("\n\n").unwrap() + 2);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    input.write_all(first.as_bytes()).unwrap();
    let mut line = String::new();
    while !line.contains("output_text.delta") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the first delta did not come");
    }
    input.write_all(rest.as_bytes()).unwrap();
    drop(input);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(text.contains("response.completed") && child.wait().unwrap().success(), "{text}");
}

/// A recording as the gateway writes it, and what becomes of it when someone edits it.
#[test]
fn receipts_of_a_recording_are_verified_and_exported() {
    let here = tempfile::tempdir().unwrap();
    let mut serve = latimer(here.path());
    let serve = Listening::start(serve.args(["serve", "--listen", "127.0.0.1:0", "--record", "r"]));
    for _ in 0..3 {
        ask(&serve.address, "", "/v1/responses", r#"{"model":"m","input":"Hi","stream":true}"#);
    }
    let receipt = ask(&serve.address, "", "/backplane/v1/run", r#"{"task":"Hi"}"#);
    std::fs::write(here.path().join("one.json"), receipt.split("\r\n\r\n").nth(1).unwrap())
        .unwrap();
    serve.stop();
    let recording = std::fs::read_to_string(here.path().join("r/traffic.jsonl")).unwrap();
    let lines: Vec<&str> = recording.lines().collect();
    std::fs::write(here.path().join("cut.jsonl"), [lines[0], lines[2]].join("\n")).unwrap();
    let edited = recording.replacen("\"Hi\"", "\"Ho\"", 1);
    std::fs::write(here.path().join("edited.jsonl"), edited).unwrap();
    let verified = |arguments: &[&str]| {
        let output = run(here.path(), &[&["receipt"], arguments].concat());
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (good, said) = verified(&["verify", "r/traffic.jsonl"]);
    assert!(good && said.contains("4 lines, as they were written"), "{said}");
    assert!(said.contains("4 receipts can be made of it"), "{said}");
    let (good, said) = verified(&["verify", "cut.jsonl"]);
    assert!(!good && said.contains("before line 2 something is missing"), "{said}");
    let (good, said) = verified(&["verify", "edited.jsonl"]);
    assert!(!good && said.contains("line 1 is not as it was written"), "{said}");
    assert!(verified(&["verify", "one.json"]).0);

    assert!(verified(&["export", "r", "-o", "chain.json"]).0);
    let (good, said) = verified(&["verify", "chain.json"]);
    assert!(good && said.contains("4 receipts, as they were sealed"), "{said}");
    let chain = std::fs::read_to_string(here.path().join("chain.json")).unwrap();
    std::fs::write(here.path().join("chain.json"), chain.replacen("\"complete\"", "\"failed\"", 1))
        .unwrap();
    let (good, said) = verified(&["verify", "chain.json"]);
    assert!(!good && said.contains("receipt 0") && said.contains("not as it was sealed"), "{said}");
    let (good, said) = verified(&["show", "one.json"]);
    assert!(good && said.contains("complete"), "{said}");
}

/// A request and an answer through the dialect of agents, without a server.
#[test]
fn the_backplane_is_translated_on_the_command_line() {
    let here = tempfile::tempdir().unwrap();
    let request = r#"{"model":"m","input":"Hi","temperature":0.5}"#;
    std::fs::write(here.path().join("request.json"), request).unwrap();
    let translated = |from: &str, to: &str, file: &str| {
        let output = run(here.path(), &["translate", "--from", from, "--to", to, file]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let order = translated("responses", "backplane", "request.json");
    assert!(order.contains("\"task\":\"Hi\""), "{order}");
    std::fs::write(here.path().join("order.json"), &order).unwrap();
    assert_eq!(translated("backplane", "responses", "order.json").trim(), request);
    assert!(translated("backplane", "chat", "order.json").contains("\"messages\""));
    let event =
        r#"{"t":"event","ref_id":"1","event":{"ts":"","type":"assistant_message","text":"Hello"}}"#;
    let last =
        r#"{"t":"final","ref_id":"1","receipt":{"meta":{"run_id":"1"},"outcome":"complete"}}"#;
    std::fs::write(here.path().join("said.jsonl"), format!("{event}\n{last}\n")).unwrap();
    let chat = translated("backplane", "chat", "said.jsonl");
    assert!(chat.contains("Hello") && chat.trim_end().ends_with("data: [DONE]"), "{chat}");
    std::fs::write(here.path().join("chat.sse"), chat).unwrap();
    let said = translated("chat", "backplane", "chat.sse");
    assert!(said.contains("event: assistant_message") && said.contains("event: receipt"), "{said}");
}
