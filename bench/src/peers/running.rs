//! A peer that runs: started on its core, asked until it answers, ended with its value.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{Peer, Place, Role, Site};
use crate::dialogue::Shape;
use crate::load::{self, Work};
use crate::process::Tree;
use crate::upstream::Upstream;

/// A peer that runs; it ends with this value.
#[derive(Debug)]
pub struct Running {
    /// Who.
    pub peer: &'static Peer,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its processes; none where nobody stands in between.
    pub tree: Option<Tree>,
    /// From its start to the end of its first answer.
    pub started_after: Duration,
    /// A directory of its own.
    pub directory: PathBuf,
    child: Option<Child>,
}

/// How long a peer may take until it answers.
const START: Duration = Duration::from_secs(180);

impl Running {
    /// Starts a peer on its core and waits for its first answer.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(site: &Site, peer: &'static Peer, upstream: &Upstream) -> Result<Running> {
        let program = peer.program(site).map_err(anyhow::Error::msg)?;
        let directory = site.scratch.join(peer.name.replace(' ', "-"));
        if peer.role == Role::Nobody {
            let (address, started_after) = (upstream.address, Duration::ZERO);
            return Ok(Running {
                peer,
                address,
                tree: None,
                started_after,
                directory,
                child: None,
            });
        }
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let place = Place {
            port: free_port()?,
            upstream: upstream.address,
            directory,
            open_files: site.open_files,
            database: site.database.clone(),
            model: site.model.clone(),
        };
        let mut command = (peer.command)(&program, &place)?;
        let log = fs::File::create(place.directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.env("NO_PROXY", "127.0.0.1");
        let began = Instant::now();
        let child = site.cores.on_peer(|| command.spawn())?;
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let mut running = Running {
            peer,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, place.port)),
            tree: Some(Tree::of(child.id())),
            started_after: Duration::ZERO,
            directory: place.directory,
            child: Some(child),
        };
        upstream.play(FIRST.shape, FIRST.pace);
        running.answers_from(began).await?;
        Ok(running)
    }

    async fn answers_from(&mut self, began: Instant) -> Result<()> {
        loop {
            let answers = load::run(self.address, FIRST, Duration::ZERO).await?;
            // A peer that is up and gets it wrong is up.
            if !answers.first.is_empty() {
                self.started_after = began.elapsed();
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || began.elapsed() > START {
                let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                bail!("{} does not answer: {:?}\n{log}", self.peer.name, answers.faults);
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // nginx's master ends its worker only when it is asked.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(3) {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The first thing everybody is asked.
const FIRST: Work =
    Work { shape: Shape::stream(1 << 10, 1), pace: None, connections: 1, requests: 1 };

/// A port that was free just now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
