//! The real clients, and how each is sent through Latimer. In: a run. Out: what the client itself
//! said, held against the scenario; what Latimer recorded is looked at elsewhere.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::process::{Process, command};
use super::scenario::{Exchange, Scenario};
use super::tools::{CODEX, NODE_SDK, PYTHON_SDK, Tool};
use super::{Place, Run, Site};

/// How long a client may take. Codex waits for ever for a server that is gone.
const DEADLINE: Duration = Duration::from_secs(60);

/// A client.
#[derive(Debug)]
pub struct Client {
    pub name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The Codex CLI, through `latimer run`.
    Codex,
    /// `interop/clients/agent.py` in this mode, through `latimer serve`.
    Python(&'static str),
    /// `interop/clients/agent.mjs` in this mode, through `latimer serve`.
    Node(&'static str),
}

/// All clients.
pub const CLIENTS: &[Client] = &[
    Client { name: "codex", kind: Kind::Codex },
    Client { name: "python-create", kind: Kind::Python("create") },
    Client { name: "python-helper", kind: Kind::Python("helper") },
    Client { name: "python-whole", kind: Kind::Python("whole") },
    Client { name: "node-create", kind: Kind::Node("create") },
    Client { name: "node-helper", kind: Kind::Node("helper") },
    Client { name: "node-whole", kind: Kind::Node("whole") },
];

/// What an SDK's agent prints at its end.
#[derive(Debug, Deserialize)]
struct Said {
    text: Option<String>,
    reasoning: String,
    calls: Vec<String>,
    answers: Vec<Exchange>,
}

impl Client {
    /// What has to be installed for it.
    pub fn tool(&self) -> &'static Tool {
        match self.kind {
            Kind::Codex => &CODEX,
            Kind::Python(_) => &PYTHON_SDK,
            Kind::Node(_) => &NODE_SDK,
        }
    }

    /// Sends the client through Latimer to the backend at `url`.
    pub fn send(&self, site: &Site, run: &Run<'_>, place: &Place, url: &str) -> Result<()> {
        match self.kind {
            Kind::Codex => codex(site, run, place, url),
            Kind::Python(mode) => {
                let interpreter = PYTHON_SDK.program(&site.tools());
                let mut agent = command(&interpreter, &place.home);
                agent.arg(site.root.join("interop/clients/agent.py")).arg(mode);
                through_serve(site, run, place, url, agent)
            }
            Kind::Node(mode) => {
                let mut agent = command("node".as_ref(), &place.home);
                agent.env("SDK", NODE_SDK.program(&site.tools()));
                agent.arg(site.root.join("interop/clients/agent.mjs")).arg(mode);
                through_serve(site, run, place, url, agent)
            }
        }
    }
}

fn codex(site: &Site, run: &Run<'_>, place: &Place, url: &str) -> Result<()> {
    let mut command = command(&site.latimer, &place.home);
    command.current_dir(&place.work).args(["run", "codex", "--upstream", url]);
    command.args(["--dialect", run.dialect, "--record"]).arg(place.record());
    command.arg("--program").arg(CODEX.program(&site.tools())).args(["--", "exec"]);
    command.args(["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
    let mut process = Process::start(command.arg(&run.scenario.prompt), "codex", &place.logs)?;
    let text = process.succeed(DEADLINE)?;
    let scenario = run.scenario;
    ensure!(text.trim() == scenario.text, "Codex ends with {text:?}, not {:?}", scenario.text);
    let shown = process.stderr()?;
    for thought in &scenario.reasoning {
        ensure!(shown.contains(thought), "Codex does not show the reasoning {thought:?}");
    }
    codex_left_nothing(place)?;
    report(scenario, place)
}

/// The user's own configuration was not touched, and ours is gone.
fn codex_left_nothing(place: &Place) -> Result<()> {
    let own = place.home.join(".codex");
    ensure!(!own.exists(), "the user's own configuration was touched: {}", own.display());
    let ours = place.home.join(".cache/latimer");
    let left = fs::read_dir(&ours).map_or(0, Iterator::count);
    ensure!(left == 0, "the throw-away configuration was left behind in {}", ours.display());
    Ok(())
}

fn report(scenario: &Scenario, place: &Place) -> Result<()> {
    let path = place.record().join("report.md");
    let report = fs::read_to_string(&path).context("there is no report")?;
    let calls = scenario.calls.iter().map(|name| format!("- `{name}` (call_id: "));
    for shown in calls.chain([scenario.text.clone()]) {
        ensure!(report.contains(&shown), "{} does not show {shown:?}", path.display());
    }
    Ok(())
}

fn through_serve(
    site: &Site,
    run: &Run<'_>,
    place: &Place,
    url: &str,
    mut agent: std::process::Command,
) -> Result<()> {
    let mut serve = command(&site.latimer, &place.home);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--upstream", url]);
    serve.args(["--dialect", run.dialect, "--record"]).arg(place.record());
    let mut gateway = Process::start(&mut serve, "serve", &place.logs)?;
    let base_url = format!("{}/v1", gateway.address()?);
    agent.current_dir(&place.work).env("BASE_URL", base_url).arg(&run.scenario.prompt);
    let printed = Process::start(&mut agent, "agent", &place.logs)?.succeed(DEADLINE)?;
    gateway.stop()?;
    let said: Said = serde_json::from_str(&printed).context("the agent printed no result")?;
    said.as_expected(run.scenario)
}

impl Said {
    fn as_expected(&self, scenario: &Scenario) -> Result<()> {
        let (text, reasoning) = (Some(scenario.text.clone()), scenario.reasoning.join(" "));
        ensure!(self.answers == scenario.exchanges, "the client saw {:?}", self.answers);
        ensure!(self.text == text, "the client ends with {:?}", self.text);
        ensure!(self.reasoning == reasoning, "the client saw reasoning {:?}", self.reasoning);
        ensure!(self.calls == scenario.calls, "the client was told to call {:?}", self.calls);
        Ok(())
    }
}
