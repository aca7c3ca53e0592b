//! The targets of `latimer capture`: which addresses an agent talks to, and how it is told to talk to
//! ours instead. In: the table in the binary and one of the user's. Out: a target that is complete.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

/// The targets that are known.
const KNOWN: &str = include_str!("targets.toml");

/// Targets by their names.
pub(crate) type Targets = BTreeMap<String, Target>;

/// What is listened to of an agent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Target {
    /// What it is.
    pub about: String,
    /// Its addresses.
    pub channel: Vec<Channel>,
    /// Variables by which it is told ours.
    pub environment: BTreeMap<String, String>,
    /// Arguments by which it is told ours, behind its name.
    pub arguments: Vec<String>,
    /// What the user does otherwise.
    pub steps: Vec<String>,
}

/// One address of an agent's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Channel {
    /// Its name.
    pub name: String,
    /// The port on this machine.
    pub port: u16,
    /// What it stands for; none: the user has to say.
    pub upstream: Option<String>,
}

/// The targets that are known, with those of a file over them.
///
/// # Errors
/// When the file cannot be read, with the line.
pub(crate) fn all(file: Option<&Path>) -> Result<Targets> {
    let mut targets: Targets = toml::from_str(KNOWN).context("the table of targets")?;
    if let Some(path) = file {
        let failed = || format!("cannot read the targets {}", path.display());
        let text = std::fs::read_to_string(path).with_context(failed)?;
        targets.extend(toml::from_str::<Targets>(&text).with_context(failed)?);
    }
    Ok(targets)
}

/// The target of a name, with what was typed over it: destinations and ports, by channel.
///
/// # Errors
/// When there is no such target or channel, or a destination is missing.
pub(crate) fn chosen(
    mut targets: Targets,
    name: &str,
    upstreams: &[(String, String)],
    ports: &[(String, u16)],
) -> Result<Target> {
    let names = targets.keys().cloned().collect::<Vec<_>>().join(", ");
    let missing =
        || anyhow!("there is no target `{name}`; there are {names} (more: --targets FILE)");
    let mut target = targets.remove(name).ok_or_else(missing)?;
    for (channel, url) in upstreams {
        target.channel(channel)?.upstream = Some(url.clone());
    }
    for (channel, port) in ports {
        target.channel(channel)?.port = *port;
    }
    if let Some(open) = target.channel.iter().find(|channel| channel.upstream.is_none()) {
        bail!("where does `{0}` lead to? Say it with --upstream {0}=URL", open.name);
    }
    Ok(target)
}

impl Target {
    fn channel(&mut self, name: &str) -> Result<&mut Channel> {
        let names: Vec<_> = self.channel.iter().map(|channel| channel.name.clone()).collect();
        let found = self.channel.iter_mut().find(|channel| channel.name == name);
        found.ok_or_else(|| anyhow!("there is no channel `{name}`; there are {}", names.join(", ")))
    }
}
