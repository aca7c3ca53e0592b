//! The command line: it reads what was typed, wires the libraries together, and says what went
//! wrong in a sentence. What it does is in the libraries.

mod args;
mod capture;
mod check;
mod convert;
mod diff;
mod findings;
mod follow;
mod receipt;
mod recording;
mod replay;
mod report;
mod run;
mod serve;
mod targets;
mod terminal;
mod translate;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let level = match (args.quiet, args.verbose) {
        (true, _) => tracing::Level::WARN,
        (false, 0) => tracing::Level::INFO,
        (false, 1) => tracing::Level::DEBUG,
        (false, _) => tracing::Level::TRACE,
    };
    let level = match &args.command {
        Command::Run(_) | Command::Capture(_) if level == tracing::Level::INFO => {
            tracing::Level::WARN
        }
        _ => level,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let outcome = match args.command {
        Command::Serve(serve) => serve::serve(serve),
        Command::Mock(mock) => serve::mock(mock),
        Command::Replay(replay) => replay::replay(replay),
        Command::Run(run) => run::run(run),
        Command::Capture(capture) => capture::capture(capture),
        Command::Report(report) => report::report(report),
        Command::Convert(convert) => convert::convert(convert),
        Command::Translate(translate) => translate::translate(translate),
        Command::Receipt(args) => receipt::receipt(args),
        Command::Check(check) => check::check(check),
    };
    outcome.unwrap_or_else(|error| {
        terminal::complain(&error);
        ExitCode::FAILURE
    })
}
