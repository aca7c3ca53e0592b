//! A model backend from a script. In: requests in Chat Completions or Responses form, or work orders,
//! as an agent is given them. Out: answers in the same dialect, all made one way: the script's answer
//! becomes a hub response, which is unfolded into events and, for the other dialects, lowered; and, if
//! it is wanted, a recording of both. It stands where a model or an agent would, and nowhere else; a
//! request that a strict backend would refuse, it refuses.

mod answer;
mod asked;
mod body;
mod control;
mod fault;
mod line;
mod offered;
mod pace;
mod play;
mod sample;
mod scene;
mod script;
mod stdio;
mod strict;
mod told;

pub use fault::{FAULTS, FaultKind, Named, Number, UnknownFault};
pub use script::{Answer, Call, Fault, Pattern, Refusal, Rule, Script, ScriptError, When};

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use latimer_probe::record::account::Outcome;
use latimer_wire::error::ApiError;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::asked::Asked;
use self::body::{Entry, MockBody};
use self::control::Pending;
use self::pace::Pace;
use self::play::{Play, Step};
use self::told::{Form, Manner};
use crate::capture::{Finished, Recorder};
use crate::clock::unix_milliseconds;
use crate::config::RecorderConfig;
use crate::headers;
use crate::listener::{Entrance, accept, listen};
use crate::secret::Secret;
use crate::upstream::Embedded;

/// The size of the pipe to the embedded mock, in bytes.
const PIPE_BYTES: usize = 64 << 10;
/// The longest request it reads, in bytes.
const BODY_BYTES: usize = 256 << 20;
/// What the mock allows its clients.
const ENTRANCE: Entrance =
    Entrance { connections_max: 8_000, write_wait: Duration::from_secs(60), drain: Duration::ZERO };

/// A scripted model.
pub struct Mock {
    script: Script,
    answered: AtomicU64,
    recorder: Option<Arc<Recorder>>,
    pending: Pending,
}

impl Mock {
    /// A model that follows `script`.
    pub fn new(script: Script) -> Mock {
        Mock { script, answered: AtomicU64::new(0), recorder: None, pending: Pending::default() }
    }

    /// Writes down what it is asked and what it answers, in the form of the gateway's recordings,
    /// in `directory`.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn recording(self, directory: &Path) -> std::io::Result<Mock> {
        let recorder = Some(Arc::new(Recorder::open(
            directory,
            &RecorderConfig::one_file(),
            Secret::of(None),
        )?));
        Ok(Mock { recorder, ..self })
    }

    /// Listens on `address` and answers until `stop` is ready. `ready` is called once with the real
    /// address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(
        self,
        address: SocketAddr,
        ready: impl FnOnce(SocketAddr),
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let listener = listen(address)?;
        ready(listener.local_addr()?);
        let mock = Arc::new(self);
        let serve = move |socket, stopped| line::speak(Arc::clone(&mock), socket, stopped);
        accept(listener, ENTRANCE, stop, serve).await;
        Ok(())
    }

    /// Opens connections to this model inside the process.
    pub(crate) fn embedded(self: Arc<Self>) -> Embedded {
        Arc::new(move || {
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let mock = Arc::clone(&self);
            tokio::spawn(async move {
                let (_never, stopped) = watch::channel(());
                line::speak(mock, theirs, stopped).await;
            });
            Box::new(ours)
        })
    }

    async fn respond(&self, request: Request<Incoming>) -> Said {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return refuse(400, "unreadable", &error.to_string(), None).into(),
        };
        let said = self.said(&head, &body);
        let Some(recorder) = &self.recorder else { return said };
        let mut entry = Entry {
            recorder: Arc::clone(recorder),
            finished: finished(&head, body),
            outcome: Outcome::Cancelled,
            began: Instant::now(),
        };
        match said {
            Said::Answer(response) => {
                entry.finished.status = Some(response.status().as_u16());
                entry.finished.response_headers = response.headers().clone();
                Said::Answer(response.map(|body| body.told_in(Some(entry))))
            }
            Said::Play(play) => Said::Play(Play { entry: Some(entry), ..play }),
        }
    }

    fn said(&self, head: &Parts, body: &[u8]) -> Said {
        if head.uri.path() == control::PATH {
            return self.pending.ask(&head.method, body).into();
        }
        let raw = body;
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match (&head.method, head.uri.path().trim_start_matches("/v1")) {
            (&Method::GET, "/models") => {
                let model = json!({"id": self.script.model, "object": "model", "created": 0,
                    "owned_by": "latimer"});
                reply(200, json!({"object": "list", "data": [model]}).to_string()).into()
            }
            (&Method::POST, "/chat/completions") => {
                match strict::check(&body, self.script.later_system) {
                    Ok(()) => self.answer(head, &asked::in_chat(&body)),
                    Err(fault) => refuse(400, "strict", &fault.message, Some(&fault.param)).into(),
                }
            }
            (&Method::POST, "/responses") => match strict::check_hub(raw) {
                Ok(()) => self.answer(head, &asked::in_hub(&body)),
                Err(error) => reply(error.status, error.body()).into(),
            },
            (&Method::POST, "/run" | "/backplane/v1/run") => match work_order(head, raw) {
                Ok(asked) => self.answer(head, &asked),
                Err(error) => reply(error.status, error.body()).into(),
            },
            _ => refuse(
                404,
                "not_found",
                "The mock serves /v1/chat/completions, /v1/responses, /v1/run, /v1/models and \
                 /mock/fault.",
                None,
            )
            .into(),
        }
    }

    fn answer(&self, head: &Parts, asked: &Asked) -> Said {
        let telling = control::fault_of(&head.headers)
            .map_err(|error| refusal("unknown_fault", error.to_string()))
            .and_then(|fault| self.tell(asked, fault));
        match telling {
            Err(refusal) => refused(&refusal).into(),
            Ok(telling) if telling.fault.is_some() => {
                let last =
                    head.headers.get(header::CONNECTION).is_some_and(|value| value == "close");
                Said::Play(telling.play(last))
            }
            Ok(Telling { frames, pace, .. }) if asked.manner.form == Form::Stream => {
                let mut response = Response::new(MockBody::stream(frames, pace));
                let events = http::HeaderValue::from_static("text/event-stream");
                response.headers_mut().insert(header::CONTENT_TYPE, events);
                response.into()
            }
            Ok(Telling { frames, .. }) => reply(200, frames.concat()).into(),
        }
    }

    /// What is told to who asks; `fault` is the one that the request itself asks for.
    fn tell(&self, asked: &Asked, fault: Option<Fault>) -> Result<Telling, Refusal> {
        let rule = self.script.rule(asked).ok_or_else(|| unruled(asked))?;
        if let Some(refusal) = &rule.refuse {
            return Err(refusal.clone());
        }
        let fault = fault.or_else(|| self.pending.take()).or_else(|| rule.fault.clone());
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let response = answer::response(rule.answer(asked), asked, number, self.script.created);
        Ok(Telling {
            frames: told::frames(response, asked, number, &self.script),
            manner: asked.manner,
            pace: Pace::of(&self.script, number),
            fault,
        })
    }
}

