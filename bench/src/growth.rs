//! How cost grows: with streams at once, with the size of the request, with the chunks of the
//! answer, with recording on and off, on one core and two. Out: a report in Markdown with a picture
//! and a table for each curve, and what does not look as it should.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::chart;
use crate::curve::{Curve, Expected, Line};
use crate::dialogue::{History, Shape};
use crate::load::{Answers, Work};
use crate::measure::{self, Round};
use crate::peers::{self, FORGETTING, LATIMER, NGINX, POSTGRES, RECORDING, Running, Site};
use crate::results::Spread;
use crate::upstream::Upstream;

/// How the curves are measured.
pub const METHOD: &str = "CPU is that of the process and its children; every answer is checked. \
    Slow streams: requests of 1 KB, 20 chunks, 250 ms apart, one round; fewer than 10,000 where \
    fewer than 22,000 files may be open. The rest: 8 connections at \
    full speed, medians of 3 rounds; requests of 1 KB where chunks grow, 50 chunks where requests \
    grow. On two cores a machine that has no third shares the second with upstream and load, and \
    so does PostgreSQL.";

/// How many streams at once, as far as open files allow.
const STREAMS: [u64; 6] = [1, 10, 100, 1_000, 5_000, 10_000];
/// So many fewer than open files allow: upstream and load hold idle connections too.
const SPARE: u64 = 1_000;
/// Chunks of a slow stream, and the time between two.
const SLOW: (usize, Duration) = (20, Duration::from_millis(250));
/// How large a request.
const REQUESTS_KB: [usize; 9] = [1, 4, 16, 64, 256, 1_024, 2_048, 4_096, 8_192];
/// How large one whose answer is stored.
const STORED_KB: [usize; 6] = [1, 4, 16, 64, 256, 1_024];
/// How many chunks an answer.
const CHUNKS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Rounds of a point that takes no long time.
const ROUNDS: usize = 3;
/// Connections at full speed.
const CONNECTIONS: usize = 8;

/// A report that was written.
#[derive(Debug)]
pub struct Report {
    /// Where.
    pub file: PathBuf,
    /// Where answers were wrong; such points are left out of the curves.
    pub wrong: Vec<String>,
}

/// Measures all curves and writes the report.
///
/// # Errors
/// When a peer does not start, or the report cannot be written.
pub async fn run(site: &Site, upstream: &Upstream, head: &str) -> Result<Report> {
    let mut run = Run { site, upstream, wrong: Vec::new() };
    let mut curves = streams(&mut run).await?;
    curves.push(requests(&mut run).await?);
    curves.push(stored_requests(&mut run).await?);
    curves.push(chunks(&mut run).await?);
    curves.extend(cores(&mut run).await?);
    let directory = site.installed.with_file_name("report");
    fs::create_dir_all(&directory)?;
    let mut report = format!("# How cost grows\n\n{head}\n");
    report.extend(run.wrong.iter().map(|wrong| format!("\nLeft out: {wrong}\n")));
    for curve in &curves {
        chart::draw(curve, &directory.join(format!("{}.svg", curve.file)))?;
        report.push_str(&format!("\n{}", curve.markdown()));
    }
    let file = directory.join("growth.md");
    fs::write(&file, report)?;
    Ok(Report { file, wrong: run.wrong })
}

/// What is measured with, and what went wrong so far.
struct Run<'a> {
    site: &'a Site,
    upstream: &'a Upstream,
    wrong: Vec<String>,
}

/// What one peer did at one place of a curve.
struct Point {
    peer: &'static str,
    place: f64,
    rounds: Vec<Round>,
}

async fn streams(run: &mut Run<'_>) -> Result<Vec<Curve>> {
    let most = (run.site.open_files / 2).saturating_sub(SPARE);
    let place = |streams: u64| {
        let streams = streams.min(most) as usize;
        let shape = Shape::stream(1 << 10, SLOW.0);
        let work = Work { shape, pace: Some(SLOW.1), connections: streams, requests: streams };
        (streams as f64, work)
    };
    let places = STREAMS.map(place);
    let points = sweep(run, "streams", &[NGINX, LATIMER, RECORDING], &places, 1).await?;
    Ok(vec![
        Curve {
            file: "streams-memory",
            title: "Slow streams at once: memory",
            across: "streams at once",
            up: "resident, MB",
            expected: Expected::Linear,
            note: "Each stream has its buffers; the base is the idle process.",
            lines: lines(&points, Round::resident_mb),
        },
        Curve {
            file: "streams-cpu",
            title: "Slow streams at once: CPU of each",
            across: "streams at once",
            up: "CPU, ms a stream",
            expected: Expected::Flat,
            note: "A stream alone pays for every wake-up of its core, many share them.",
            lines: lines(&points, Round::cpu_ms),
        },
    ])
}

async fn requests(run: &mut Run<'_>) -> Result<Curve> {
    let places = REQUESTS_KB.map(|kilobytes| sized(kilobytes, History::Sent));
    let curve = Curve {
        file: "request-cpu",
        title: "Size of the request: CPU",
        across: "KB of request",
        note: "nginx keeps requests up to 2 MB in memory, and writes larger ones to files.",
        ..CPU
    };
    at_full_speed(run, curve, &[NGINX, LATIMER, RECORDING], &places).await
}

