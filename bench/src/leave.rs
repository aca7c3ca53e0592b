//! How soon a backend is let go when its client leaves: from the moment at which the client closes
//! its connection to the one at which the upstream sees that nobody listens any more. A gateway that
//! does not notice lets a model work for nobody.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout};

use crate::cases::Case;
use crate::dialogue::{self, Shape};
use crate::measure::{Run, milliseconds, started};
use crate::peers::{Peer, Role, Running};
use crate::results::{Figure, percentile};
use crate::upstream::Seen;

/// In which moment the client leaves.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// Whether the answer has begun; the client has seen its first text then.
    pub begins: bool,
    /// The time between two chunks.
    pub pace: Duration,
}

/// How often each round.
const TIMES: usize = 100;
/// Who is slower has not noticed at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// A stream that is longer than anybody listens.
const SHAPE: Shape = Shape::stream(1 << 10, 200);

/// Measures everybody who takes part.
///
/// # Errors
/// When Latimer or the floor does not start, or Latimer does not let go.
pub async fn measure(
    run: &mut Run<'_>,
    case: &Case,
    leave: Leave,
    present: &[&'static Peer],
) -> Result<()> {
    for peer in present {
        let Some(running) = started(run, peer).await? else { continue };
        for _ in 0..run.plan.rounds.min(case.rounds) {
            match round(run, &running, leave).await {
                Ok(mut times) => {
                    times.sort_unstable();
                    let at = |percent| percentile(&times, percent).map_or(0.0, milliseconds);
                    run.results.add(case.name, peer.name, Figure::LeftP50Ms, at(50));
                    run.results.add(case.name, peer.name, Figure::LeftP99Ms, at(99));
                }
                Err(error) if peer.role == Role::Ours => return Err(error.context(peer.name)),
                Err(error) => {
                    run.results.miss(format!("{} of {}: {error:#}", case.name, peer.name));
                    break;
                }
            }
        }
    }
    Ok(())
}

/// One round: one client after the other comes, asks and leaves.
async fn round(run: &Run<'_>, running: &Running, leave: Leave) -> Result<Vec<Duration>> {
    let mut seen = run.upstream.watch(SHAPE, Some(leave.pace), leave.begins);
    let mut times = Vec::new();
    for _ in 0..(TIMES / run.plan.fewer).max(1) {
        let mut client = ask(running.address).await?;
        let asked = next(&mut seen).await.context("the upstream was not asked")?;
        ensure!(asked == Seen::Asked, "the upstream was left before it was asked");
        if leave.begins {
            begun(&mut client).await?;
        }
        let gone = Instant::now();
        drop(client);
        match next(&mut seen).await.context("the upstream was not let go")? {
            Seen::Left(at) => times.push(at.saturating_duration_since(gone)),
            Seen::Asked => bail!("the upstream was asked again"),
        }
    }
    Ok(times)
}

async fn next(seen: &mut UnboundedReceiver<Seen>) -> Result<Seen> {
    timeout(PATIENCE, seen.recv()).await.context("not in time")?.context("nobody tells")
}

/// A client that has asked.
async fn ask(address: SocketAddr) -> Result<TcpStream> {
    let mut client = TcpStream::connect(address).await?;
    let body = dialogue::request(SHAPE);
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-bench\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(&[head.as_bytes(), &body].concat()).await?;
    Ok(client)
}

/// Waits until a client has seen the first text.
async fn begun(client: &mut TcpStream) -> Result<()> {
    let first = dialogue::piece(0);
    let mut came = Vec::new();
    while memmem::find(&came, first.as_bytes()).is_none() {
        let read = timeout(PATIENCE, client.read_buf(&mut came)).await;
        ensure!(read.context("no answer in time")?? > 0, "the answer broke off");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::{Duration, SHAPE, Seen, Shape, ask, begun, next};
    use crate::upstream::Upstream;

    #[tokio::test]
    async fn only_who_leaves_early_is_seen_to_leave() {
        let upstream = Upstream::start().await.expect("a free port");
        for begins in [true, false] {
            let mut seen = upstream.watch(SHAPE, Some(Duration::from_secs(3_600)), begins);
            let mut client = ask(upstream.address).await.expect("it asks");
            assert_eq!(next(&mut seen).await.ok(), Some(Seen::Asked));
            if begins {
                begun(&mut client).await.expect("it begins");
            }
            drop(client);
            assert!(matches!(next(&mut seen).await, Ok(Seen::Left(_))));
        }
        let mut seen = upstream.watch(Shape { chunks: 1, ..SHAPE }, None, true);
        let mut client = ask(upstream.address).await.expect("it asks");
        assert_eq!(next(&mut seen).await.ok(), Some(Seen::Asked));
        let mut answer = Vec::new();
        while !answer.ends_with(b"0\r\n\r\n") {
            assert!(client.read_buf(&mut answer).await.expect("it answers") > 0);
        }
        drop(client);
        // Nothing more is told once the last who could tell is gone.
        upstream.play(SHAPE, None);
        assert_eq!(seen.recv().await, None);
    }
}
