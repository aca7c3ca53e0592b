//! Scenarios as data: `interop/scenarios/<name>.expect.toml` says what a client is asked to do and
//! what must come of it; next to it, `<name>.toml` is the script of the mock that answers, or
//! `<name>.yaml` the configuration of a LiteLLM proxy that does. A new case is two new files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::Deserialize;

/// What is asked, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub backend: Backend,
    /// What the client is asked.
    pub prompt: String,
    /// The text it ends with.
    pub text: String,
    /// The reasoning it is shown on the way.
    #[serde(default)]
    pub reasoning: Vec<String>,
    /// The tools it is told to call.
    #[serde(default)]
    pub calls: Vec<String>,
    /// The kinds of items those calls are, where they are not all plain functions.
    #[serde(default)]
    kinds: Vec<String>,
    /// The files that those calls make, and what is in them.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What Codex is told besides, after `exec`; `{interop}` is the directory of that name.
    #[serde(default)]
    pub codex_arguments: Vec<String>,
    /// What the agents on the SDKs are told besides, after the prompt.
    #[serde(default)]
    pub agent_arguments: Vec<String>,
    /// How the session breaks off, and what is asked when it goes on. Only Codex has sessions.
    pub breaks: Option<Break>,
    /// Whether the client is sent once more, to what Latimer recorded of it, and has to see the same.
    #[serde(default)]
    pub replay: bool,
    /// The agent that answers, a program in Python below the workspace, where it is no model.
    pub agent: Option<PathBuf>,
    /// Whether two gateways over one PostgreSQL serve the client, which asks them in turn.
    #[serde(default)]
    pub two_gateways: bool,
    /// Whether the last request holds a summary in the place of what came before.
    #[serde(default)]
    pub compacts: bool,
    /// How many agents it starts, whose requests are told apart from its own. Only Codex starts some.
    #[serde(default)]
    pub sub_agents: usize,
    /// Every request it makes, and how it is answered.
    pub exchanges: Vec<Exchange>,
    /// What the backend speaks, one run each.
    #[serde(default = "both_dialects")]
    pub dialects: Vec<String>,
    /// The clients; all, if none is named.
    #[serde(default)]
    pub clients: Vec<String>,
    /// The clients that it is not for.
    #[serde(default)]
    pub without: Vec<String>,
}

impl Scenario {
    /// The kind of item that each call is.
    pub fn call_kinds(&self) -> Vec<&str> {
        match self.kinds.as_slice() {
            [] => vec!["function_call"; self.calls.len()],
            kinds => kinds.iter().map(String::as_str).collect(),
        }
    }
}

/// How one request is answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub status: u16,
    pub outcome: String,
    pub retry_after: Option<String>,
    /// Why it failed; a scenario that names no reason takes any.
    pub error: Option<Failure>,
}

/// What an error says.
#[derive(Debug, Deserialize)]
pub struct Failure {
    /// Some SDKs keep it to themselves.
    pub code: Option<String>,
    /// How it begins: Latimer adds where the backend is.
    pub message: String,
}

/// Whether the exchanges that someone saw are the wanted ones.
pub fn as_wanted(seen: &[Exchange], wanted: &[Exchange]) -> bool {
    let mut pairs = seen.iter().zip(wanted);
    seen.len() == wanted.len() && pairs.all(|(seen, wanted)| one_as_wanted(seen, wanted))
}

fn one_as_wanted(seen: &Exchange, wanted: &Exchange) -> bool {
    let same_error = match (&seen.error, &wanted.error) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(seen), Some(wanted)) => {
            (seen.code.is_none() || seen.code == wanted.code)
                && seen.message.starts_with(&wanted.message)
        }
    };
    seen.status == wanted.status
        && seen.outcome == wanted.outcome
        && seen.retry_after == wanted.retry_after
        && same_error
}

/// A session that breaks off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Break {
    /// It breaks off when this file is there: some command has begun. Without one, in the middle of
    /// an answer: when the mock says nothing more.
    pub when_file: Option<String>,
    /// By what.
    pub signal: BreakSignal,
    /// What is asked when the session is taken up again.
    pub prompt: String,
}

/// What a client is told, or not even that.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakSignal {
    /// The user types Ctrl-C.
    Interrupt,
    /// The machine is gone.
    Kill,
}

impl From<BreakSignal> for Signal {
    fn from(signal: BreakSignal) -> Signal {
        match signal {
            BreakSignal::Interrupt => Signal::INT,
            BreakSignal::Kill => Signal::KILL,
        }
    }
}

/// Who answers.
#[derive(Debug, Default)]
pub enum Backend {
    #[default]
    Nobody,
    /// The mock, with this script.
    Mock(PathBuf),
    /// LiteLLM's proxy, with this configuration.
    LiteLlm(PathBuf),
    /// An agent, a program in Python below the workspace, which Latimer starts.
    Agent(PathBuf),
}

fn both_dialects() -> Vec<String> {
    vec!["chat".to_owned(), "responses".to_owned()]
}

const ENDING: &str = ".expect.toml";

/// All scenarios in a directory, by name.
pub fn read_all(directory: &Path) -> Result<Vec<Scenario>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("cannot read the scenarios in {}", directory.display()))?;
    let mut scenarios = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(ENDING) {
            let scenario = read(&path, name);
            scenarios.push(scenario.with_context(|| format!("in {}", path.display()))?);
        }
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenarios)
}

fn read(path: &Path, name: &str) -> Result<Scenario> {
    let scenario: Scenario = toml::from_str(&fs::read_to_string(path)?)?;
    let script = path.with_file_name(format!("{name}.toml"));
    let configuration = path.with_file_name(format!("{name}.yaml"));
    let backend = match (script.exists(), configuration.exists(), &scenario.agent) {
        (true, false, None) => Backend::Mock(script),
        (false, true, None) => Backend::LiteLlm(configuration),
        (false, false, Some(agent)) => Backend::Agent(agent.clone()),
        _ => bail!("it needs one of {name}.toml and {name}.yaml next to it, and `agent`"),
    };
    Ok(Scenario { name: name.to_owned(), backend, ..scenario })
}
