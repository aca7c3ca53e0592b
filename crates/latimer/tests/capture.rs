//! `latimer capture` as a user meets it: with the mock where the real service would be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::process::Stdio;

use common::{Listening, ask, latimer, run, text};
use latimer_probe::record::exchange::read;

/// The mock on a port of its own.
fn mock(directory: &std::path::Path) -> Listening {
    Listening::start(latimer(directory).args(["-q", "mock", "--listen", "127.0.0.1:0"]))
}

#[test]
fn a_command_is_told_the_address_and_what_it_says_is_recorded() {
    let here = tempfile::tempdir().unwrap();
    let mock = mock(here.path());
    let upstream = format!("model=http://{}/", mock.address);
    // The agent says what it was told, and waits until somebody has asked in its place.
    let agent = "echo \"$OPENAI_BASE_URL\" > told.part; mv told.part told; \
        while [ ! -e asked ]; do sleep 0.1; done; exit 7";
    let mut command = latimer(here.path());
    command.args(["capture", "generic", "--upstream", &upstream, "--port", "model=0"]);
    command.args(["--", "sh", "-c", agent]).stderr(Stdio::piped());
    let capture = command.spawn().unwrap();
    let told = loop {
        match std::fs::read_to_string(here.path().join("told")) {
            Ok(told) => break told,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let address = told.trim().strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
    let body = r#"{"model":"m","input":"Hi there","stream":true}"#;
    let answer = ask(address, "content-type: application/json\r\n", "/v1/responses", body);
    assert!(answer.contains("event: response.completed"), "{answer}");
    std::fs::write(here.path().join("asked"), "").unwrap();
    let output = capture.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains(&format!("-> http://{}", mock.address)), "{said}");
    assert!(said.contains("export OPENAI_BASE_URL=http://127.0.0.1:"), "{said}");
    assert!(said.contains("latimer report latimer"), "{said}");
    let recorded = std::fs::read(here.path().join("latimer/traffic.jsonl")).unwrap();
    let exchanges: Vec<_> = read(&recorded).map(Result::unwrap).collect();
    let [exchange] = exchanges.as_slice() else { panic!("{}", exchanges.len()) };
    assert_eq!(exchange.request.url, format!("http://{}/v1/responses", mock.address));
    let account = exchange.account().unwrap();
    assert_eq!(account.route.unwrap().door, "model");
    assert_eq!(latimer_probe::seal::holds(&recorded), Some(true));
    let report = run(here.path(), &["report", "latimer"]);
    assert!(text(&report.stdout).contains("Hi there"));
    mock.stop();
}

#[test]
fn both_channels_of_codex_are_listened_to_until_it_is_told_to_stop() {
    let here = tempfile::tempdir().unwrap();
    let mock = mock(here.path());
    let url = |channel: &str| format!("{channel}=http://{}/", mock.address);
    let mut command = latimer(here.path());
    command.args(["capture", "codex", "--upstream", &url("model"), "--upstream", &url("backend")]);
    let capture = Listening::start(command.args(["--port", "model=0", "--port", "backend=0"]));
    // The first line names the first channel.
    let model = capture.address.split(' ').next().unwrap().to_owned();
    let body = r#"{"model":"m","input":"Hi","stream":true}"#;
    let answer = ask(&model, "content-type: application/json\r\n", "/v1/responses", body);
    assert!(answer.contains("event: response.completed"), "{answer}");
    let (code, said) = capture.stop();
    assert_eq!(code, Some(0), "{said}");
    let backend = said.lines().find(|line| line.trim_start().starts_with("backend ")).unwrap();
    assert!(backend.contains(" -> http://"), "{said}");
    assert!(said.contains("openai_base_url"), "{said}");
    let recorded = std::fs::read(here.path().join("latimer/traffic.jsonl")).unwrap();
    assert_eq!(read(&recorded).map(Result::unwrap).count(), 1);
    mock.stop();
}

#[test]
fn the_arguments_of_a_target_come_first_and_more_targets_are_a_file() {
    let here = tempfile::tempdir().unwrap();
    let targets = "[mine]\narguments = ['--url', '{model}/x']\n[mine.environment]\nMINE = '{model}'\n\
        [[mine.channel]]\nname = 'model'\nport = 0\nupstream = 'http://127.0.0.1:9/'\n";
    std::fs::write(here.path().join("targets.toml"), targets).unwrap();
    let mut command = latimer(here.path());
    command.args(["capture", "mine", "--targets", "targets.toml", "--", "echo", "rest"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.starts_with("--url http://127.0.0.1:") && said.ends_with("/x rest\n"), "{said}");
    let config = "record = 'kept'\n[upstream]\nurl = 'http://127.0.0.1:9/'\n[recorder]\nsecrets = ['x+']\n\
        [state]\nseal_key_env = 'NOT_SET'\n[capture]\ntarget = 'mine'\nport = { model = 0 }\n\
        [capture.targets.mine]\n[[capture.targets.mine.channel]]\nname = 'model'\nport = 1\n\
        upstream = 'http://127.0.0.1:9/'\n[capture.targets.mine.environment]\nMINE = '{model}'\n";
    std::fs::write(here.path().join("latimer.toml"), config).unwrap();
    let output =
        run(here.path(), &["capture", "--config", "latimer.toml", "--", "sh", "-c", "echo $MINE"]);
    let said = text(&output.stdout);
    assert!(said.starts_with("http://127.0.0.1:"), "{said} {}", text(&output.stderr));
    assert!(text(&output.stderr).contains("latimer report kept"));
    for (arguments, words) in [
        (vec!["capture"], "whom to listen to? There are claude, codex, generic"),
        (vec!["capture", "other", "--config", "latimer.toml"], "there is no target `other`"),
        (vec!["capture", "nobody"], "there are claude, codex, generic"),
        (vec!["capture", "generic"], "--upstream model=URL"),
        (vec!["capture", "codex", "--upstream", "x=http://a"], "there are model, backend"),
        (vec!["capture", "codex", "--upstream", "model=ftp://a"], "http://"),
        (vec!["capture", "codex", "--upstream-proxy", "gopher://a"], "socks5h://"),
        (vec!["capture", "codex", "--secret", "("], "regular expression"),
    ] {
        let output = run(here.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}
