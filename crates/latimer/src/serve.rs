//! `latimer serve` and `latimer mock`: start, say where, stop when told to.

use std::process::ExitCode;

use anyhow::{Context, Result};
use latimer_gateway::Server;
use latimer_gateway::capture::FILE_NAME;
use latimer_gateway::mock::{Mock, Script};
use tokio::runtime::Runtime;

use crate::args;

/// Runs the gateway until it is told to stop.
pub fn serve(args: args::Serve) -> Result<ExitCode> {
    let settings = args.settings()?;
    runtime()?.block_on(async {
        let record = settings.record.clone();
        let upstream = settings.upstream.clone();
        let server = Server::bind(settings).await?;
        eprintln!("Latimer listens on http://{}", server.address());
        match upstream {
            Some(target) => eprintln!("  backend    {} ({:?})", target.url, target.dialect),
            None => {
                eprintln!("  backend    the embedded mock model (name another with --upstream)")
            }
        }
        match record {
            Some(directory) => eprintln!("  recording  {}", directory.join(FILE_NAME).display()),
            None => eprintln!("  recording  off"),
        }
        server.run(told_to_stop()).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs the scripted backend until it is told to stop.
pub fn mock(args: args::Mock) -> Result<ExitCode> {
    let script = match &args.script {
        Some(path) => Script::read(path)?,
        None => Script::echo(),
    };
    let ready = |address| eprintln!("Latimer plays a model on http://{address}/v1");
    runtime()?.block_on(Mock::new(script).serve(args.listen, ready, told_to_stop()))?;
    Ok(ExitCode::SUCCESS)
}

/// The runtime that everything with sockets runs on: one thread. Several would wake each other
/// through the kernel for every read (measured: 0.14 instead of 0.095 ms of CPU a request).
pub fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("cannot start the runtime")
}

/// Ready at the first Ctrl-C or SIGTERM. The second ends the process at once.
pub async fn told_to_stop() {
    signal().await;
    eprintln!("latimer: stopping; open answers may finish (once more to stop at once)");
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
