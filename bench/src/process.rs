//! What the system says of a process and of those it started: CPU time and resident memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks per second in `/proc/PID/stat`: 100 on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A process and all that descend from it.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    root: u32,
}

impl Tree {
    /// The tree that a process is the root of.
    pub fn of(root: u32) -> Tree {
        Tree { root }
    }

    /// CPU time so far, in user and kernel mode, of all processes that are alive.
    ///
    /// # Errors
    /// When the root has ended.
    pub fn cpu(&self) -> Result<Duration> {
        self.members()?.into_iter().map(cpu).sum()
    }

    /// Resident memory in kilobytes. Pages that processes share count for each of them.
    ///
    /// # Errors
    /// When the root has ended.
    pub fn resident_kb(&self) -> Result<u64> {
        self.members()?.into_iter().map(|process| status_kb(process, "VmRSS:")).sum()
    }

    /// The processes, the root first.
    ///
    /// # Errors
    /// When the root has ended.
    pub fn members(&self) -> Result<Vec<u32>> {
        let mut members = vec![self.root];
        let mut next = 0;
        while let Some(process) = members.get(next).copied() {
            members.extend(children(process)?);
            next += 1;
        }
        Ok(members)
    }
}

fn children(process: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in threads(process)? {
        let text = fs::read_to_string(format!("{thread}/children")).unwrap_or_default();
        children.extend(text.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(children)
}

/// The directories of a process's threads.
fn threads(process: u32) -> Result<Vec<String>> {
    let directory = format!("/proc/{process}/task");
    let entries = fs::read_dir(&directory).context("a measured process cannot be looked at")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.map(|name| format!("{directory}/{name}")).collect())
}

/// The nanoseconds of the scheduler, thread by thread, or the clock ticks where these are more:
/// ticks are coarse, but hold the threads that have ended too.
fn cpu(process: u32) -> Result<Duration> {
    let mut run = 0;
    for thread in threads(process)? {
        let text = fs::read_to_string(format!("{thread}/schedstat")).unwrap_or_default();
        run += text.split_whitespace().next().and_then(|run| run.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(run).max(ticks(process)?))
}

fn ticks(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("an unexpected /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = (ticks(11).context("no utime")?, ticks(12).context("no stime")?);
    Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// The most memory that was ever resident in a process, in kilobytes; `None` once it has ended.
pub fn peak_resident_kb(process: u32) -> Option<u64> {
    status_kb(process, "VmHWM:").ok()
}

fn status_kb(process: u32, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.with_context(|| format!("no {key} in /proc/PID/status"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Tree;

    #[test]
    fn work_is_seen_as_cpu_time_and_memory() {
        let own = Tree::of(std::process::id());
        let before = own.cpu().expect("the CPU time of this process");
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        assert!(own.cpu().expect("the CPU time of this process") > before);
        assert!(own.resident_kb().expect("its memory") > 500);
    }
}
