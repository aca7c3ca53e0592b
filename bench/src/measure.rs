//! One run: case by case, everybody who takes part is started anew, warmed up, and asked in turns;
//! each round changes who begins. What the rounds bring goes into the results.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cases::{CASES, Case, Kind};
use crate::dialogue::{self, History, Shape};
use crate::load::{self, Answers, Work};
use crate::peers::{self, Peer, Role, Running, Site};
use crate::process::Tree;
use crate::results::{Checked, Figure, Results, percentile};
use crate::upstream::Upstream;
use crate::{leave, recording, writes};

/// How much is done.
#[derive(Debug)]
pub struct Plan {
    /// Only cases whose name holds this.
    pub only: Option<String>,
    /// Only these peers; all when there are none.
    pub peers: Vec<String>,
    /// Whether more take part than Latimer and the floor, unless they are named.
    pub others: bool,
    /// How many rounds, where a case does not need fewer.
    pub rounds: usize,
    /// The requests are divided by this.
    pub fewer: usize,
    /// The size of the recording that is reported on.
    pub report_bytes: u64,
}

/// A run: what it measures with, and what it found so far.
#[derive(Debug)]
pub struct Run<'a> {
    /// Where everything is.
    pub site: &'a Site,
    /// The backend.
    pub upstream: &'a Upstream,
    /// How much is done.
    pub plan: &'a Plan,
    /// What was found.
    pub results: &'a mut Results,
}

/// Time between the starts of connections, where there are many.
const APART: Duration = Duration::from_micros(200);

/// More connections than this do not start at once.
const AT_ONCE: usize = 100;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Measures all that is planned.
///
/// # Errors
/// When Latimer or the floor does not start, or something of the bench itself breaks.
pub async fn all(run: &mut Run<'_>) -> Result<()> {
    let wanted = |case: &&Case| run.plan.only.as_ref().is_none_or(|only| case.name.contains(only));
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    ensure!(!cases.is_empty(), "no case is named like that; there are: {}", names());
    for case in cases {
        let present = present(run, case)?;
        let who: Vec<&str> = present.iter().map(|peer| peer.name).collect();
        eprintln!("{}: {}", case.name, who.join(", "));
        let measured = match case.kind {
            Kind::Load(work) => load(run, case, work, &present).await,
            Kind::Start => start(run, case, &present).await,
            Kind::Writes(work) => writes::measure(run, case.name, work, &present).await,
            Kind::Leave(at) => leave::measure(run, case, at, &present).await,
            Kind::Report(end, options) => recording::measure(run, case, end, options).await,
        };
        measured.with_context(|| format!("in the case `{}`", case.name))?;
    }
    Ok(())
}

fn names() -> String {
    CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ")
}

/// Those of a case who are installed; of the others it is said once that they are missing.
fn present(run: &mut Run<'_>, case: &Case) -> Result<Vec<&'static Peer>> {
    let Run { site, plan, results, .. } = run;
    let mut present = Vec::new();
    for &name in case.peers {
        let peer = peers::named(name)?;
        let takes_part = match plan.peers.as_slice() {
            [] => plan.others || peer.role.is_trusted(),
            named => named.iter().any(|wanted| wanted == name),
        };
        if takes_part {
            match peer.program(site) {
                Ok(_) => present.push(peer),
                Err(remedy) => results.miss(remedy),
            }
        }
    }
    Ok(present)
}

/// What work costs everybody: warmed up first, then round by round.
async fn load(run: &mut Run<'_>, case: &Case, work: Work, present: &[&'static Peer]) -> Result<()> {
    let mut running = Vec::new();
    for peer in present {
        running.extend(started(run, peer).await?);
    }
    // Where every connection asks only once, there is nothing to warm up.
    for one in running.iter().filter(|_| work.requests > work.connections) {
        round(run.upstream, one, less(work, run.plan.fewer * 10)).await?;
    }
    let rounds = run.plan.rounds.min(case.rounds);
    for number in 0..rounds {
        eprintln!("  round {} of {rounds}", number + 1);
        let turns = running.len();
        for one in (0..turns).filter_map(|turn| running.get((turn + number) % turns)) {
            let work = less(work, run.plan.fewer);
            let round = round(run.upstream, one, work).await?;
            round.account(case.name, one.peer.name, work, run.results);
        }
    }
    Ok(())
}

/// A peer that was started. That somebody else's program does not come up is a result.
///
/// # Errors
/// When Latimer or the floor does not.
pub async fn started(run: &mut Run<'_>, peer: &'static Peer) -> Result<Option<Running>> {
    match Running::start(run.site, peer, run.upstream).await {
        Ok(running) => Ok(Some(running)),
        Err(error) if peer.role.is_trusted() => Err(error),
        Err(error) => {
            run.results.miss(format!("{error:#}"));
            Ok(None)
        }
    }
}

/// The same work with fewer requests, but one for each connection.
pub fn less(mut work: Work, fewer: usize) -> Work {
    work.requests = (work.requests / fewer).max(work.connections);
    work
}

