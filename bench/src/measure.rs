//! One run: case by case, everybody who takes part is started anew, warmed up, and asked in turns;
//! each round changes who begins. What the rounds bring goes into the results.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cases::{CASES, Case, Kind};
use crate::load::{self, Answers, Work};
use crate::peers::{self, Peer, Role, Running, Site};
use crate::process::Tree;
use crate::results::{Figure, Results, Wrong, percentile};
use crate::upstream::Upstream;
use crate::{recording, writes};

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How many rounds, where a case does not need fewer.
    pub rounds: usize,
    /// The requests are divided by this.
    pub fewer: usize,
    /// The size of the recording that is reported on.
    pub report_bytes: u64,
}

/// What of all there is.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// Only cases whose name holds this.
    pub only: Option<&'a str>,
    /// Only these peers; all when there are none.
    pub peers: &'a [String],
}

/// A slow peer is asked this many times less.
const FEWER_OF_SLOW: usize = 40;

/// Time between the starts of connections, where there are many.
const APART: Duration = Duration::from_micros(200);

/// More connections than this do not start at once.
const AT_ONCE: usize = 100;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Measures what is chosen.
///
/// # Errors
/// When a peer does not start, or something of the bench itself breaks.
pub async fn run(
    site: &Site,
    upstream: &Upstream,
    chosen: Chosen<'_>,
    effort: Effort,
    results: &mut Results,
) -> Result<()> {
    let wanted = |case: &&Case| chosen.only.is_none_or(|only| case.name.contains(only));
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    anyhow::ensure!(!cases.is_empty(), "no case is named like that; there are: {}", names());
    for case in cases {
        let present = present(site, case, chosen, results)?;
        eprintln!(
            "{}: {}",
            case.name,
            present.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ")
        );
        let effort = Effort { rounds: effort.rounds.min(case.rounds), ..effort };
        let measured = match &case.kind {
            Kind::Load(work) => {
                load(site, upstream, case.name, *work, &present, effort, results).await
            }
            Kind::Start => start(site, upstream, case.name, &present, effort, results).await,
            Kind::Writes(work) => {
                writes::measure(site, upstream, case.name, *work, &present, results).await
            }
            Kind::Report => recording::measure(site, upstream, case.name, effort, results).await,
        };
        measured.with_context(|| format!("in the case `{}`", case.name))?;
    }
    Ok(())
}

fn names() -> String {
    CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ")
}

/// Those of a case who are installed; of the others it is said once that they are missing.
fn present(
    site: &Site,
    case: &Case,
    chosen: Chosen<'_>,
    results: &mut Results,
) -> Result<Vec<&'static Peer>> {
    let mut present = Vec::new();
    let wanted = |name: &&&str| {
        chosen.peers.is_empty() || chosen.peers.iter().any(|wanted| wanted == **name)
    };
    for name in case.peers.iter().filter(wanted) {
        let peer = peers::named(name)?;
        match peer.program(site) {
            Ok(_) => present.push(peer),
            Err(remedy) if !results.missing.contains(&remedy) => {
                eprintln!("  {remedy}");
                results.missing.push(remedy);
            }
            Err(_) => {}
        }
    }
    Ok(present)
}

