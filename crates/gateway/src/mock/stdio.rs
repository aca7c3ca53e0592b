//! The mock as an agent that is a program. In: a work order on its standard input, a message a line.
//! Out: what it says of the run on its standard output, with the faults that a pipe can have; the
//! head of an answer over HTTP is left out.

use std::io;

use latimer_wire::backplane::{CONTRACT_VERSION, ExecutionMode, Message, WorkOrder};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::watch;

use super::asked::{self, Asked};
use super::pace::Pace;
use super::play::{Line, Play, Step};
use super::script::Refusal;
use super::told::{self, Form};
use super::{BODY_BYTES, Mock, Telling, refusal, strict};

impl<P: AsyncRead + AsyncWrite + Unpin + Send> Line for BufReader<P> {
    const HAS_HEADS: bool = false;

    /// A pipe knows no resets; it closes.
    fn reset(&self) {}
}

impl Mock {
    /// Runs the one work order that comes on `pipes`, as an agent that is a program does: it says
    /// hello, is given the order, and tells what it does.
    ///
    /// # Errors
    /// When nothing can be read from `pipes`, or written to them.
    pub async fn run(self, pipes: impl AsyncRead + AsyncWrite + Unpin + Send) -> io::Result<()> {
        let mut pipes = BufReader::new(pipes);
        pipes.write_all(told::message(&hello(), Form::Lines).as_bytes()).await?;
        pipes.flush().await?;
        let mut line = String::new();
        (&mut pipes).take(BODY_BYTES as u64).read_line(&mut line).await?;
        if line.trim().is_empty() {
            return Ok(());
        }
        let (_never, mut stopped) = watch::channel(());
        self.play_of(&line).perform(&mut pipes, &mut stopped).await;
        Ok(())
    }

    /// What is said to a line.
    fn play_of(&self, line: &str) -> Play {
        let (ref_id, told) = match Message::parse(line) {
            Ok(Message::Run { id, work_order }) => {
                let told = self.told_to(&id, &work_order);
                (Some(id), told)
            }
            Ok(other) => (None, Err(unexpected(&other))),
            Err(error) => (None, Err(error.into())),
        };
        match told {
            Ok(telling) => telling.play(true),
            Err(refusal) => {
                let error_code = Some(refusal.code().to_owned());
                let fatal = Message::Fatal { ref_id, error: refusal.message, error_code };
                let steps = vec![Step::Say(told::message(&fatal, Form::Lines).into())];
                Play { steps, pace: Pace::of(&self.script, 0), last: true, entry: None }
            }
        }
    }

    fn told_to(&self, run_id: &str, order: &WorkOrder) -> Result<Telling, Refusal> {
        let hub = strict::hub_of(order)?;
        let run_id = Some(run_id.to_owned());
        self.tell(&Asked { run_id, ..asked::in_order(order, &hub, Form::Lines) }, None)
    }
}

fn hello() -> Message {
    Message::Hello {
        contract_version: CONTRACT_VERSION.to_owned(),
        backend: told::identity(),
        capabilities: told::capabilities(),
        mode: ExecutionMode::Mapped,
    }
}

fn unexpected(message: &Message) -> Refusal {
    let said = format!("Here a `run` is expected, and not `{}`.", message.name());
    refusal("unexpected_message", said)
}
