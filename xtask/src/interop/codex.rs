//! The Codex CLI: one session through `latimer run`, or one that breaks off and is taken up again,
//! with a configuration of its own, through `latimer serve`. In: a run. Out: what Codex itself said
//! and left, held against the scenario.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::client::{DEADLINE, serve};
use super::process::{Process, command, until};
use super::scenario::{Break, Scenario};
use super::{Place, Run, Site};

/// What every `codex exec` is told: the directories are made for it, and hold nothing to protect.
const OPTIONS: &[&str] = &["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];

/// How Codex asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Each request is a POST.
    Post,
    /// Over a WebSocket, as the provider is said to have one.
    Socket,
    /// Over a WebSocket, as the provider that is built in has one.
    BuiltIn,
}

impl Transport {
    fn options(self) -> &'static [&'static str] {
        match self {
            Transport::Socket => &["-c", "model_providers.latimer.supports_websockets=true"],
            Transport::Post | Transport::BuiltIn => &[],
        }
    }
}

/// How Codex is sent through Latimer.
pub struct Session<'a> {
    /// Codex itself.
    pub program: &'a Path,
    pub transport: Transport,
    pub site: &'a Site,
    pub run: &'a Run<'a>,
    pub place: &'a Place,
    /// The backend.
    pub url: &'a str,
}

impl Session<'_> {
    /// Sends it.
    pub fn send(&self) -> Result<()> {
        match (&self.run.scenario.breaks, self.transport) {
            (Some(breaks), _) => self.broken(breaks),
            (None, Transport::BuiltIn) => self.built_in(),
            (None, _) => self.whole(),
        }
    }

    /// A session with the provider that is built in, told only another address.
    fn built_in(&self) -> Result<()> {
        let (gateway, base_url) = serve(self.site, self.run, self.place, self.url)?;
        let configuration = format!(
            "model = \"mock\"\nopenai_base_url = \"{base_url}\"\n\
             check_for_update_on_startup = false\n"
        );
        self.answers(self.exec(&configuration)?.arg(&self.run.scenario.prompt), "codex")?;
        gateway.stop()
    }

    /// A session through `latimer run`.
    fn whole(&self) -> Result<()> {
        let Session { program, transport, site, run, place, url } = self;
        let mut command = command(&site.latimer, &place.home);
        command.current_dir(&place.work).args(["run", "codex", "--upstream", url]);
        command.args(["--dialect", run.dialect, "--record"]).arg(place.record());
        command.arg("--program").arg(program).args(["--", "exec"]).args(OPTIONS);
        command.args(transport.options());
        let interop = site.root.join("interop").display().to_string();
        let arguments = run.scenario.codex_arguments.iter();
        command.args(arguments.map(|argument| argument.replace("{interop}", &interop)));
        self.answers(command.arg(&run.scenario.prompt), "codex")?;
        left_nothing(place)?;
        report(run.scenario, place)
    }

    /// A session that is broken off in the middle of a call or of an answer, and another that goes on
    /// with it.
    fn broken(&self, breaks: &Break) -> Result<()> {
        let Session { transport, site, run, place, url, .. } = self;
        let (gateway, base_url) = serve(site, run, place, url)?;
        let exec = |words: &[&str]| -> Result<Command> {
            let mut command = self.exec(&configuration(&base_url))?;
            command.args(transport.options()).args(words);
            Ok(command)
        };
        let mut first = Process::start(&mut exec(&[&run.scenario.prompt])?, "codex", &place.logs)?;
        let mock_says = place.logs.join("mock.err");
        let begun = || match &breaks.when_file {
            Some(name) => Ok(place.work.join(name).exists()),
            None => {
                fs::read_to_string(&mock_says).map(|said| said.contains("nothing more is said"))
            }
        };
        let begins = until(DEADLINE, || {
            first.must_run()?;
            Ok(begun()?.then_some(()))
        })?;
        begins.context("the moment at which the session is to break off did not come")?;
        first.signal(breaks.signal.into())?;
        first.wait(DEADLINE)?;
        self.answers(&mut exec(&["resume", "--last", &breaks.prompt])?, "codex-resume")?;
        gateway.stop()
    }

    /// `codex exec` with a home of its own.
    fn exec(&self, configuration: &str) -> Result<Command> {
        let home = self.place.home.join("codex");
        fs::create_dir_all(&home)?;
        fs::write(home.join("config.toml"), configuration)?;
        let mut command = command(self.program, &self.place.home);
        command.current_dir(&self.place.work).env("CODEX_HOME", &home).arg("exec").args(OPTIONS);
        Ok(command)
    }

    /// Runs Codex to its end, which has to say and show what the scenario wants. `name` is that of its
    /// log.
    fn answers(&self, command: &mut Command, name: &str) -> Result<()> {
        let scenario = self.run.scenario;
        let mut process = Process::start(command, name, &self.place.logs)?;
        let (text, shown) = (process.succeed(DEADLINE)?, process.stderr()?);
        ensure!(text.trim() == scenario.text, "Codex ends with {text:?}, not {:?}", scenario.text);
        for thought in &scenario.reasoning {
            ensure!(shown.contains(thought), "Codex does not show the reasoning {thought:?}");
        }
        Ok(())
    }
}

/// What a user writes who has a gateway.
fn configuration(base_url: &str) -> String {
    format!(
        "model = \"mock\"\n\
         model_provider = \"latimer\"\n\
         check_for_update_on_startup = false\n\
         [features]\n\
         remote_models = false\n\
         [model_providers.latimer]\n\
         name = \"Latimer\"\n\
         base_url = \"{base_url}\"\n\
         wire_api = \"responses\"\n"
    )
}

/// The user's own configuration was not touched, and ours is gone.
fn left_nothing(place: &Place) -> Result<()> {
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
    let started = report.lines().filter(|line| line.starts_with("**Started by:** `")).count();
    ensure!(started == scenario.sub_agents, "{} has {started} sub-agents", path.display());
    Ok(())
}
