//! A model backend from a script. In: requests in Chat Completions or Responses form. Out: answers
//! in the same form, all made one way: the script's answer becomes a hub response, which is
//! unfolded into events and, for Chat, lowered; and, if it is wanted, a recording of both. It stands
//! where a model would, and nowhere else; a Chat request that a strict backend would refuse, it
//! refuses.

mod answer;
mod asked;
mod body;
mod offered;
mod pace;
mod sample;
mod script;
mod strict;

pub use script::{
    Answer, Call, Fault, FaultKind, Pattern, Refusal, Rule, Script, ScriptError, When,
};

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use latimer_wire::chat::{Lower, push_completion};
use latimer_wire::error::ApiError;
use latimer_wire::responses::{self, Event, unfold};
use latimer_wire::sse;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::asked::Asked;
use self::body::{Entry, MockBody};
use self::pace::Pace;
use crate::capture::{Finished, Recorder};
use crate::clock::unix_milliseconds;
use crate::headers;
use crate::ledger::Outcome;
use crate::listener::{Entrance, accept, connection, listen};
use crate::secret::Secret;
use crate::upstream::Embedded;

/// The size of the pipe to the embedded mock, in bytes.
const PIPE_BYTES: usize = 64 << 10;
/// What the mock allows its clients.
const ENTRANCE: Entrance =
    Entrance { connections_max: 8_000, write_wait: Duration::from_secs(60), drain: Duration::ZERO };

/// A scripted model.
pub struct Mock {
    script: Script,
    answered: AtomicU64,
    recorder: Option<Arc<Recorder>>,
}

impl Mock {
    /// A model that follows `script`.
    pub fn new(script: Script) -> Mock {
        Mock { script, answered: AtomicU64::new(0), recorder: None }
    }

    /// Writes down what it is asked and what it answers, in the form of the gateway's recordings,
    /// in `directory`.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn recording(self, directory: &Path) -> std::io::Result<Mock> {
        let recorder = Some(Arc::new(Recorder::open(directory, Secret::of(None))?));
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
        let serve = move |request| Arc::clone(&mock).respond(request);
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
                let serve = move |request| Arc::clone(&mock).respond(request);
                connection(theirs, stopped, serve).await;
            });
            Box::new(ours)
        })
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<MockBody> {
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => Bytes::new(),
        };
        let response = self.response(&head, &body);
        let entry = self.recorder.as_ref().map(|recorder| Entry {
            recorder: Arc::clone(recorder),
            finished: finished(&head, body, &response),
            outcome: Outcome::Cancelled,
        });
        response.map(|body| body.told_in(entry))
    }

    fn response(&self, head: &Parts, body: &[u8]) -> Response<MockBody> {
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match (&head.method, head.uri.path().trim_start_matches("/v1")) {
            (&Method::GET, "/models") => {
                let model = json!({"id": self.script.model, "object": "model", "created": 0,
                    "owned_by": "latimer"});
                reply(200, json!({"object": "list", "data": [model]}).to_string())
            }
            (&Method::POST, "/chat/completions") => {
                match strict::check(&body, self.script.later_system) {
                    Ok(()) => self.answer(asked::in_chat(&body), true),
                    Err(fault) => refuse(400, "strict", &fault.message, Some(&fault.param)),
                }
            }
            (&Method::POST, "/responses") => self.answer(asked::in_hub(&body), false),
            _ => refuse(
                404,
                "not_found",
                "The mock serves /v1/chat/completions, /v1/responses and /v1/models.",
                None,
            ),
        }
    }

    fn answer(&self, asked: Asked, chat: bool) -> Response<MockBody> {
        let Some(rule) = self.script.rule(&asked) else {
            let tools: Vec<_> = asked.tools.iter().map(|tool| &tool.called).collect();
            let message = format!(
                "No rule of the mock's script fits the request; user: {:?}, tool output: {:?}, \
                 tools: {tools:?}.",
                asked.user, asked.tool_output
            );
            return refuse(400, "no_rule", &message, None);
        };
        if let Some(refusal) = &rule.refuse {
            let mut response = refuse(
                refusal.status,
                refusal.code.as_deref().unwrap_or("mock_error"),
                &refusal.message,
                None,
            );
            if let Some(seconds) = refusal.retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let created = self.script.created;
        let response = answer::response(rule.answer(&asked), &asked, number, created);
        let id = format!("chatcmpl-mock{number}");
        match (asked.stream, chat) {
            (false, false) => reply(200, response.into_json()),
            (false, true) => {
                let mut completion = String::new();
                push_completion(&mut completion, &response, &id, created);
                reply(200, completion)
            }
            (true, _) => {
                let lower = Lower::new(&id, &asked.model, created, asked.include_usage);
                let frames = self.frames(&response, chat.then_some(lower));
                let mut response = Response::new(MockBody::stream(
                    frames,
                    Pace::of(&self.script, number),
                    rule.fault.clone(),
                    error_frame(chat, rule.fault.as_ref().map_or(0, |fault| fault.after)),
                ));
                let events = http::HeaderValue::from_static("text/event-stream");
                response.headers_mut().insert(header::CONTENT_TYPE, events);
                response
            }
        }
    }

    /// The stream of a response, a frame each.
    fn frames(&self, response: &responses::Response, mut lower: Option<Lower>) -> Vec<String> {
        let mut frames = Vec::new();
        unfold(response, self.script.piece, &mut |event: &Event<'_>| {
            let mut frame = String::new();
            match &mut lower {
                Some(lower) => lower.push(event, &mut frame),
                None => event.print_frame(&mut frame),
            }
            frames.extend((!frame.is_empty()).then_some(frame));
        });
        frames
    }
}

/// An error in the middle of a stream, after so many frames.
fn error_frame(chat: bool, after: usize) -> String {
    let (code, message) = ("server_error", "The mock ran out of luck.");
    let error = match chat {
        true => json!({"error": {"message": message, "type": "server_error", "code": code}}),
        false => json!({"type": "error", "code": code, "message": message, "param": null,
            "sequence_number": after}),
    };
    let mut frame = String::new();
    sse::encode(&mut frame, (!chat).then_some("error"), &error.to_string());
    frame
}

/// What is known of an exchange before its answer leaves.
fn finished(head: &Parts, body: Bytes, response: &Response<MockBody>) -> Finished {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    Finished {
        timestamp_unix_ms: unix_milliseconds(),
        method: head.method.clone(),
        url: format!("http://{}{}", host.unwrap_or_default(), head.uri),
        request_headers: head.headers.clone(),
        request_body: body,
        status: Some(response.status().as_u16()),
        response_headers: response.headers().clone(),
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