async fn stored_requests(run: &mut Run<'_>) -> Result<Curve> {
    let places = STORED_KB.map(|kilobytes| sized(kilobytes, History::Stored));
    let curve = Curve {
        file: "stored-cpu",
        title: "Size of the request, with answers that are to be stored: CPU",
        across: "KB of request",
        note: "What is stored is the request's items and the answer; the database's own CPU does \
               not count where it is PostgreSQL.",
        ..CPU
    };
    at_full_speed(run, curve, &[FORGETTING, LATIMER, POSTGRES], &places).await
}

async fn chunks(run: &mut Run<'_>) -> Result<Curve> {
    let places = CHUNKS.map(|chunks| {
        (chunks as f64, full_speed(Shape::stream(1 << 10, chunks), 100_000 / chunks))
    });
    let curve = Curve {
        file: "chunks-cpu",
        title: "Chunks of the answer: CPU",
        across: "chunks",
        note: "nginx does not look into chunks: it pays by the buffer.",
        ..CPU
    };
    at_full_speed(run, curve, &[NGINX, LATIMER, RECORDING], &places).await
}

/// CPU of a request, which is to grow in a line.
const CPU: Curve = Curve {
    file: "",
    title: "",
    across: "",
    up: "CPU, ms a request",
    expected: Expected::Linear,
    note: "",
    lines: Vec::new(),
};

fn sized(kilobytes: usize, history: History) -> (f64, Work) {
    let shape = Shape::stream(kilobytes << 10, 50).with(history);
    (kilobytes as f64, full_speed(shape, (64 << 10) / kilobytes))
}

/// What a request costs everybody at each place.
async fn at_full_speed(
    run: &mut Run<'_>,
    curve: Curve,
    names: &[&str],
    places: &[(f64, Work)],
) -> Result<Curve> {
    let points = sweep(run, curve.across, names, places, ROUNDS).await?;
    Ok(Curve { lines: lines(&points, Round::cpu_ms), ..curve })
}

async fn cores(run: &mut Run<'_>) -> Result<Vec<Curve>> {
    let shape = Shape::stream(64 << 10, 50);
    let (site, mut points) = (run.site, Vec::new());
    for cores in [site.cores.clone(), site.cores.with_a_second()?] {
        let places = [(cores.of_peer() as f64, full_speed(shape, 1_000))];
        let site = Site { cores, ..site.clone() };
        let mut there = Run { site: &site, upstream: run.upstream, wrong: Vec::new() };
        points.extend(sweep(&mut there, "cores", &[NGINX, LATIMER], &places, ROUNDS).await?);
        run.wrong.extend(there.wrong);
    }
    Ok(vec![
        Curve {
            file: "cores-cpu",
            title: "One core and two: CPU",
            across: "cores",
            up: "CPU, ms a request",
            expected: Expected::Flat,
            note: "Latimer runs on one thread.",
            lines: lines(&points, Round::cpu_ms),
        },
        Curve {
            file: "cores-rate",
            title: "One core and two: requests a second",
            across: "cores",
            up: "requests a second",
            expected: Expected::Flat,
            note: "Latimer runs on one thread, nginx has one worker: a second core is of no use.",
            lines: lines(&points, |round| {
                Some(round.answers.asked as f64 / round.answers.took.as_secs_f64())
            }),
        },
    ])
}

/// As many requests as asked for, within reason.
fn full_speed(shape: Shape, requests: usize) -> Work {
    Work { shape, pace: None, connections: CONNECTIONS, requests: requests.clamp(16, 1_000) }
}

/// Puts everybody to work at every place, and starts them anew for each.
async fn sweep(
    run: &mut Run<'_>,
    across: &str,
    names: &[&str],
    places: &[(f64, Work)],
    rounds: usize,
) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for (place, work) in places {
        let at = format!("{place} {across}");
        eprintln!("{at}");
        let mut here = Vec::new();
        for name in names {
            let peer = peers::named(name)?;
            match peer.program(run.site) {
                Ok(_) => here.push(Running::start(run.site, peer, run.upstream).await?),
                Err(remedy) => eprintln!("  {remedy}"),
            }
        }
        let done = at_work(run, &here, &at, *work, rounds).await?;
        points.extend(here.iter().zip(done).map(|(one, rounds)| Point {
            peer: one.peer.name,
            place: *place,
            rounds,
        }));
    }
    Ok(points)
}

/// Lets everybody work in turns. Out: the rounds of each whose answers were right.
async fn at_work(
    run: &mut Run<'_>,
    here: &[Running],
    place: &str,
    work: Work,
    rounds: usize,
) -> Result<Vec<Vec<Round>>> {
    if work.pace.is_none() {
        for one in here {
            measure::round(run.upstream, one, measure::less(work, 10)).await?;
        }
    }
    let mut done: Vec<Vec<Round>> = here.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (one, done) in here.iter().zip(&mut done) {
            let round = measure::round(run.upstream, one, work).await?;
            let Answers { asked, faults, .. } = &round.answers;
            if faults.is_empty() {
                done.push(round);
            } else {
                let name = one.peer.name;
                run.wrong.push(format!("{name} at {place}, of {asked}: {faults:?}"));
            }
        }
    }
    Ok(done)
}

/// The medians of one figure, a line for each peer.
fn lines(points: &[Point], read: impl Fn(&Round) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for point in points {
        let values: Vec<f64> = point.rounds.iter().filter_map(&read).collect();
        let Some(spread) = Spread::of(&values) else { continue };
        let place = (point.place, spread.median);
        match lines.iter_mut().find(|line| line.peer == point.peer) {
            Some(line) => line.points.push(place),
            None => lines.push(Line { peer: point.peer, points: vec![place] }),
        }
    }
    lines
}
