//! The machine that is measured on: which cores there are and who runs on which, how many sockets
//! may be open, and what it is called in a result.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Open files a run asks for: 10,000 streams need two sockets each in a peer, and as many here.
const OPEN_FILES: u64 = 65_536;

/// Who runs where.
#[derive(Debug, Clone)]
pub struct Cores {
    /// What is measured.
    peer: Vec<usize>,
    /// Upstream and load.
    load: usize,
}

impl Cores {
    /// Shares out the cores this process may use: the first for what is measured, the last for
    /// upstream and load. Where there is only one, both run on it.
    ///
    /// # Errors
    /// When the system does not say which cores there are.
    pub fn share_out() -> Result<Cores> {
        let cores = usable()?;
        let (first, last) = cores.first().zip(cores.last()).context("no cores")?;
        Ok(Cores { peer: vec![*first], load: *last })
    }

    /// The same with one more core for what is measured: one that the load leaves free if there is
    /// one, its own otherwise.
    ///
    /// # Errors
    /// When the system does not say which cores there are.
    pub fn with_a_second(&self) -> Result<Cores> {
        let mut cores = self.clone();
        let free = usable()?.into_iter().find(|core| !self.peer.contains(core));
        cores.peer.extend(free);
        Ok(cores)
    }

    /// How many cores what is measured has.
    pub fn of_peer(&self) -> usize {
        self.peer.len()
    }

    /// Whether what is measured has its cores for itself.
    pub fn are_apart(&self) -> bool {
        !self.peer.contains(&self.load)
    }

    /// Puts this thread, which runs upstream and load, on its core.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn take_load(&self) -> Result<()> {
        pin(&[self.load])
    }

    /// Calls `start` so that the processes it starts run on the cores of what is measured.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn on_peer<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        pin(&self.peer)?;
        let started = start();
        pin(&[self.load])?;
        Ok(started)
    }

    /// Calls `start` so that the processes it starts may run on all cores.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn on_all<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        let mut all = self.peer.clone();
        all.push(self.load);
        pin(&all)?;
        let started = start();
        pin(&[self.load])?;
        Ok(started)
    }
}

fn usable() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("which cores may be used is not known")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).context("a process cannot be put on its core")
}

/// Asks for as many open files as the largest case needs, for this process and those it starts.
/// Out: how many it got.
///
/// # Errors
/// When even what is allowed is refused.
pub fn raise_open_files() -> Result<u64> {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) };
    let enough = now.current.is_none_or(|current| current >= OPEN_FILES);
    if !enough && setrlimit(Resource::Nofile, wanted).is_err() {
        let allowed = Rlimit { current: now.maximum, maximum: now.maximum };
        setrlimit(Resource::Nofile, allowed).context("the limit of open files cannot be raised")?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// What a result says of where it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores there are.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    pub fn here() -> Machine {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            processor: name.map_or("unknown", |(_, name)| name).trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
        }
    }
}

/// The program of this name on the search path, or where Debian puts servers.
pub fn installed(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    places.map(|place| place.join(name)).find(|program| program.is_file())
}
