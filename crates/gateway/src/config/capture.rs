//! To whom `latimer capture` listens. A [`CaptureTarget`] is an agent with its channels; the gateway itself has
//! no use for any of this, so one file serves both.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What is listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureConfig {
    /// The target, where none is named on the command line.
    pub target: Option<String>,
    /// Where channels lead to, instead of where the target says.
    pub upstream: BTreeMap<String, String>,
    /// The ports on which channels are listened to, instead of those of the target; 0: any.
    pub port: BTreeMap<String, u16>,
    /// A proxy to reach them through: `http://`, `socks5://` or `socks5h://`. Default: as the environment
    /// says.
    pub upstream_proxy: Option<String>,
    /// More targets, by their names.
    pub targets: BTreeMap<String, CaptureTarget>,
}

/// An agent, and how it is told to talk to this machine instead of its services. `{channel}` in a text
/// stands for the address on which that channel is listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureTarget {
    /// What it is.
    pub about: String,
    /// Its addresses.
    pub channel: Vec<CaptureChannel>,
    /// Variables by which it is told ours.
    pub environment: BTreeMap<String, String>,
    /// Arguments by which it is told ours, behind its name.
    pub arguments: Vec<String>,
    /// What the user does otherwise.
    pub steps: Vec<String>,
}

/// One address of an agent's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureChannel {
    /// Its name.
    pub name: String,
    /// The port on this machine; 0: any.
    pub port: u16,
    /// What it stands for; none: the user has to say.
    pub upstream: Option<String>,
}
