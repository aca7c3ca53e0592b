//! `latimer capture`: addresses on this machine that stand for an agent's real ones, a word on how the
//! agent is told, the agent itself where a command is given, and in the end where the recording is.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, ExitStatus};

use anyhow::{Result, anyhow};
use latimer_gateway::Proxy;
use latimer_gateway::capture::FILE_NAME;
use latimer_gateway::config::{self, CaptureChannel, CaptureTarget};
use latimer_gateway::tap::{Channel, Tap};
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::{args, run, serve, targets};

/// Listens until the command ends, or until it is told to stop.
pub fn capture(args: args::Capture) -> Result<ExitCode> {
    let config = args.config()?;
    let target = targets::chosen(&config.capture, args.targets.as_deref())?;
    let channels = channels(&target, config.capture.upstream_proxy.as_deref())?;
    let directory = config.record.clone().unwrap_or_default();
    let status = serve::runtime()?.block_on(async {
        let tap = Tap::bind(channels, &config).await?;
        let addresses: Vec<_> =
            tap.channels().into_iter().map(|(name, address, _)| (name, address)).collect();
        introduce(&tap, &target, &addresses);
        listen(tap, &target, &addresses, &args.command).await
    })?;
    let recording = directory.join(FILE_NAME);
    let folder = directory.display();
    eprintln!("latimer: recording {}; a report: latimer report {folder}", recording.display());
    Ok(status.map_or(ExitCode::SUCCESS, run::exit_code))
}

fn channels(target: &CaptureTarget, proxy: Option<&str>) -> Result<Vec<Channel>> {
    let channel = |channel: &CaptureChannel| {
        let url = channel.upstream.as_deref().unwrap_or_default();
        let upstream = config::address(url)?;
        let proxy = match proxy {
            Some(url) => Some(Proxy::parse(url)?),
            None => Proxy::from_environment(&upstream, |name| std::env::var(name).ok())?,
        };
        Ok(Channel {
            name: channel.name.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, channel.port)),
            upstream,
            proxy,
        })
    };
    target.channel.iter().map(channel).collect()
}

/// Says what is listened to, and how the agent is told.
fn introduce(tap: &Tap, target: &CaptureTarget, addresses: &[(String, SocketAddr)]) {
    eprintln!("Latimer listens to {}", target.about);
    for (name, address, upstream) in tap.channels() {
        eprintln!("  {name:<10} http://{address} -> {upstream}");
    }
    for (name, value) in environment(target, addresses) {
        eprintln!("  export {name}={value}");
    }
    for step in &target.steps {
        eprintln!("  {}", filled(step, addresses));
    }
}

fn environment(
    target: &CaptureTarget,
    addresses: &[(String, SocketAddr)],
) -> Vec<(String, String)> {
    let variables = target.environment.iter();
    variables.map(|(name, value)| (name.clone(), filled(value, addresses))).collect()
}

/// A text with the addresses in it.
fn filled(text: &str, addresses: &[(String, SocketAddr)]) -> String {
    addresses.iter().fold(text.to_owned(), |text, (name, address)| {
        text.replace(&format!("{{{name}}}"), &format!("http://{address}"))
    })
}

/// Runs the command, if there is one, and gives how it ended.
async fn listen(
    tap: Tap,
    target: &CaptureTarget,
    addresses: &[(String, SocketAddr)],
    command: &[String],
) -> Result<Option<ExitStatus>> {
    let (stop, stopped) = oneshot::channel::<()>();
    let listening = tokio::spawn(tap.run(async {
        let _ = stopped.await;
    }));
    let status = match command.split_first() {
        None => {
            serve::told_to_stop().await;
            Ok(None)
        }
        Some((program, arguments)) => {
            let told = target.arguments.iter().map(|argument| filled(argument, addresses));
            let mut command = Command::new(program);
            command.args(told).args(arguments).envs(environment(target, addresses));
            run::until_it_ends(command, || missing(program)).await.map(Some)
        }
    };
    let _ = stop.send(());
    let _ = listening.await;
    status
}

fn missing(program: &str) -> anyhow::Error {
    anyhow!("there is no program `{program}`; check the name, or give its path")
}
