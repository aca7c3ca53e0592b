//! How cost grows: with streams at once, with the size of the request, with the chunks of the
//! answer, with recording on and off, on one core and two. Out: a report in Markdown with a picture
//! and a table for each curve, and what does not look as it should.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::chart;
use crate::curve::{Curve, Expected, Line};
use crate::dialogue::Shape;
use crate::load::Work;
use crate::measure::{self, Round};
use crate::peers::{self, LATIMER, NGINX, RECORDING, Running, SPARE_FILES, Site};
use crate::results::Spread;
use crate::upstream::Upstream;

/// How the curves are measured.
pub const METHOD: &str = "CPU is that of the process and its children; every answer is checked. \
    Slow streams: requests of 1 KB, 20 chunks, 250 ms apart, one round. The rest: 8 connections at \
    full speed, medians of 3 rounds; requests of 1 KB where chunks grow, 50 chunks where requests \
    grow. On two cores a machine that has no third shares the second with upstream and load. State \
    on and off is not measured: there is none yet.";

/// How many streams at once, as far as open files allow.
const STREAMS: [u64; 6] = [1, 10, 100, 1_000, 5_000, 10_000];
/// Chunks of a slow stream, and the time between two.
const SLOW: (usize, Duration) = (20, Duration::from_millis(250));
/// How large a request.
const REQUESTS_KB: [usize; 9] = [1, 4, 16, 64, 256, 1_024, 2_048, 4_096, 8_192];
/// How many chunks an answer.
const CHUNKS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Rounds of a point that takes no long time.
const ROUNDS: usize = 3;
/// Connections at full speed.
const CONNECTIONS: usize = 8;

/// Measures all curves and writes the report. Out: where.
///
/// # Errors
/// When a peer does not start, an answer is wrong, or the report cannot be written.
pub async fn run(site: &Site, upstream: &Upstream, head: &str) -> Result<PathBuf> {
    let mut curves = streams(site, upstream).await?;
    curves.extend(requests(site, upstream).await?);
    curves.extend(chunks(site, upstream).await?);
    curves.extend(cores(site, upstream).await?);
    let directory = site.installed.with_file_name("report");
    fs::create_dir_all(&directory)?;
    let mut report = format!("# How cost grows\n\n{head}\n");
    for curve in &curves {
        chart::draw(curve, &directory.join(format!("{}.svg", curve.file)))?;
        report.push_str(&format!("\n{}", curve.markdown()));
    }
    let file = directory.join("growth.md");
    fs::write(&file, report)?;
    Ok(file)
}

/// What one peer did at one place of a curve.
struct Point {
    peer: &'static str,
    place: f64,
    rounds: Vec<Round>,
}

async fn streams(site: &Site, upstream: &Upstream) -> Result<Vec<Curve>> {
    let most = (site.open_files / 2).saturating_sub(SPARE_FILES);
    let place = |streams: u64| {
        let streams = streams.min(most) as usize;
        let shape = Shape { request_bytes: 1 << 10, chunks: SLOW.0, stream: true };
        let work = Work { shape, pace: Some(SLOW.1), connections: streams, requests: streams };
        (streams as f64, work)
    };
    let places = STREAMS.map(place);
    let points = sweep(site, upstream, "streams", &[NGINX, LATIMER, RECORDING], &places, 1).await?;
    Ok(vec![
        Curve {
            file: "streams-memory",
            title: "Slow streams at once: memory",
            across: "streams at once",
            up: "resident, MB",
            expected: Expected::Linear,
            lines: lines(&points, Round::resident_mb),
        },
        Curve {
            file: "streams-cpu",
            title: "Slow streams at once: CPU of each",
            across: "streams at once",
            up: "CPU, ms a stream",
            expected: Expected::Flat,
            lines: lines(&points, Round::cpu_ms),
        },
    ])
}

async fn requests(site: &Site, upstream: &Upstream) -> Result<Vec<Curve>> {
    let place = |kilobytes: usize| {
        let shape = Shape { request_bytes: kilobytes << 10, chunks: 50, stream: true };
        let requests = (64 << 10) / kilobytes;
        (kilobytes as f64, full_speed(shape, requests))
    };
    let places = REQUESTS_KB.map(place);
    let points =
        sweep(site, upstream, "KB of request", &[NGINX, LATIMER, RECORDING], &places, ROUNDS)
            .await?;
    Ok(vec![Curve {
        file: "request-cpu",
        title: "Size of the request: CPU",
        across: "KB of request",
        up: "CPU, ms a request",
        expected: Expected::Linear,
        lines: lines(&points, Round::cpu_ms),
    }])
}

async fn chunks(site: &Site, upstream: &Upstream) -> Result<Vec<Curve>> {
    let place = |chunks: usize| {
        let shape = Shape { request_bytes: 1 << 10, chunks, stream: true };
        (chunks as f64, full_speed(shape, 100_000 / chunks))
    };
    let places = CHUNKS.map(place);
    let points =
        sweep(site, upstream, "chunks", &[NGINX, LATIMER, RECORDING], &places, ROUNDS).await?;
    Ok(vec![Curve {
        file: "chunks-cpu",
        title: "Chunks of the answer: CPU",
        across: "chunks",
        up: "CPU, ms a request",
        expected: Expected::Linear,
        lines: lines(&points, Round::cpu_ms),
    }])
}

async fn cores(site: &Site, upstream: &Upstream) -> Result<Vec<Curve>> {
    let shape = Shape { request_bytes: 64 << 10, chunks: 50, stream: true };
    let mut points = Vec::new();
    for cores in [site.cores.clone(), site.cores.with_a_second()?] {
        let places = [(cores.of_peer() as f64, full_speed(shape, 1_000))];
        let site = Site { cores, ..site.clone() };
        points.extend(sweep(&site, upstream, "cores", &[NGINX, LATIMER], &places, ROUNDS).await?);
    }
    Ok(vec![
        Curve {
            file: "cores-cpu",
            title: "One core and two: CPU",
            across: "cores",
            up: "CPU, ms a request",
            expected: Expected::Flat,
            lines: lines(&points, Round::cpu_ms),
        },
        Curve {
            file: "cores-rate",
            title: "One core and two: requests a second",
            across: "cores",
            up: "requests a second",
            expected: Expected::Linear,
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

/// Puts everybody to work at every place, in turns, and starts them anew for each.
async fn sweep(
    site: &Site,
    upstream: &Upstream,
    across: &str,
    peers: &[&str],
    places: &[(f64, Work)],
    rounds: usize,
) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for (place, work) in places {
        eprintln!("{place} {across}");
        let mut running = Vec::new();
        for name in peers {
            let peer = peers::named(name)?;
            match peer.program(site) {
                Ok(_) => running.push(Running::start(site, peer, upstream).await?),
                Err(remedy) => eprintln!("  {remedy}"),
            }
        }
        let mut done: Vec<Vec<Round>> = running.iter().map(|_| Vec::new()).collect();
        if work.pace.is_none() {
            for running in &running {
                measure::round(upstream, running, measure::less(*work, running.peer.role, 10))
                    .await?;
            }
        }
        for _ in 0..rounds {
            for (running, done) in running.iter().zip(&mut done) {
                let round = measure::round(upstream, running, *work).await?;
                let (name, faults) = (running.peer.name, &round.answers.faults);
                ensure!(faults.is_empty(), "{name} at {place} {across}: {faults:?}");
                done.push(round);
            }
        }
        points.extend(running.iter().zip(done).map(|(running, rounds)| Point {
            peer: running.peer.name,
            place: *place,
            rounds,
        }));
    }
    Ok(points)
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
