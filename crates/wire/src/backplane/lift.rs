//! What an agent says as hub events. In: its messages as they come, or one whole receipt. Out: a
//! stream that the grammar admits; the brackets around what the agent says are put there by
//! [`Mend`].
//!
//! | the agent's | the hub's |
//! |---|---|
//! | `run_started` | `response.created`, `response.in_progress` |
//! | `assistant_delta` | `response.output_text.delta` |
//! | `assistant_message` | the finished message |
//! | `tool_call` of a tool that the client offered | a call of it |
//! | `tool_call` with its `tool_result`, `file_changed`, `command_executed` | a summary of reasoning |
//! | `warning` | a note |
//! | `error` | the failure, where the run fails |
//! | receipt | the end, with the usage |
//!
//! A call waits until the run is over: until then its result may still come, which says that the agent
//! has run the tool itself.

use super::contract::{Json, Members};
use super::event::{AgentEvent, AgentEventKind};
use super::message::Message;
use super::order::PolicyProfile;
use super::receipt::{Outcome, Receipt};
use super::told::{ITEM_ID, REFUSAL, deed_item, item_of, message_item};
use super::tools::{Offered, call_item};
use crate::error::ApiError;
use crate::json::{Raw, push_string};
use crate::note::Notes;
use crate::responses::{
    Envelope, Event, Failure, Kind, LOGPROBS, Mend, Rest, Sink, Snapshot, Status, Usage,
};

/// The reader of what an agent says.
///
/// ```
/// use latimer_wire::backplane::Lift;
/// use latimer_wire::responses::{Envelope, Event, Request};
/// let request = Request::parse(r#"{"model":"m","input":"Hi","stream":true}"#)?;
/// let mut lift = Lift::new(Envelope::new(&request, "resp_1", 0), "1");
/// let mut names = Vec::new();
/// let mut sink = |event: &Event<'_>| names.push(event.name().to_owned());
/// lift.push(r#"{"ts":"2026-01-01T00:00:00Z","type":"assistant_message","text":"Hello"}"#, 0, &mut sink);
/// lift.push(r#"{"meta":{"run_id":"1"},"outcome":"complete"}"#, 0, &mut sink);
/// assert_eq!(names[5], "response.output_text.done");
/// assert_eq!(names.last().map(String::as_str), Some("response.completed"));
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
#[derive(Debug)]
pub struct Lift {
    envelope: Envelope,
    mend: Mend,
    id_stem: String,
    offered: Offered,
    policy: PolicyProfile,
    begun: bool,
    /// How many items there are, those that were only begun included.
    items: u64,
    /// The message that is being said.
    open: Option<u64>,
    /// Calls whose result may still come.
    calls: Vec<AgentEvent>,
    /// The run said that it is over.
    completed: bool,
    /// A call was stopped.
    stopped: bool,
    error: Option<Failure>,
    failure: Option<Failure>,
    usage: Option<Usage>,
    notes: Notes,
}

impl Lift {
    /// `id_stem` makes the ids of items that have none: new for each response, and short.
    pub fn new(envelope: Envelope, id_stem: &str) -> Self {
        Lift {
            mend: Mend::new(envelope.clone(), id_stem),
            envelope,
            id_stem: id_stem.to_owned(),
            offered: Offered::default(),
            policy: PolicyProfile::default(),
            begun: false,
            items: 0,
            open: None,
            calls: Vec::new(),
            completed: false,
            stopped: false,
            error: None,
            failure: None,
            usage: None,
            notes: Notes::default(),
        }
    }

    /// The tools that the client offered: only those are called.
    #[must_use]
    pub fn with_tools(self, offered: Offered) -> Self {
        Lift { offered, ..self }
    }

    /// Stops the calls that a policy forbids before the client sees them.
    #[must_use]
    pub fn with_policy(self, policy: PolicyProfile) -> Self {
        Lift { policy, ..self }
    }

    /// Why the answer failed, where it had not begun: it can still be an error instead.
    pub fn failed_at_once(&self) -> Option<&Failure> {
        self.failure.as_ref().filter(|_| self.items == 0)
    }

