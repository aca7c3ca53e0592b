//! Real clients against Latimer: every scenario, over every dialect its backend speaks, with every
//! client. In: `interop/scenarios` and `interop/clients`. Out: a line per run, the logs of each in
//! `target/interop/logs`, and an exit code. The network is used only to install the clients.

mod backend;
mod client;
mod codex;
pub mod judged;
mod process;
pub mod readers;
mod recording;
mod scenario;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::build;
use crate::tools::{LITELLM, Tool};
use backend::Backend;
use client::{CLIENTS, Client, DEADLINE};
use process::Process;
use scenario::Scenario;

/// How many characters of a failure stand in its line; all of it is in the log.
const REASON: usize = 500;

/// Where everything is.
pub struct Site {
    /// The workspace.
    pub root: PathBuf,
    /// The program under test.
    pub latimer: PathBuf,
    /// `target/interop`.
    base: PathBuf,
    /// LiteLLM's proxy before Latimer. It starts slowly, so that one serves all runs.
    proxy: OnceLock<Result<Backend, String>>,
}

impl Site {
    fn tools(&self) -> PathBuf {
        self.base.join("tools")
    }

    fn logs(&self) -> PathBuf {
        self.base.join("logs")
    }

    fn client(&self, file: &str) -> PathBuf {
        self.root.join("interop/clients").join(file)
    }

    fn scratch(&self) -> PathBuf {
        self.base.join("scratch")
    }

    /// The address of the proxy before Latimer, which is started when it is first needed.
    fn proxy(&self) -> Result<&str> {
        let start = || backend::litellm(self, "litellm-before", &self.client("litellm.yaml"));
        match self.proxy.get_or_init(|| start().map_err(|error| format!("{error:#}"))) {
            Ok(proxy) => Ok(&proxy.url),
            Err(error) => bail!("{error}"),
        }
    }
}

/// One client, one scenario, one dialect.
pub struct Run<'a> {
    scenario: &'a Scenario,
    dialect: &'a str,
    client: &'static Client,
}

impl Run<'_> {
    fn name(&self) -> String {
        format!("{}/{}/{}", self.scenario.name, self.dialect, self.client.name)
    }
}

/// The directories of one run, empty at its beginning.
pub struct Place {
    logs: PathBuf,
    home: PathBuf,
    work: PathBuf,
}

impl Place {
    fn make(site: &Site, name: &str) -> Result<Place> {
        let (logs, scratch) = (site.logs().join(name), site.scratch().join(name));
        let place = Place { home: scratch.join("home"), work: scratch.join("work"), logs };
        for directory in [&scratch, &place.logs] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
        }
        for directory in [&place.home, &place.work, &place.logs] {
            fs::create_dir_all(directory)?;
        }
        Ok(place)
    }

    /// What Latimer records.
    fn record(&self) -> PathBuf {
        self.logs.join("record")
    }

    /// What a second Latimer beside it records.
    fn second_record(&self) -> PathBuf {
        self.record().join(recording::SECOND)
    }

    /// What the mock behind it records.
    fn backend_record(&self) -> PathBuf {
        self.logs.join("backend-record")
    }
}

/// Runs what `only` names, or everything. `keep`: leave the scratch directories.
pub fn run(root: &Path, only: Option<&str>, keep: bool) -> Result<ExitCode> {
    let scenarios = scenario::read_all(&root.join("interop/scenarios"))?;
    let runs: Vec<Vec<Run<'_>>> = scenarios.iter().map(|one| runs_of(one, only)).collect();
    let chosen = || runs.iter().flatten();
    ensure!(chosen().next().is_some(), "no run is called {:?}", only.unwrap_or_default());
    let site = prepare(root)?;
    install(&site, chosen())?;
    let (mut passed, mut failed) = (0, 0);
    for runs in &runs {
        for ok in perform_all(&site, runs) {
            if ok { passed += 1 } else { failed += 1 }
        }
    }
    if failed == 0 && !keep {
        fs::remove_dir_all(site.scratch())?;
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn runs_of<'a>(scenario: &'a Scenario, only: Option<&str>) -> Vec<Run<'a>> {
    let takes_part = |client: &&Client| {
        let named = |names: &[String]| names.iter().any(|name| name == client.name);
        (scenario.clients.is_empty() || named(&scenario.clients)) && !named(&scenario.without)
    };
    let clients = |dialect: &'a String| {
        let speaks = move |client: &&Client| !client.is_forgetful || dialect == "chat";
        CLIENTS.iter().filter(takes_part).filter(speaks)
    };
    let runs = scenario
        .dialects
        .iter()
        .flat_map(|dialect| clients(dialect).map(move |client| Run { scenario, dialect, client }));
    runs.filter(|run| only.is_none_or(|only| run.name().contains(only))).collect()
}

/// Builds the program under test and says where everything is.
fn prepare(root: &Path) -> Result<Site> {
    let latimer = build::program(root, "latimer", &["--package", "latimer"])?;
    let target = latimer.parent().and_then(Path::parent).context("latimer has no directory")?;
    let base = target.join("interop");
    for old in [base.join("logs"), base.join("scratch")] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    Ok(Site { root: root.to_owned(), base, latimer, proxy: OnceLock::new() })
}

