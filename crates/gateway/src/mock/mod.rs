//! A model backend from a script. In: requests in Chat Completions or Responses form. Out: answers
//! in the same form, all made one way: the script's answer becomes a hub response, which is
//! unfolded into events and, for Chat, lowered; and, if it is wanted, a recording of both. It stands
//! where a model would, and nowhere else; a Chat request that a strict backend would refuse, it
//! refuses.

mod body;
mod offered;
mod script;
mod strict;

pub use script::{Answer, Call, Fault, FaultKind, Refusal, Rule, Script, ScriptError, When};

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
use latimer_wire::responses::{self, Envelope, Event, Failure, Snapshot, Status, Usage, unfold};
use latimer_wire::sse;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::body::{Entry, MockBody};
use self::offered::Offered;
use crate::capture::{Finished, Recorder};
use crate::clock::{unix_milliseconds, unix_seconds};
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

/// What a request asks, as far as rules look at it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    user: String,
    /// The addresses of the images beside it.
    images: String,
    /// The last message, where it is a tool's output.
    tool_output: Option<String>,
    tools: Vec<Offered>,
    /// The name of the schema that the answer is to follow.
    schema: Option<String>,
    stream: bool,
    include_usage: bool,
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
                    Ok(()) => self.answer(&body, asked_in_chat(&body), true),
                    Err(fault) => refuse(400, "strict", &fault.message, Some(&fault.param)),
                }
            }
            (&Method::POST, "/responses") => self.answer(&body, asked_in_hub(&body), false),
            _ => refuse(
                404,
                "not_found",
                "The mock serves /v1/chat/completions, /v1/responses and /v1/models.",
                None,
            ),
        }
    }

    fn answer(&self, body: &Value, asked: Asked, chat: bool) -> Response<MockBody> {
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
        let response = said(&rule.answer, body, &asked, number);
        let id = format!("chatcmpl-mock{number}");
        match (asked.stream, chat) {
            (false, false) => reply(200, response.into_json()),
            (false, true) => {
                let mut completion = String::new();
                push_completion(&mut completion, &response, &id, unix_seconds());
                reply(200, completion)
            }
            (true, _) => {
                let model = body["model"].as_str().unwrap_or_default();
                let lower = Lower::new(&id, model, unix_seconds(), asked.include_usage);
                let frames = self.frames(&response, chat.then_some(lower));
                let mut response = Response::new(MockBody::stream(
                    frames,
                    Duration::from_millis(self.script.delay_ms),
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

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The addresses of the images in a message: Chat has them in an object.
fn images_of(content: &Value) -> String {
    let images = content.as_array().into_iter().flatten().map(|part| &part["image_url"]);
    let addresses = images.filter_map(|image| image.as_str().or_else(|| image["url"].as_str()));
    addresses.collect::<Vec<_>>().join("\n")
}

fn text_at(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn asked_in_chat(body: &Value) -> Asked {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let user = messages.iter().rev().find(|message| message["role"] == "user");
    let tool = messages.last().filter(|message| message["role"] == "tool");
    Asked {
        user: user.map(|message| text_of(&message["content"])).unwrap_or_default(),
        images: user.map(|message| images_of(&message["content"])).unwrap_or_default(),
        tool_output: tool.map(|message| text_of(&message["content"])),
        tools: offered::offered(body),
        schema: text_at(body, "/response_format/json_schema/name"),
        stream: body["stream"] == true,
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
    }
}

fn asked_in_hub(body: &Value) -> Asked {
    let items = body["input"].as_array().map(Vec::as_slice).unwrap_or_default();
    let user = items.iter().rev().find(|item| item["role"] == "user");
    let is_output =
        |item: &&Value| item["type"].as_str().is_some_and(|kind| kind.ends_with("_output"));
    let output = items.last().filter(is_output);
    Asked {
        user: user.map_or_else(|| text_of(&body["input"]), |item| text_of(&item["content"])),
        images: user.map(|item| images_of(&item["content"])).unwrap_or_default(),
        // A search has found tools, and no text.
        tool_output: output.map(|item| match &item["tools"] {
            Value::Null => text_of(&item["output"]),
            tools => tools.to_string(),
        }),
        tools: offered::offered(body),
        schema: text_at(body, "/text/format/name"),
        stream: body["stream"] == true,
        include_usage: true,
    }
}

/// The script's answer as a response of the hub.
fn said(answer: &Answer, body: &Value, asked: &Asked, number: u64) -> responses::Response {
    let status = if answer.incomplete.is_some() { "incomplete" } else { "completed" };
    let mut output = Vec::new();
    if let Some(reasoning) = &answer.reasoning {
        output.push(json!({"id": format!("rs_mock{number}"), "type": "reasoning",
            "summary": [{"type": "summary_text", "text": reasoning}]}));
    }
    if let Some(text) = &answer.text {
        let text = text.replace("{user}", &asked.user);
        output.push(json!({"id": format!("msg_mock{number}"), "type": "message", "status": status,
            "role": "assistant", "content": [{"type": "output_text", "annotations": [],
            "logprobs": [], "text": text}]}));
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let number = format!("{number}_{index}");
        output.push(offered::call_item(call, &asked.tools, &number, status));
    }
    let items: Vec<String> = output.iter().map(Value::to_string).collect();
    let usage = Usage {
        input: answer.input_tokens,
        output: answer.output_tokens,
        total: answer.input_tokens + answer.output_tokens,
        ..Usage::default()
    };
    let snapshot = Snapshot {
        status: if answer.incomplete.is_some() { Status::Incomplete } else { Status::Completed },
        completed_at: Some(unix_seconds()),
        failure: None::<&Failure>,
        reason: answer.incomplete.as_deref(),
        usage: Some(&usage),
    };
    let request = json!({"model": body["model"], "input": ""}).to_string();
    let request = responses::Request::parse(&request).unwrap_or_default();
    let mut json = String::new();
    Envelope::new(&request, &format!("resp_mock{number}"), unix_seconds()).print(
        &mut json,
        &items.join(","),
        &snapshot,
    );
    responses::Response::parse(json).unwrap_or_default()
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