/// What one round found.
#[derive(Debug)]
pub struct Round {
    /// What the load got.
    pub answers: Answers,
    /// What the peer's processes spent.
    pub cpu: Option<Duration>,
    /// The most they had resident at one time.
    pub resident_kb: Option<u64>,
}

/// One round of work on one peer.
///
/// # Errors
/// When the peer has ended.
pub async fn round(upstream: &Upstream, running: &Running, work: Work) -> Result<Round> {
    let body = match work.shape.history {
        History::Named => {
            // Each turn of the history is shorter than all of it.
            upstream.play(Shape { stream: false, ..Shape::stream(0, work.shape.chunks) }, None);
            load::tell(running.address, work.shape).await?
        }
        History::Sent | History::Stored => dialogue::request(work.shape),
    };
    upstream.play(work.shape, work.pace);
    let apart = if work.connections > AT_ONCE { APART } else { Duration::ZERO };
    let before = running.tree.map(|tree| tree.cpu()).transpose()?;
    let (answers, resident_kb) = match running.tree {
        None => (load::say(running.address, work, body, apart).await?, None),
        Some(tree) => {
            let mut most = 0;
            let answers = tokio::select! {
                answers = load::say(running.address, work, body, apart) => answers?,
                never = watch(tree, &mut most) => never?,
            };
            (answers, Some(most.max(tree.resident_kb()?)))
        }
    };
    let after = running.tree.map(|tree| tree.cpu()).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    Ok(Round { answers, cpu, resident_kb })
}

/// Looks at a tree's memory again and again; ends only when the tree does.
async fn watch(tree: Tree, most: &mut u64) -> Result<Answers> {
    loop {
        *most = (*most).max(tree.resident_kb()?);
        tokio::time::sleep(LOOK).await;
    }
}

impl Round {
    /// CPU milliseconds per request.
    pub fn cpu_ms(&self) -> Option<f64> {
        Some(milliseconds(self.cpu?) / self.answers.asked as f64)
    }

    /// Resident memory in megabytes.
    pub fn resident_mb(&self) -> Option<f64> {
        self.resident_kb.map(|kb| kb as f64 / 1000.0)
    }

    fn account(mut self, case: &str, peer: &str, work: Work, results: &mut Results) {
        self.answers.first.sort_unstable();
        self.answers.gaps.sort_unstable();
        let at = |times: &[Duration], percent| percentile(times, percent).map(milliseconds);
        let (first, gaps) = (&self.answers.first, &self.answers.gaps);
        let rate = |count: usize| {
            let full_speed = work.pace.is_none() && count > 0;
            full_speed.then(|| count as f64 / self.answers.took.as_secs_f64())
        };
        let figures = [
            (Figure::CpuMs, self.cpu_ms()),
            (Figure::Rate, rate(self.answers.asked)),
            (Figure::EventRate, rate(self.answers.events)),
            (Figure::FirstP50Ms, at(first, 50)),
            (Figure::FirstP99Ms, at(first, 99)),
            (Figure::GapP50Ms, at(gaps, 50)),
            (Figure::GapP99Ms, at(gaps, 99)),
            (Figure::ResidentMb, self.resident_mb()),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                results.add(case, peer, figure, value);
            }
        }
        self.answers.account(case, peer, results);
    }
}

/// The program itself: its size, its start, and its memory once it has answered.
async fn start(run: &mut Run<'_>, case: &Case, present: &[&'static Peer]) -> Result<()> {
    for round in 0..run.plan.rounds.min(case.rounds) {
        for peer in present.iter().filter(|peer| round == 0 || peer.role != Role::SlowPeer) {
            let Some(running) = started(run, peer).await? else { continue };
            let started_after = milliseconds(running.started_after);
            let resident = running.tree.context("nothing runs")?.resident_kb()?;
            run.results.add(case.name, peer.name, Figure::StartMs, started_after);
            run.results.add(case.name, peer.name, Figure::ResidentMb, resident as f64 / 1000.0);
        }
    }
    // The file of a program in Python is only how it is called.
    for peer in present.iter().filter(|peer| peer.role != Role::SlowPeer) {
        let program = peer.program(run.site).map_err(anyhow::Error::msg)?;
        run.results.add(case.name, peer.name, Figure::ProgramMb, megabytes(&program)?);
    }
    Ok(())
}

fn megabytes(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file)?.len() as f64 / 1e6)
}

/// A duration as tables want it.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Holds Latimer and the floor to their answers; wrong answers of others are results.
///
/// # Errors
/// Who gave wrong answers, and where.
pub fn must_be_right(results: &Results) -> Result<()> {
    for checked in results.checked.iter().filter(|checked| !checked.faults.is_empty()) {
        let Checked { case, peer, answers, faults } = checked;
        let trusted = peers::named(peer).is_ok_and(|peer| peer.role.is_trusted());
        ensure!(!trusted, "wrong answers of {peer} in `{case}`, of {answers}: {faults:?}");
    }
    Ok(())
}
