//! An agent that is a program: started for each run, spoken to over its standard input and output, a
//! message a line. In: a work order by HTTP, from inside this process. Out: what the agent says, as
//! server-sent events. Whoever drops the answer ends the program, with all that it started.
//!
//! Its standard error is nobody's: the end of it is told as a warning, or with the failure.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use latimer_wire::backplane::{AgentEvent, AgentEventKind, Message, Time, WorkOrder};
use latimer_wire::error::ApiError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::Embedded;
use super::program::{Program, Unsaid};
use crate::answer::{Answer, BrokenOff, build, refusal};
use crate::clock::unix_milliseconds;
use crate::config::{Limits, Timeouts};
use crate::listener::answering;

/// The size of the pipe to the rest of the gateway, in bytes.
const PIPE_BYTES: usize = 64 << 10;
/// How many messages may wait for the gateway to take them.
const WAITING: usize = 64;

/// A program that runs work orders.
pub(crate) struct Sidecar {
    command: Vec<String>,
    places: Arc<Semaphore>,
    limits: Limits,
    timeouts: Timeouts,
}

/// The words of a command line: separated by spaces, but for those between quotes; a backslash takes
/// the next character as it is, but between single quotes.
pub(crate) fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = command.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(characters.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// How messages name a program: as a host.
pub(crate) fn host(command: &[String]) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    let program = program.unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("{}.stdio", program.chars().map(plain).collect::<String>().trim_matches(['-', '.']))
}

impl Sidecar {
    /// The program that `command` starts. Nothing is started yet.
    pub fn new(command: Vec<String>, limits: &Limits, timeouts: &Timeouts) -> Self {
        let places = Arc::new(Semaphore::new(limits.agents));
        Sidecar { command, places, limits: limits.clone(), timeouts: timeouts.clone() }
    }

    /// Opens connections behind which it is spoken to.
    pub fn embedded(self: Arc<Self>) -> Embedded {
        Arc::new(move || {
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let sidecar = Arc::clone(&self);
            tokio::spawn(async move {
                let (_never, stopped) = watch::channel(());
                let serve = |request| {
                    let sidecar = Arc::clone(&sidecar);
                    async move { sidecar.respond(request).await }
                };
                answering(theirs, stopped, serve).await;
            });
            Box::new(ours)
        })
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Answer> {
        if (request.method(), request.uri().path()) != (&Method::POST, "/run") {
            let message = "An agent that is a program takes work orders and nothing else.";
            let error = ApiError::invalid("", "not_found", message);
            return refusal(&ApiError { status: 404, ..error });
        }
        match self.run(request.into_body()).await {
            Ok(said) => build(
                Response::builder()
                    .status(StatusCode::OK)
                    .header(header::CONTENT_TYPE, "text/event-stream"),
                Answer::Stream(Box::pin(said)),
            ),
            Err(error) => refusal(&error),
        }
    }

    /// Starts the program and gives it the work order, unless it cannot do what is required.
    async fn run(&self, body: Incoming) -> Result<Said, ApiError> {
        let body = Limited::new(body, self.limits.decoded_body_bytes).collect().await;
        let body = body.map_err(|error| ApiError::server(500, "unreadable", error.to_string()))?;
        let order = WorkOrder::parse(&String::from_utf8_lossy(&body.to_bytes()))?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let most = self.limits.agents;
            let message = format!("{most} agents are running, and no more may (`limits.agents`).");
            ApiError::server(503, "agents_busy", message)
        })?;
        let mut program = Program::start(&self.command, &self.limits, &self.timeouts)?;
        self.greet(&mut program, &order).await?;
        let id = order.id.clone();
        let run = Message::Run { id: id.clone(), work_order: Box::new(order) };
        if program.say(&run).await.is_err() {
            return Err(failed(program.end().await, "took no work order"));
        }
        let (tell, told) = mpsc::channel(WAITING);
        tokio::spawn(relay(program, id, tell, place));
        Ok(Said(told))
    }

    /// Hears who it is, which contract it speaks and what it is able to do.
    async fn greet(&self, program: &mut Program, order: &WorkOrder) -> Result<(), ApiError> {
        let wait_ms = self.timeouts.connect_ms;
        let line = tokio::time::timeout(Duration::from_millis(wait_ms), program.hear()).await;
        let line = match line {
            Err(_) => {
                let message = format!("The agent said no hello within {wait_ms} ms.");
                return Err(ApiError::server(504, "agent_silent", message));
            }
            Ok(Ok(line)) => line,
            Ok(Err(Unsaid::Over)) => {
                return Err(failed(program.end().await, "ended before its hello"));
            }
            Ok(Err(unsaid)) => {
                return Err(ApiError::server(502, "agent_invalid", unsaid.to_string()));
            }
        };
        match Message::parse(&line) {
            Ok(Message::Hello { contract_version, capabilities, .. }) => {
                if !Message::is_spoken(&contract_version) {
                    let message =
                        format!("The agent speaks `{contract_version}`, and here it is abp/v0.1.");
                    return Err(ApiError::server(502, "agent_contract", message));
                }
                order.requirements.check(&capabilities).map(drop)
            }
            Ok(other) => {
                let message = format!("The agent began with `{}` and not `hello`.", other.name());
                Err(ApiError::server(502, "agent_invalid", message))
            }
            Err(ApiError { message, .. }) => {
                let message = format!("The first line of the agent is no message: {message}");
                Err(ApiError::server(502, "agent_invalid", message))
            }
        }
    }
}

