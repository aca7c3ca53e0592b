//! `cargo xtask bench`: what Latimer costs as a process, beside the floor (nginx and haproxy, which
//! only pass bytes on) and what a user would pick instead, in one run on pinned cores. An upstream
//! and a load that checks every answer run in this process; everybody else runs beside it.
//!
//! The way through: `cases` is the table of what is measured, `peers` that of who; `measure` runs
//! one against the other with `load` and `upstream`, which agree on a `dialogue`; `results` holds
//! what came out, `targets` what is asked for, and `table`, `compare` and `readme` tell it. `growth`
//! looks at how cost grows.

mod answer;
mod cases;
mod chart;
mod check;
mod compare;
mod curve;
mod dialogue;
mod growth;
mod leave;
mod load;
mod machine;
mod measure;
mod peers;
mod process;
mod readme;
mod recording;
mod results;
mod table;
mod targets;
mod upstream;
mod writes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;

use crate::machine::{Cores, Machine};
use crate::measure::{Plan, Run};
use crate::peers::{Database, Model, PEERS, Peer, Site};
use crate::results::Results;
use crate::targets::TARGETS;
use crate::upstream::Upstream;

/// Measures Latimer beside nginx, haproxy and its peers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// Only cases whose name holds this.
    #[arg(long, value_name = "CASE")]
    only: Option<String>,
    /// Only these of those who are measured, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    peers: Vec<String>,
    /// How many rounds.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// One round with few requests, without peers: whether everything works, in a minute.
    #[arg(long)]
    quick: bool,
    /// Report on a recording of 1 GB instead of 200 MB.
    #[arg(long)]
    full: bool,
    /// Where to write the results [default: target/bench/DAY-COMMIT.json].
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say what moved since this run.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Measure nothing; take the results of an earlier run.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Measure how cost grows, and write a report with curves to target/bench/report.
    #[arg(long)]
    growth: bool,
    /// Write the README's section from the results of a run.
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    outcome(&args).map_or_else(
        |error| {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn outcome(args: &Args) -> Result<()> {
    if let Some(results) = &args.readme {
        return write_readme(&Results::read(results)?);
    }
    if args.growth {
        return grown();
    }
    let results = match &args.from {
        Some(path) => Results::read(path)?,
        None => {
            let results = measured(args)?;
            write_json(args, &results)?;
            results
        }
    };
    println!("\n{}", table::of_results(&results));
    println!("{}", table::markdown(&targets::HEAD, &targets::rows(&results)));
    println!("{}", readme::notes(&results));
    if let Some(old) = &args.compare {
        println!("{}", compare::compare(&Results::read(old)?, &results));
    }
    measure::must_be_right(&results)
}

/// How cost grows.
fn grown() -> Result<()> {
    let site = site()?;
    let machine = Machine::here();
    let head = format!(
        "`cargo xtask bench --growth` on {} at {}, on {} cores of {}. {}",
        said_by("date", &["-u", "+%F"])?,
        said_by("git", &["describe", "--always", "--dirty"])?,
        machine.cores,
        machine.processor,
        growth::METHOD
    );
    let report = running(&site, async |upstream| growth::run(&site, &upstream, &head).await)?;
    println!("{}", fs::read_to_string(&report.file)?);
    println!("report: {}", report.file.display());
    ensure!(report.wrong.is_empty(), "wrong answers: {}", report.wrong.join("; "));
    Ok(())
}

/// Runs what is measured beside an upstream, on the core of upstream and load.
fn running<T>(site: &Site, run: impl AsyncFnOnce(Upstream) -> Result<T>) -> Result<T> {
    site.cores.take_load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { run(Upstream::start().await?).await })
}

fn measured(args: &Args) -> Result<Results> {
    let site = site()?;
    let plan = Plan {
        only: args.only.clone(),
        peers: args.peers.clone(),
        others: !args.quick,
        rounds: if args.quick { 1 } else { args.rounds.max(1) },
        fewer: if args.quick { 10 } else { 1 },
        report_bytes: match (args.quick, args.full) {
            (_, true) => 1_000_000_000,
            (false, false) => 200_000_000,
            (true, false) => 50_000_000,
        },
    };
    let mut results = Results {
        day: said_by("date", &["-u", "+%F"])?,
        commit: said_by("git", &["describe", "--always", "--dirty"])?,
        command: command(args),
        machine: Machine::here(),
        method: method(&site, &plan),
        series: Vec::new(),
        checked: Vec::new(),
        missing: Vec::new(),
    };
    running(&site, async |upstream| {
        let (site, upstream, results) = (&site, &upstream, &mut results);
        measure::all(&mut Run { site, upstream, plan: &plan, results }).await
    })?;
    results.method.extend(who(&site, &results));
    Ok(results)
}

fn site() -> Result<Site> {
    let own = std::env::current_exe()?;
    let release = own.parent().context("this program has no directory")?;
    let bench = release.parent().context("there is no target directory")?.join("bench");
    let scratch = bench.join("run");
    fs::create_dir_all(&scratch)?;
    Ok(Site {
        latimer: release.join("latimer"),
        installed: bench.join("peers"),
        scratch,
        cores: Cores::share_out()?,
        open_files: machine::raise_open_files()?,
        database: Database::default(),
        model: Model::default(),
    })
}

/// The command that repeats the run, files left out.
fn command(args: &Args) -> String {
    let mut command = "cargo xtask bench".to_owned();
    if args.rounds != 5 {
        command.push_str(&format!(" --rounds {}", args.rounds));
    }
    if let Some(only) = &args.only {
        command.push_str(&format!(" --only '{only}'"));
    }
    if !args.peers.is_empty() {
        command.push_str(&format!(" --peers '{}'", args.peers.join(",")));
    }
    for (given, option) in [(args.quick, " --quick"), (args.full, " --full")] {
        command.push_str(if given { option } else { "" });
    }
    command
}

/// How it is measured, a sentence each.
fn method(site: &Site, plan: &Plan) -> Vec<String> {
    let cores = match site.cores.are_apart() {
        true => "What is measured runs on one core, upstream and load on another.",
        false => {
            "There is only one core for what is measured, upstream and load: times say little."
        }
    };
    vec![
        cores.to_owned(),
        format!(
            "Rounds: {} (fewer where one takes long), in which everybody takes turns; a slow peer is \
             asked for two seconds. A figure is the median of its rounds, the noise how far they \
             lie apart. CPU is that of the process and its children, as the scheduler counts it.",
            plan.rounds
        ),
        "Every answer is held against its whole text, the order of its events and its last event."
            .to_owned(),
        "Requests are shaped like an agent's; a stream is 50 chunks of 4 tokens. Full speed: 32 \
         connections (1 MB: 8), and the upstream sends a stream in one write. Paced: one chunk a \
         millisecond on 32 connections. Slow streams: 200 chunks, 20 ms apart, 1,000 at once."
            .to_owned(),
        "Turns: one connection; a history that is named is a chain of turns of three items, whose \
         answers count besides."
            .to_owned(),
        "Leaving: from the moment at which a client closes its connection until the upstream sees that \
         nobody listens, 100 clients a round, one after the other."
            .to_owned(),
    ]
}

/// Who took part, and how each is set up.
fn who(site: &Site, results: &Results) -> Vec<String> {
    let took_part = |peer: &&Peer| results.series.iter().any(|series| series.peer == peer.name);
    let set_up = |peer: &Peer| {
        let version = peer.version(site).map_or(String::new(), |version| format!(" ({version})"));
        format!("{}{version}: {}.", peer.name, peer.what)
    };
    PEERS.iter().filter(took_part).map(set_up).collect()
}

fn said_by(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The directory of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Writes the results, and beside them how the targets stand.
fn write_json(args: &Args, results: &Results) -> Result<()> {
    let path = match &args.json {
        Some(path) => path.clone(),
        None => {
            site()?.installed.with_file_name(format!("{}-{}.json", results.day, results.commit))
        }
    };
    let standings: Vec<_> = TARGETS.iter().map(|target| target.standing(results)).collect();
    let mut value = serde_json::to_value(results)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("targets".to_owned(), json!(standings));
    }
    fs::write(&path, format!("{value:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("results: {}", path.display());
    Ok(())
}

fn write_readme(results: &Results) -> Result<()> {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path)?;
    fs::write(&path, readme::with_section(&readme, results)?)?;
    Ok(())
}