/// An answer, ready to be told.
struct Telling {
    frames: Vec<String>,
    manner: Manner,
    pace: Pace,
    fault: Option<Fault>,
}

impl Telling {
    /// The answer with its fault, if it has one. `last`: the client wants no other after it.
    fn play(self, last: bool) -> Play {
        let steps = match self.fault {
            Some(Fault { kind, after }) => kind.steps(self.frames, self.manner, after),
            None => self.frames.into_iter().map(|frame| Step::Say(frame.into())).collect(),
        };
        Play { steps, pace: self.pace, last, entry: None }
    }
}

/// What a work order asks, over HTTP.
fn work_order(head: &Parts, body: &[u8]) -> Result<Asked, ApiError> {
    let order = strict::order(body)?;
    let form = Form::wanted(headers::takes_events(&head.headers));
    Ok(asked::in_order(&order, &strict::hub_of(&order)?, form))
}

/// What a request gets.
enum Said {
    Answer(Response<MockBody>),
    Play(Play),
}

impl From<Response<MockBody>> for Said {
    fn from(response: Response<MockBody>) -> Said {
        Said::Answer(response)
    }
}

fn unruled(asked: &Asked) -> Refusal {
    let tools: Vec<_> = asked.tools.iter().map(|tool| &tool.called).collect();
    let message = format!(
        "No rule of the mock's script fits the request; model: {:?}, user: {:?}, tool output: {:?}, \
         turn: {}, tools: {tools:?}.",
        asked.model,
        asked.user,
        asked.tool_output,
        asked.answers + 1,
    );
    refusal("no_rule", message)
}

/// The error of a request that cannot be answered.
fn refusal(code: &str, message: String) -> Refusal {
    Refusal { status: 400, code: Some(code.to_owned()), message, retry_after_s: None }
}

fn refused(refusal: &Refusal) -> Response<MockBody> {
    let mut response = refuse(refusal.status, refusal.code(), &refusal.message, None);
    if let Some(seconds) = refusal.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What is known of an exchange before its answer leaves.
fn finished(head: &Parts, body: Bytes) -> Finished {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    Finished {
        timestamp_unix_ms: unix_milliseconds(),
        method: head.method.clone(),
        url: format!("http://{}{}", host.unwrap_or_default(), head.uri),
        request_headers: head.headers.clone(),
        request_body: body,
        ..Finished::default()
    }
}

fn reply(status: u16, body: String) -> Response<MockBody> {
    let mut response = Response::new(MockBody::whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refuse(status: u16, code: &str, message: &str, param: Option<&str>) -> Response<MockBody> {
    let error = ApiError {
        status,
        kind: headers::error_kind(status),
        code: Some(code.to_owned().into()),
        message: message.to_owned(),
        param: param.map(str::to_owned),
    };
    reply(status, error.body())
}
