//! `latimer serve` and `latimer mock`: start, say where, stop when told to.

use std::io::{self, Write};
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
        let stop = told_to_stop();
        eprintln!("Latimer listens on http://{}", server.address());
        match upstream {
            Some(target) if !target.command.is_empty() => {
                eprintln!("  backend    the agent `{}`", target.command.join(" "));
            }
            Some(target) => eprintln!("  backend    {} ({:?})", target.url, target.dialect),
            None => {
                eprintln!("  backend    the embedded mock model (name another with --upstream)")
            }
        }
        match record {
            Some(directory) => eprintln!("  recording  {}", directory.join(FILE_NAME).display()),
            None => eprintln!("  recording  off"),
        }
        server.run(async { _ = stop.await }).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs the scripted backend until it is told to stop, or for one work order.
pub fn mock(args: args::Mock) -> Result<ExitCode> {
    if args.schema {
        return print_schema();
    }
    let script = match &args.script {
        Some(path) => Script::read(path)?,
        None => Script::echo(),
    };
    let mut mock = Mock::new(script);
    if let Some(directory) = &args.record {
        let unwritten = || format!("cannot record in {}", directory.display());
        mock = mock.recording(directory).with_context(unwritten)?;
    }
    let runtime = runtime()?;
    if args.stdio {
        let pipes = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
        let ran = runtime.block_on(mock.run(pipes));
        // A read of standard input that has begun cannot be taken back, and is not waited for.
        runtime.shutdown_background();
        ran.context("cannot speak over standard input and output")?;
        return Ok(ExitCode::SUCCESS);
    }
    let ready = |address| eprintln!("Latimer plays a model on http://{address}/v1");
    runtime.block_on(async {
        let stop = told_to_stop();
        mock.serve(args.listen, ready, async { _ = stop.await }).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// That the reader has seen enough, as `head` does, is no error.
fn print_schema() -> Result<ExitCode> {
    match writeln!(io::stdout(), "{}", Script::schema()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot print the schema")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The runtime that everything with sockets runs on: one thread. Several would wake each other
/// through the kernel for every read (measured: 0.14 instead of 0.095 ms of CPU a request).
pub fn runtime() -> Result<Runtime> {
    keep_freed_memory();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().context("cannot start the runtime")?;
    outlive_full_files(&runtime);
    Ok(runtime)
}

/// A file that may not grow any longer is an error for whoever writes it, not the end of the process
/// (setrlimit(2), `RLIMIT_FSIZE`): the recording of Latimer counts what it loses.
fn outlive_full_files(runtime: &Runtime) {
    use tokio::signal::unix::{SignalKind, signal};
    const SIGXFSZ: SignalKind = SignalKind::from_raw(25);
    let _guard = runtime.enter();
    // The handler stays when this is dropped.
    drop(signal(SIGXFSZ));
}

/// Lets the allocator keep what a request leaves behind for the next one, up to 8 MiB. As it starts,
/// glibc gives the end of the heap back whenever 128 KiB of it are free, which the bodies of one
/// exchange are (measured: a `brk` and eleven page faults a request of 64 KB, 20 % of its CPU; with
/// 1 MB 12 % between 2 MiB and 8). Freeing one larger block raises that limit to twice its size
/// (mallopt(3), `M_MMAP_THRESHOLD`).
fn keep_freed_memory() {
    const BLOCK_BYTES: usize = 4 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK_BYTES)));
}

/// How it was said to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C, which every process of the terminal hears.
    Interrupt,
    /// SIGTERM, which only this process hears.
    Terminate,
}

/// Ready at the first Ctrl-C or SIGTERM; listens for them from the call on, not from the first
/// wait. The second ends the process at once.
pub fn told_to_stop() -> impl Future<Output = Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut signals = [
        (Stop::Interrupt, signal(SignalKind::interrupt()).ok()),
        (Stop::Terminate, signal(SignalKind::terminate()).ok()),
    ];
    let mut next = move |cx: &mut std::task::Context<'_>| {
        for (stop, signal) in &mut signals {
            if signal.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready()) {
                return std::task::Poll::Ready(*stop);
            }
        }
        std::task::Poll::Pending
    };
    async move {
        let stop = std::future::poll_fn(&mut next).await;
        eprintln!("latimer: stopping; open answers may finish (once more to stop at once)");
        tokio::spawn(async move {
            std::future::poll_fn(next).await;
            std::process::exit(130);
        });
        stop
    }
}
