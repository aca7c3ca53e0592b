//! `cargo xtask bench`, first form: what Latimer costs as a process. An upstream that answers with
//! a stream of 50 chunks and a load generator that checks every answer run in this process; Latimer
//! runs beside it. Printed are start, size in memory, the time to the first text with and without
//! Latimer in between, and CPU per request. Ratios to other servers are not measured here yet.

mod load;
mod process;
mod upstream;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::{Load, Times};
use crate::process::Gateway;

/// Size of the request's text, in bytes: what Codex sends at the start of a session.
const REQUEST_BYTES: usize = 64 << 10;
const WARM_UP: usize = 200;
const REQUESTS: usize = 2_000;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let program = std::env::args().nth(1).map(PathBuf::from);
    let program = program.context("usage: latimer-bench PATH-OF-LATIMER")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&program))
}

async fn measure(program: &std::path::Path) -> Result<()> {
    let upstream = upstream::start().await?;
    let gateway = Gateway::start(program, &format!("http://{upstream}/v1")).await?;
    println!("start to first answer   {:>9.2} ms", milliseconds(gateway.started_after));
    println!("resident when idle      {:>9.1} MB", gateway.resident_kb()? as f64 / 1000.0);
    let direct = Load::chat(upstream, REQUEST_BYTES);
    let bridged = Load::responses(gateway.address, REQUEST_BYTES);
    direct.run(WARM_UP).await?;
    bridged.run(WARM_UP).await?;
    let (mut direct_p50, mut bridged_p50, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        direct_p50.push(direct.run(REQUESTS).await?.percentile(50));
        let before = gateway.cpu()?;
        let times = bridged.run(REQUESTS).await?;
        let spent = gateway.cpu()? - before;
        bridged_p50.push(times.percentile(50));
        cpu.push(spent / REQUESTS as u32);
        println!("round {round}: first text p50 {}", shown(&times));
    }
    let (direct, bridged) = (median(&mut direct_p50), median(&mut bridged_p50));
    println!(
        "first text, direct      {:>9.3} ms (p50, median of {ROUNDS} rounds)",
        milliseconds(direct)
    );
    println!("first text, bridged     {:>9.3} ms", milliseconds(bridged));
    println!("added                   {:>9.3} ms", milliseconds(bridged.saturating_sub(direct)));
    println!("CPU per request         {:>9.3} ms", milliseconds(median(&mut cpu)));
    println!("resident after the load {:>9.1} MB", gateway.resident_kb()? as f64 / 1000.0);
    Ok(())
}

fn shown(times: &Times) -> String {
    let at = |percent| milliseconds(times.percentile(percent));
    format!("{:.3} ms, p99 {:.3} ms", at(50), at(99))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