/// Passes on what the program says, until it is over or nobody listens any more.
async fn relay(
    mut program: Program,
    id: String,
    tell: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    loop {
        let line = tokio::select! {
            line = program.hear() => line,
            () = tell.closed() => return,
        };
        let last = match line {
            Ok(line) => match heard(&line, &id) {
                Ok(message) if message.is_last() => message,
                Ok(_) if tell.send(Bytes::from(format!("data: {line}\n\n"))).await.is_ok() => {
                    continue;
                }
                Ok(_) => return,
                Err(trouble) => fatal(trouble),
            },
            Err(Unsaid::Over) => {
                fatal(failed(program.end().await, "ended before its receipt").message)
            }
            Err(unsaid) => fatal(unsaid.to_string()),
        };
        let mut frames = String::new();
        if matches!(last, Message::Final { .. })
            && let Some(errors) = program.let_end().await
        {
            let message = format!("standard error: {errors}");
            let ts = Time::of_unix_ms(unix_milliseconds());
            let event = AgentEvent::new(ts, AgentEventKind::Warning { message });
            Message::Event { ref_id: None, event: Box::new(event) }.print_frame(&mut frames);
        }
        last.print_frame(&mut frames);
        let _ = tell.send(Bytes::from(frames)).await;
        return;
    }
}

/// A line as a message of this run.
fn heard(line: &str, id: &str) -> Result<Message, String> {
    let message = Message::parse(line)
        .map_err(|error| format!("a line of the agent is no message: {}", error.message))?;
    match message.ref_id().filter(|named| *named != id) {
        Some(other) => Err(format!("the agent speaks of another run, `{other}`")),
        None => Ok(message),
    }
}

fn fatal(error: String) -> Message {
    Message::Fatal { ref_id: None, error, error_code: Some("agent_failed".to_owned()) }
}

/// The error of a program that ended too early, with how it ended.
fn failed(how: String, what: &str) -> ApiError {
    ApiError::server(502, "agent_failed", format!("the agent {what}: {how}"))
}

/// What the program says, as the body of an answer.
struct Said(mpsc::Receiver<Bytes>);

impl Body for Said {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::{host, words};

    #[test]
    fn a_command_is_read_as_a_shell_would_without_its_magic() {
        let command = "python3  'my agent.py' --name \"a \\\"b\" '' x$HOME c\\ d";
        let expected = ["python3", "my agent.py", "--name", "a \"b", "", "x$HOME", "c d"];
        assert_eq!(words(command), expected);
        assert_eq!(words("  "), Vec::<String>::new());
        assert_eq!(host(&words("/usr/bin/Python_3")), "python-3.stdio");
    }
}
