//! How often a peer writes to its client's socket for one answer, counted by strace from outside.
//! The upstream sends its stream in one write, so that it can arrive in one read.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::load::{self, Work};
use crate::machine;
use crate::measure::{Run, started};
use crate::peers::{Peer, Running};
use crate::results::Figure;

/// Counts the writes of everybody who takes part; without strace it is said that nobody did.
///
/// # Errors
/// When a peer does not start, or a tracer breaks off.
pub async fn measure(
    run: &mut Run<'_>,
    case: &str,
    work: Work,
    present: &[&'static Peer],
) -> Result<()> {
    if machine::installed("strace").is_none() {
        run.results.miss("strace is not installed: `apt-get install strace`".to_owned());
        return Ok(());
    }
    for peer in present {
        let Some(running) = started(run, peer).await? else { continue };
        match Tracer::attach(&running) {
            Ok(tracer) => {
                run.upstream.play(work.shape, work.pace);
                let answers = load::run(running.address, work, Duration::ZERO).await?;
                let writes = tracer.finish()? as f64 / answers.asked as f64;
                run.results.add(case, peer.name, Figure::Writes, writes);
                answers.account(case, peer.name, run.results);
            }
            Err(error) => run.results.miss(format!("{case} of {}: {error:#}", peer.name)),
        }
    }
    Ok(())
}

/// A strace that follows a peer.
struct Tracer {
    child: Child,
    log: std::path::PathBuf,
    port: u16,
}

impl Tracer {
    fn attach(running: &Running) -> Result<Tracer> {
        let log = running.directory.join("writes");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-yy", "-s", "0", "-e", "trace=write,writev,sendto,sendmsg", "-o"]);
        strace.arg(&log);
        let members = running.tree.context("nothing runs")?.members()?;
        for process in &members {
            strace.args(["-p", &process.to_string()]);
        }
        let mut child = strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let said = BufReader::new(child.stderr.take().context("no standard error")?);
        let mut tracer = Tracer { child, log, port: running.address.port() };
        for line in said.lines().take(members.len()) {
            let line = line?;
            if !line.contains("attached") {
                tracer.child.kill()?;
                tracer.child.wait()?;
                anyhow::bail!("not measured, since {line}");
            }
        }
        Ok(tracer)
    }

    /// Lets go of the peer. Out: how many writes went to a client.
    fn finish(mut self) -> Result<usize> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        self.child.wait()?;
        let log = fs::read_to_string(&self.log)?;
        let writes = writes_from(&log, self.port);
        ensure!(writes > 0, "strace saw no write to a client");
        Ok(writes)
    }
}

/// The writes to sockets whose own end is this port. A call that was interrupted by another thread
/// stands in two lines, of which only the first names the socket.
fn writes_from(log: &str, port: u16) -> usize {
    let from = format!("<TCP:[127.0.0.1:{port}->");
    log.lines().filter(|line| line.contains(&from)).count()
}

#[cfg(test)]
mod tests {
    use super::writes_from;

    #[test]
    fn only_writes_to_the_client_count() {
        let log = "7 writev(9<TCP:[127.0.0.1:80->127.0.0.1:5]>, [...], 2) = 9\n\
                   7 write(8<TCP:[127.0.0.1:6->127.0.0.1:81]>, \"\"..., 9) = 9\n\
                   7 write(4<anon_inode:[eventfd]>, \"\"..., 8) = 8\n\
                   7 sendto(9<TCP:[127.0.0.1:80->127.0.0.1:5]>, \"\"..., 3) = 3\n";
        assert_eq!(writes_from(log, 80), 2);
    }
}
