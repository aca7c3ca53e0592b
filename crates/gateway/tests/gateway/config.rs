//! Configurations: what is wrong is named, with its place.

use std::path::Path;

use crate::support::Folder;
use latimer_gateway::Config;
use latimer_gateway::state::StateConfig;

/// The file, and what the error says; every word of it.
const WRONG: &[(&str, &[&str])] = &[
    ("open = true\nlisten_on = \"127.0.0.1:1\"", &["listen_on", "line 2", "latimer.toml"]),
    ("[limits]\nbody_byte = 1", &["body_byte", "line 2"]),
    ("[timeouts]\n\nidle_ms = \"long\"", &["line 3", "idle_ms"]),
    ("[upstream]\ndialect = \"gemini\"", &["line 2", "gemini", "chat", "responses"]),
    ("listen = 8300", &["line 1", "listen"]),
    ("[upstream]\nurl = \"ftp://h/v1\"", &["ftp://h/v1", "http://"]),
    ("[upstream]\nurl = \"localhost:8080\"", &["localhost:8080", "http://127.0.0.1:8080/v1"]),
    ("[upstream]\nurl = \"http://\"", &["`http:", "is not an address"]),
    ("[upstream]\nurl = \"http://h/v1?key=canary\"", &["query", "http://h/v1?key=[REDACTED]"]),
    ("[upstream]\nurl = \"http://me:canary@h/v1\"", &["http://h/v1", "api_key_env"]),
    ("[upstream]\nurl = \"http://h\"\napi_key_env = \"NONE\"", &["NONE", "not set"]),
    ("[upstream]\nurl = \"http://h\"\napi_key_env = \"BLANK\"", &["BLANK", "empty"]),
    ("listen = \"0.0.0.0:8300\"", &["0.0.0.0:8300", "--open"]),
    ("listen = \"[::]:8300\"", &["[::]:8300", "--open"]),
    ("[timeouts]\nkeep_alive_ms = 0", &["timeouts.keep_alive_ms", "0"]),
    ("[[prompts.p]]\nparameters = { stream = true }", &["prompts.p", "stream"]),
    ("[[prompts.p]]\nversion = \"1\"\n[[prompts.p]]\nversion = \"1\"", &["prompts.p", "`1` twice"]),
    ("[[prompts.p]]\nparameters = { top_p = 7 }", &["prompts.p", "top_p"]),
    (
        "[[prompts.p]]\nmessages = [{ role = \"king\", content = \"x\" }]",
        &["prompts.p", "messages[0].role", "king"],
    ),
    ("[limits]\nconnections = 0", &["limits.connections", "0"]),
];

fn resolve(text: &str) -> Result<latimer_gateway::Settings, String> {
    let directory = Folder::new();
    let path = directory.path().join("latimer.toml");
    std::fs::write(&path, text).unwrap();
    let env = |name: &str| (name == "BLANK").then(|| " ".to_owned());
    let config = Config::read(&path).and_then(|config| config.resolve(env));
    config.map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_is_named() {
    for (text, words) in WRONG {
        let error = resolve(text).expect_err(text);
        for word in *words {
            assert!(error.contains(word), "{text}: {word:?} is missing in: {error}");
        }
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn what_is_right_is_complete() {
    let settings = resolve("").unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8300");
    assert!(settings.upstream.is_none() && settings.record.is_some());
    let open = resolve("open = true\nlisten = \"0.0.0.0:1\"\nrecording = false").unwrap();
    assert!(open.record.is_none());
    for (url, address) in [
        ("http://h:1", "http://h:1/v1"),
        ("http://h/", "http://h/v1"),
        ("https://h/api/v3/", "https://h/api/v3"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ] {
        let settings = resolve(&format!("upstream = {{ url = \"{url}\" }}")).unwrap();
        assert_eq!(settings.upstream.unwrap().url.to_string(), address);
    }
}

/// The README shows every key with its default: what it shows is read, and nothing is missing.
#[test]
fn the_readme_shows_the_defaults() {
    let readme = include_str!("../../../../README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown = blocks.filter(|block| block.contains("[limits]")).collect::<String>();
    let config: Config = toml::from_str(&shown).unwrap();
    assert_eq!(config.limits, Config::default().limits);
    assert_eq!(config.timeouts, Config::default().timeouts);
    let (state, default) = (config.state, StateConfig::default());
    assert_eq!(state.directory.as_deref(), Some(Path::new("latimer")));
    // What is shown of these is an example.
    let StateConfig { directory, seal_key_env, compaction_prompt, .. } = state.clone();
    let StateConfig { tenant_bytes, total_bytes, .. } = state;
    let examples = StateConfig { directory, seal_key_env, compaction_prompt, ..default };
    assert_eq!(state, StateConfig { tenant_bytes, total_bytes, ..examples });
    for table in ["", "[limits]", "[timeouts]", "[upstream]", "[chat_clients]", "[state]"] {
        let error = toml::from_str::<Config>(&format!("{table}\nno_such_key = 1")).unwrap_err();
        let keys: Vec<_> = error.message().split('`').skip(3).step_by(2).collect();
        assert!(!keys.is_empty());
        for key in keys {
            let forms = [format!("{key} ="), format!("{key}]"), format!("\n[[{key}.")];
            let is_there = forms.iter().any(|form| shown.contains(form));
            assert!(is_there, "the README does not show {table} {key}");
        }
    }
    let quirks = shown.split("[limits]").next().unwrap();
    for (entry, values) in latimer_gateway::Profile::entries() {
        assert!(quirks.contains(&format!("# {entry} = ")), "the README does not show {entry}");
        let line = quirks.lines().find(|line| line.contains(&format!("{entry} = "))).unwrap();
        for value in values {
            assert!(line.contains(&format!("\"{value}\"")), "{entry}: {value} is not in: {line}");
        }
    }
}