    /// How the response ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        self.mend.ended()
    }

    /// What it used, as far as the agent has said.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What was lost or mended on the way.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Says that the response exists. Called by itself with whatever is said first.
    pub fn begin(&mut self, sink: &mut dyn Sink) {
        if !std::mem::replace(&mut self.begun, true) {
            self.mend.event(Event::new(Kind::Created), sink);
            self.mend.event(Event::new(Kind::InProgress), sink);
        }
    }

    /// Takes one message. `now` is seconds since 1970. After the end it does nothing.
    pub fn push(&mut self, data: &str, now: u64, sink: &mut dyn Sink) {
        let data = data.trim_ascii();
        if self.ended().is_some() || data.is_empty() || data == "[DONE]" {
            return;
        }
        match Message::read(data) {
            Ok(Message::Hello { .. } | Message::Run { .. } | Message::Other { .. }) => {}
            Ok(Message::Event { event, .. }) => self.event(*event, sink),
            Ok(Message::Final { receipt, .. }) => self.receipt(&receipt, now, sink),
            Ok(Message::Fatal { error, error_code, .. }) => {
                let code = error_code.unwrap_or_else(|| "server_error".to_owned());
                let message = format!("The backend gave up: {error}");
                self.fail(Failure { code, message }, sink);
            }
            Err(ApiError { message, .. }) => {
                let message = format!("The backend sent a message that cannot be read: {message}");
                self.fail(Failure { code: "server_error".to_owned(), message }, sink);
            }
        }
    }

    /// Takes a whole answer: a receipt instead of a stream.
    pub fn push_whole(&mut self, body: &str, now: u64, sink: &mut dyn Sink) {
        self.push(body, now, sink);
        self.end(now, sink);
    }

    /// The input is over: well where the run said so, else broken off.
    pub fn end(&mut self, now: u64, sink: &mut dyn Sink) {
        if self.ended().is_some() {
            return;
        }
        match (self.error.take(), self.completed) {
            (Some(failure), _) => self.fail(failure, sink),
            (None, true) => self.close(Outcome::Complete, now, sink),
            (None, false) => self.fail(
                Failure {
                    code: "server_error".to_owned(),
                    message: "The backend ended without a receipt.".to_owned(),
                },
                sink,
            ),
        }
    }

    /// Ends the response as failed, unless it has ended.
    pub fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
        if self.ended().is_none() {
            self.begin(sink);
            self.mend.fail(failure.clone(), sink);
            self.failure = Some(failure);
        }
    }

    fn event(&mut self, event: AgentEvent, sink: &mut dyn Sink) {
        use AgentEventKind as Told;
        self.begin(sink);
        let AgentEvent { kind, ext, .. } = &event;
        match kind {
            Told::RunStarted { .. } => {}
            Told::RunCompleted { .. } => self.completed = true,
            Told::AssistantDelta { text } => self.delta(text, ext, sink),
            Told::AssistantMessage { text } => {
                let item = item_of(kind, ext).unwrap_or_else(|| message_item(text));
                let is_message = item.raw().member_text("type").as_deref() == Some("message");
                let place = if is_message { self.open.take() } else { None };
                self.item(place, &item, sink);
            }
            Told::ToolCall { .. } => self.calls.push(event),
            Told::ToolResult { tool_name, tool_use_id, output, is_error } => {
                self.own_call(tool_use_id.as_deref());
                let verb = if *is_error { "failed" } else { "answered" };
                self.deed(&format!("`{tool_name}` {verb}: {}", preview(output)), sink);
            }
            Told::FileChanged { path, summary } => self.deed(&format!("{path}: {summary}"), sink),
            Told::CommandExecuted { command, exit_code, output_preview } => {
                let exit = exit_code.map(|code| format!(" (exit {code})")).unwrap_or_default();
                let output = output_preview.as_deref().unwrap_or_default();
                self.deed(format!("`{command}`{exit}\n{output}").trim_end(), sink);
            }
            Told::Warning { message } => self.notes.add("backend_warning", message.as_str()),
            Told::Error { message, error_code } => {
                let code = error_code.clone().unwrap_or_else(|| "server_error".to_owned());
                self.error = Some(Failure { code, message: message.clone() });
            }
            Told::Other { kind } => self.notes.add_once("event_dropped", kind),
        }
    }

    fn delta(&mut self, text: &str, ext: &Members, sink: &mut dyn Sink) {
        let place = match self.open {
            Some(place) => place,
            None => self.open_message(ext, sink),
        };
        let mut literal = String::new();
        push_string(&mut literal, text);
        let (kind, rest) = match ext.contains_key(REFUSAL) {
            true => (Kind::RefusalDelta, Rest::Fixed(&[])),
            false => (Kind::OutputTextDelta, Rest::Fixed(LOGPROBS)),
        };
        self.mend.event(
            Event {
                output_index: Some(place),
                item_id: ext.get(ITEM_ID).map(Json::raw).filter(|id| id.is_string()),
                part_index: Some(0),
                payload: Some(Raw::trusted(&literal)),
                rest,
                ..Event::new(kind)
            },
            sink,
        );
    }

    /// Opens a message with all that clients look for in one that is only begun.
    fn open_message(&mut self, ext: &Members, sink: &mut dyn Sink) -> u64 {
        let place = self.items;
        self.items += 1;
        self.open = Some(place);
        let id = ext.get(ITEM_ID).map(Json::raw).filter(|id| id.is_string());
        let begun = Json::object(|object| {
            let object = object.raw_if("id", id).text("type", "message");
            let object = object.text("status", Status::InProgress.name()).text("role", "assistant");
            object.raw("content", Raw::EMPTY_ARRAY)
        });
        let payload = Some(begun.raw());
        let added = Event { output_index: Some(place), payload, ..Event::new(Kind::ItemAdded) };
        self.mend.event(added, sink);
        place
    }

    /// A finished item, in the place where it was begun or in the next.
    fn item(&mut self, place: Option<u64>, item: &Json, sink: &mut dyn Sink) {
        let place = place.unwrap_or_else(|| {
            self.items += 1;
            self.items - 1
        });
        let payload = Some(item.raw());
        let done = Event { output_index: Some(place), payload, ..Event::new(Kind::ItemDone) };
        self.mend.event(done, sink);
    }

    /// What the agent did by itself.
    fn deed(&mut self, text: &str, sink: &mut dyn Sink) {
        self.item(None, &deed_item(text), sink);
    }

    /// A call that was answered is not for the client.
    fn own_call(&mut self, id: Option<&str>) {
        let is_it = |event: &AgentEvent| match &event.kind {
            AgentEventKind::ToolCall { tool_use_id, .. } => tool_use_id.as_deref() == id,
            _ => false,
        };
        self.calls.retain(|event| !is_it(event));
    }

    /// Gives the client the calls that are still to be answered.
    fn tell_calls(&mut self, sink: &mut dyn Sink) {
        for (number, event) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            let AgentEventKind::ToolCall { tool_name, tool_use_id, input, .. } = &event.kind else {
                continue;
            };
            if let Some(denied) = self.policy.denies(tool_name, input) {
                self.notes.add("policy_denied", denied.to_string());
                self.stopped = true;
                self.item(None, &message_item(&format!("Latimer stopped a call: {denied}.")), sink);
                continue;
            }
            let made = || format!("call_{}{number:02x}", self.id_stem);
            let id = tool_use_id.clone().unwrap_or_else(made);
            let offered = self.offered.find(tool_name);
            let item = item_of(&event.kind, &event.ext)
                .or_else(|| offered.map(|tool| call_item(tool, &id, input.raw())));
            match item {
                Some(item) => self.item(None, &item, sink),
                None => {
                    self.notes.add("tool_unknown", tool_name.as_str());
                    self.deed(&format!("`{tool_name}` {}", preview(input)), sink);
                }
            }
        }
    }

    fn receipt(&mut self, receipt: &Receipt, now: u64, sink: &mut dyn Sink) {
        self.begin(sink);
        if self.items == 0 && self.calls.is_empty() {
            receipt.trace.iter().for_each(|event| self.event(event.clone(), sink));
        }
        self.usage = receipt.usage.usage().or(self.usage);
        self.close(receipt.outcome, now, sink);
    }

    fn close(&mut self, outcome: Outcome, now: u64, sink: &mut dyn Sink) {
        if outcome == Outcome::Failed {
            let failure = self.error.take().unwrap_or_else(|| Failure {
                code: "server_error".to_owned(),
                message: "The backend says that the run failed, and not why.".to_owned(),
            });
            return self.fail(failure, sink);
        }
        if let Some(error) = self.error.take() {
            self.notes.add("error_passed_over", error.message);
        }
        self.open = None;
        self.tell_calls(sink);
        let (status, kind) = match outcome {
            Outcome::Partial if !self.stopped => (Status::Incomplete, Kind::Incomplete),
            _ => (Status::Completed, Kind::Completed),
        };
        let mut response = String::new();
        let snapshot = Snapshot {
            status,
            completed_at: Some(now),
            reason: (status == Status::Incomplete).then_some("max_output_tokens"),
            usage: self.usage.as_ref(),
            failure: None,
        };
        self.envelope.print(&mut response, "", &snapshot);
        let payload = Some(Raw::trusted(&response));
        self.mend.event(Event { payload, ..Event::new(kind) }, sink);
    }
}

/// How much of a value is shown, in characters.
const PREVIEW_CHARS: usize = 200;

/// The beginning of a value, for people.
fn preview(value: &Json) -> String {
    let raw = value.raw();
    let text = raw.text().unwrap_or_else(|| raw.as_str().into());
    let short: String = text.chars().take(PREVIEW_CHARS).collect();
    if short.len() == text.len() { short } else { short + "…" }
}
