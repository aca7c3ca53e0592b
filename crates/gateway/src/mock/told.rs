//! An answer in the words of whoever asked. In: a whole response of the hub, and the dialect and form
//! that are wanted. Out: its frames: an event, a chunk or a message each; one that comes whole is one.

use latimer_wire::backplane::{
    self, AgentEvent, BackendIdentity, Capability, CapabilityManifest, Message, RunHead,
    SupportLevel,
};
use latimer_wire::chat::{self, push_completion};
use latimer_wire::responses::{Event, Response, unfold};

use super::asked::Asked;
use super::script::Script;
use crate::config::Dialect;

/// How an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    pub dialect: Dialect,
    pub form: Form,
}

/// What an answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Stream,
    /// One body.
    Whole,
    /// Lines, as an agent that is a program says them.
    Lines,
}

impl Form {
    /// What a request wants.
    pub fn wanted(stream: bool) -> Form {
        if stream { Form::Stream } else { Form::Whole }
    }
}

/// What the mock can do as an agent, whatever its script says.
const CAPABILITIES: &[Capability] = &[
    Capability::Streaming,
    Capability::SystemMessage,
    Capability::ToolUse,
    Capability::FunctionCalling,
    Capability::StructuredOutputJsonSchema,
];

pub(super) fn capabilities() -> CapabilityManifest {
    CAPABILITIES.iter().map(|able| (able.name().to_owned(), SupportLevel::Native)).collect()
}

/// Who it is as an agent.
pub(super) fn identity() -> BackendIdentity {
    BackendIdentity {
        id: "latimer-mock".to_owned(),
        backend_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..BackendIdentity::default()
    }
}

/// The frames of an answer. `number` tells answers apart.
pub(super) fn frames(
    response: Response,
    asked: &Asked,
    number: u64,
    script: &Script,
) -> Vec<String> {
    let (created, id) = (script.created, format!("chatcmpl-mock{number}"));
    match (asked.manner.dialect, asked.manner.form) {
        (Dialect::Backplane, form) => run(&response, asked, number, script, form),
        (Dialect::Responses, Form::Whole) => vec![response.into_json()],
        (Dialect::Chat, Form::Whole) => {
            let mut completion = String::new();
            push_completion(&mut completion, &response, &id, created);
            vec![completion]
        }
        (Dialect::Responses, _) => {
            stream(&response, script, |event, frame| event.print_frame(frame))
        }
        (Dialect::Chat, _) => {
            let mut lower = chat::Lower::new(&id, &asked.model, created, asked.include_usage);
            stream(&response, script, |event, frame| lower.push(event, frame))
        }
    }
}

/// The stream of a response; `print` makes a frame of an event, or none.
fn stream(
    response: &Response,
    script: &Script,
    mut print: impl FnMut(&Event<'_>, &mut String),
) -> Vec<String> {
    let mut frames = Vec::new();
    unfold(response, script.piece, &mut |event: &Event<'_>| {
        let mut frame = String::new();
        print(event, &mut frame);
        frames.extend((!frame.is_empty()).then_some(frame));
    });
    frames
}

/// What an agent says that answers so, its receipt at the end.
fn run(
    response: &Response,
    asked: &Asked,
    number: u64,
    script: &Script,
    form: Form,
) -> Vec<String> {
    let now_ms = script.created.saturating_mul(1_000);
    let head = RunHead {
        run_id: asked.run_id.clone().unwrap_or_else(|| run_id(number)),
        work_order_id: asked.work_order_id.clone(),
        backend: identity(),
        capabilities: capabilities(),
        started_at_ms: now_ms,
        ..RunHead::default()
    };
    let ref_id = Some(head.run_id.clone());
    let mut lower = backplane::Lower::new(head);
    let mut frames = Vec::new();
    unfold(response, script.piece, &mut |event: &Event<'_>| {
        lower.push(event, now_ms, &mut |event: &AgentEvent| {
            let event = Box::new(event.clone());
            frames.push(message(&Message::Event { ref_id: ref_id.clone(), event }, form));
        });
    });
    let receipt = Box::new(lower.receipt(now_ms));
    if form == Form::Whole {
        return vec![receipt.to_json()];
    }
    frames.push(message(&Message::Final { ref_id, receipt }, form));
    frames
}

/// A UUID for the run with this number.
fn run_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// A message of an agent.
pub(super) fn message(message: &Message, form: Form) -> String {
    let mut said = String::new();
    match form {
        Form::Stream => message.print_frame(&mut said),
        Form::Whole | Form::Lines => message.print_line(&mut said),
    }
    said
}
