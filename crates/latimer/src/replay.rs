//! `latimer replay`: a recording in, its answers out, until told to stop.

use std::process::ExitCode;

use anyhow::Result;
use latimer_gateway::capture::FILE_NAME;
use latimer_gateway::replay::Replay;

use crate::args;
use crate::serve::{runtime, told_to_stop};

/// How many holes of the recording are told one by one.
const HOLES_MAX: usize = 20;

/// Serves a recording until it is told to stop.
pub fn replay(args: args::Replay) -> Result<ExitCode> {
    let settings = args.settings()?;
    let file = if args.file.is_dir() { args.file.join(FILE_NAME) } else { args.file };
    let backend = settings.upstream.as_ref().map(|target| target.url.to_string());
    let mut replay = match args.record_missing {
        true => Replay::recording(&file, settings)?,
        false => Replay::open(&file)?,
    };
    if let Some(speed) = args.speed {
        replay = replay.at_speed(speed);
    }
    if args.lenient {
        replay = replay.lenient();
    }
    let replay = replay.telling(|told| eprintln!("latimer: {told}"));
    let (answers, holes) = replay.inventory();
    let ready = |address| {
        eprintln!("Latimer replays {} on http://{address}/v1", file.display());
        eprintln!("  recorded   {answers} answers");
        if let Some(backend) = backend {
            eprintln!("  missing    is asked of {backend}, and recorded");
        }
        if !holes.is_empty() {
            eprintln!("  holes      {}", holes.len());
            holes.iter().take(HOLES_MAX).for_each(|hole| eprintln!("    {hole}"));
            if holes.len() > HOLES_MAX {
                eprintln!("    and {} more", holes.len() - HOLES_MAX);
            }
        }
    };
    runtime()?.block_on(async {
        let stop = told_to_stop();
        replay.serve(args.listen, ready, async { _ = stop.await }).await
    })?;
    Ok(ExitCode::SUCCESS)
}
