//! Latimer as a process of its own: started, asked, measured by what the system says of it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Clock ticks per second in `/proc/PID/stat`: 100 on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A running gateway; it ends with this value.
pub struct Gateway {
    pub address: SocketAddr,
    /// From the start of the process to the end of its first answer.
    pub started_after: Duration,
    pid: u32,
    _child: Child,
}

impl Gateway {
    pub async fn start(program: &Path, upstream: &str) -> Result<Gateway> {
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(["--quiet", "serve", "--listen", "127.0.0.1:0", "--no-record"])
            .args(["--upstream", upstream])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            match lines.next_line().await? {
                Some(line) => match line.split_once("http://") {
                    Some((_, address)) => break address.trim().parse()?,
                    None => continue,
                },
                None => bail!("the gateway ended before it said where it listens"),
            }
        };
        let mut socket = TcpStream::connect(address).await?;
        socket
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        let started_after = began.elapsed();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let pid = child.id().context("the gateway has ended")?;
        Ok(Gateway { address, started_after, pid, _child: child })
    }

    /// CPU time of the process so far, in user and kernel mode.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let (_, fields) = stat.rsplit_once(") ").context("an unexpected /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let (user, system) = (ticks(11).context("no utime")?, ticks(12).context("no stime")?);
        Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
    }

    /// Resident memory in kilobytes.
    pub fn resident_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        figure.context("no VmRSS")
    }
}