async fn load(
    site: &Site,
    upstream: &Upstream,
    case: &str,
    work: Work,
    present: &[&'static Peer],
    effort: Effort,
    results: &mut Results,
) -> Result<()> {
    let mut running = Vec::new();
    for peer in present {
        running.push(Running::start(site, peer, upstream).await?);
    }
    for one in &running {
        let fewer = less(work, one.peer.role, effort.fewer * 10);
        round(upstream, one, fewer).await?;
    }
    for number in 0..effort.rounds {
        eprintln!("  round {} of {}", number + 1, effort.rounds);
        let turns = running.len();
        for one in (0..turns).filter_map(|turn| running.get((turn + number) % turns)) {
            let work = less(work, one.peer.role, effort.fewer);
            let round = round(upstream, one, work).await?;
            round.note(case, one.peer.name, work, results);
        }
    }
    Ok(())
}

/// The same work with fewer requests, but never fewer than connections, nor more than there were.
pub fn less(mut work: Work, role: Role, fewer: usize) -> Work {
    let fewer = fewer * if role == Role::SlowPeer { FEWER_OF_SLOW } else { 1 };
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
    upstream.play(work.shape, work.pace);
    let apart = if work.connections > AT_ONCE { APART } else { Duration::ZERO };
    let before = running.tree.map(|tree| tree.cpu()).transpose()?;
    let (answers, resident_kb) = match running.tree {
        None => (load::run(running.address, work, apart).await?, None),
        Some(tree) => {
            let mut most = 0;
            let answers = tokio::select! {
                answers = load::run(running.address, work, apart) => answers?,
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

    fn note(mut self, case: &str, peer: &str, work: Work, results: &mut Results) {
        self.answers.first.sort_unstable();
        self.answers.gaps.sort_unstable();
        let at = |times: &[Duration], percent| percentile(times, percent).map(milliseconds);
        let (first, gaps) = (&self.answers.first, &self.answers.gaps);
        let rate = self.answers.asked as f64 / self.answers.took.as_secs_f64();
        let figures = [
            (Figure::CpuMs, self.cpu_ms()),
            (Figure::Rate, work.pace.is_none().then_some(rate)),
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
        note_wrong(case, peer, &self.answers, results);
    }
}

/// Keeps account of answers that were not right.
pub fn note_wrong(case: &str, peer: &str, answers: &Answers, results: &mut Results) {
    for (fault, count) in &answers.faults {
        let same =
            |wrong: &&mut Wrong| wrong.case == case && wrong.peer == peer && wrong.fault == *fault;
        match results.wrong.iter_mut().find(same) {
            Some(wrong) => {
                wrong.count += count;
                wrong.of += answers.asked;
            }
            None => results.wrong.push(Wrong {
                case: case.to_owned(),
                peer: peer.to_owned(),
                fault: fault.to_string(),
                count: *count,
                of: answers.asked,
            }),
        }
    }
}

/// The program itself: its size, its start, and its memory once it has answered.
async fn start(
    site: &Site,
    upstream: &Upstream,
    case: &str,
    present: &[&'static Peer],
    effort: Effort,
    results: &mut Results,
) -> Result<()> {
    for round in 0..effort.rounds {
        for peer in present {
            if peer.role == Role::SlowPeer && round > 0 {
                continue;
            }
            let running = Running::start(site, peer, upstream).await?;
            results.add(case, peer.name, Figure::StartMs, milliseconds(running.started_after));
            let resident = running.tree.context("nothing runs")?.resident_kb()?;
            results.add(case, peer.name, Figure::ResidentMb, resident as f64 / 1000.0);
        }
    }
    for peer in present.iter().filter(|peer| peer.role != Role::SlowPeer) {
        let program = peer.program(site).map_err(anyhow::Error::msg)?;
        results.add(case, peer.name, Figure::ProgramMb, megabytes(&program)?);
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

/// Whose wrong answers fail the run: Latimer's and the floor's. Those of others are results.
pub fn must_be_right(results: &Results) -> Result<()> {
    let trusted: HashSet<&str> = peers::PEERS
        .iter()
        .filter(|peer| matches!(peer.role, Role::Nobody | Role::Floor | Role::Ours))
        .map(|peer| peer.name)
        .collect();
    let wrong = results.wrong.iter().find(|wrong| trusted.contains(wrong.peer.as_str()));
    match wrong {
        None => Ok(()),
        Some(Wrong { case, peer, fault, count, of }) => {
            anyhow::bail!("{peer} gave wrong answers in `{case}`: {fault} ({count} of {of})")
        }
    }
}
