//! The targets of `latimer capture`: which addresses an agent talks to, and how it is told to talk to
//! ours instead. In: the table in the binary and what the user adds to it. Out: a target that is
//! complete.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use latimer_gateway::config::{CaptureChannel, CaptureConfig, CaptureTarget};

/// The targets that are known.
const KNOWN: &str = include_str!("targets.toml");

/// Targets by their names.
type Targets = BTreeMap<String, CaptureTarget>;

/// The targets that are known, those of a file and those of the configuration, the latter over the
/// former.
///
/// # Errors
/// When the file cannot be read, with the line.
fn all(file: Option<&Path>, configured: &Targets) -> Result<Targets> {
    let mut targets: Targets = toml::from_str(KNOWN).context("the table of targets")?;
    if let Some(path) = file {
        let failed = || format!("cannot read the targets {}", path.display());
        let text = std::fs::read_to_string(path).with_context(failed)?;
        targets.extend(toml::from_str::<Targets>(&text).with_context(failed)?);
    }
    targets.extend(configured.clone());
    Ok(targets)
}

/// The target that the configuration names, with the destinations and ports it has for channels; `file`
/// holds more targets.
///
/// # Errors
/// When there is no such target or channel, or a destination is missing.
pub(crate) fn chosen(config: &CaptureConfig, file: Option<&Path>) -> Result<CaptureTarget> {
    let mut targets = all(file, &config.targets)?;
    let names = targets.keys().cloned().collect::<Vec<_>>().join(", ");
    let Some(name) = &config.target else {
        bail!("whom to listen to? There are {names} (more: --targets FILE)");
    };
    let missing =
        || anyhow!("there is no target `{name}`; there are {names} (more: --targets FILE)");
    let mut target = targets.remove(name).ok_or_else(missing)?;
    for (name, url) in &config.upstream {
        channel(&mut target, name)?.upstream = Some(url.clone());
    }
    for (name, port) in &config.port {
        channel(&mut target, name)?.port = *port;
    }
    if let Some(open) = target.channel.iter().find(|channel| channel.upstream.is_none()) {
        bail!("where does `{0}` lead to? Say it with --upstream {0}=URL", open.name);
    }
    Ok(target)
}

fn channel<'t>(target: &'t mut CaptureTarget, name: &str) -> Result<&'t mut CaptureChannel> {
    let names: Vec<_> = target.channel.iter().map(|channel| channel.name.clone()).collect();
    let found = target.channel.iter_mut().find(|channel| channel.name == name);
    found.ok_or_else(|| anyhow!("there is no channel `{name}`; there are {}", names.join(", ")))
}