/// Installs what the runs need, all at the same time.
fn install<'a>(site: &Site, runs: impl Iterator<Item = &'a Run<'a>>) -> Result<()> {
    let mut needed: Vec<&Tool> = Vec::new();
    for run in runs {
        let of_backend = match run.scenario.backend {
            scenario::Backend::LiteLlm(_) => Some(&LITELLM),
            _ => None,
        };
        for tool in of_backend.into_iter().chain([run.client.tool()]) {
            if !needed.contains(&tool) {
                needed.push(tool);
            }
        }
    }
    std::thread::scope(|scope| {
        let install = |tool: &'a Tool| scope.spawn(move || tool.install(&site.tools()));
        let installing: Vec<_> = needed.into_iter().map(install).collect();
        installing.into_iter().try_for_each(|one| match one.join() {
            Ok(installed) => installed,
            Err(_) => bail!("an installation panicked"),
        })
    })
}

/// The runs of one scenario, which share a backend if it is slow to start. As many go on at once as
/// there are processors: most of a run is an interpreter that reads its libraries.
fn perform_all(site: &Site, runs: &[Run<'_>]) -> Vec<bool> {
    let shared = runs.first().and_then(|run| match &run.scenario.backend {
        scenario::Backend::LiteLlm(configuration) => {
            Some(backend::litellm(site, "litellm-behind", configuration))
        }
        _ => None,
    });
    let once = |run: &Run<'_>| {
        let began = Instant::now();
        let outcome = match &shared {
            Some(Err(error)) => Err(anyhow::anyhow!("{error:#}")),
            Some(Ok(backend)) => perform(site, run, Some(backend)),
            None => perform(site, run, None),
        };
        tell(site, run, began, &outcome);
        outcome.is_ok()
    };
    // Programs of others that are stopped or leave in the middle may be slow to; what fails is
    // told, and has one more chance. What fails twice has failed.
    let one = |run: &Run<'_>| once(run) || once(run);
    let next = AtomicUsize::new(0);
    let some = || -> Vec<bool> {
        std::iter::from_fn(|| runs.get(next.fetch_add(1, Ordering::Relaxed)).map(one)).collect()
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(some)).collect();
        // A worker that panicked has said why, and counts as one failure.
        working.into_iter().flat_map(|one| one.join().unwrap_or_else(|_| vec![false])).collect()
    })
}

fn perform(site: &Site, run: &Run<'_>, shared: Option<&Backend>) -> Result<()> {
    let place = Place::make(site, &run.name())?;
    let own = match &run.scenario.backend {
        scenario::Backend::Mock(script) => Some(backend::mock(site, script, &place)?),
        _ => None,
    };
    let url = match (&run.scenario.backend, shared.or(own.as_ref())) {
        (scenario::Backend::Agent(program), _) => {
            format!("stdio:python3 '{}'", site.root.join(program).display())
        }
        (_, backend) => backend.context("nobody answers in this scenario")?.url.clone(),
    };
    git_init(&place)?;
    run.client.send(site, run, &place, &url)?;
    files_are_made(run, &place)?;
    recording::check(run.scenario, &place.record())?;
    recording::sub_agents(run.scenario, &place.record())?;
    is_sealed(site, &place)?;
    if run.client.uses_socket {
        recording::all_over_socket(&place.record())?;
    }
    if let Some(mock) = own {
        mock.stop()?;
        // A client that is stopped may have begun a request that never came to the backend.
        if run.scenario.breaks.is_none() {
            recording::compare(&place.record(), &place.backend_record())?;
        }
    }
    let of_all = if run.client.is_forgetful { place.backend_record() } else { place.record() };
    recording::all_calls_answered(run.scenario, &of_all)?;
    if run.scenario.replay { replay(site, run, &place).context("replayed") } else { Ok(()) }
}

/// The lines of each recording are as they were written, each sealed with the one before.
fn is_sealed(site: &Site, place: &Place) -> Result<()> {
    for record in [place.record(), place.second_record()].iter().filter(|record| record.exists()) {
        let mut verify = process::command(&site.latimer, &place.home);
        verify.args(["receipt", "verify"]).arg(record.join("traffic.jsonl"));
        Process::start(&mut verify, "verify", &place.logs)?.succeed(DEADLINE)?;
    }
    Ok(())
}

/// Sends the client once more, in another place, to what was recorded of it. Nothing else answers.
fn replay(site: &Site, run: &Run<'_>, recorded: &Place) -> Result<()> {
    let place = Place::make(site, &format!("{}/replay", run.name()))?;
    git_init(&place)?;
    let backend = backend::replay(site, &recorded.record(), &place)?;
    run.client.send_to_replay(site, run, &place, &backend.url)?;
    files_are_made(run, &place)?;
    backend.stop()
}

fn files_are_made(run: &Run<'_>, place: &Place) -> Result<()> {
    for (name, content) in &run.scenario.files {
        let made = fs::read_to_string(place.work.join(name));
        let made = made.with_context(|| format!("no command made the file {name}"))?;
        ensure!(made == *content, "the file {name} holds {made:?}");
    }
    Ok(())
}

/// An agent looks for instructions up to the root of its repository; this one ends the search
/// before it finds the project's own.
fn git_init(place: &Place) -> Result<()> {
    let mut git = process::command("git".as_ref(), &place.home);
    let status = git.args(["init", "--quiet"]).current_dir(&place.work).status();
    ensure!(status.context("cannot run git")?.success(), "git init failed");
    Ok(())
}

fn tell(site: &Site, run: &Run<'_>, began: Instant, outcome: &Result<()>) {
    let (name, seconds) = (run.name(), began.elapsed().as_secs_f32());
    let Err(error) = outcome else {
        return println!("ok      {name}  {seconds:.1} s");
    };
    let logs = site.logs().join(&name);
    let whole = format!("{error:#}");
    let words: String = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason: String = words.chars().take(REASON).collect();
    println!("FAILED  {name}  {seconds:.1} s  {reason} (logs: {})", logs.display());
    let _ = fs::create_dir_all(&logs);
    let _ = fs::write(logs.join("failure.txt"), whole);
}
