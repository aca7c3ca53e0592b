//! Hub events as what an agent says, and at the end its receipt. In: events that keep to the grammar;
//! a stream from elsewhere goes through [`Mend`](crate::responses::Mend) first. Out: agent events, one
//! or none for each.
//!
//! | the hub's | the agent's |
//! |---|---|
//! | `response.created` | `run_started` |
//! | a delta of text | `assistant_delta` |
//! | a finished call | `tool_call` |
//! | any other finished item | `assistant_message`, the item in its `ext` |
//! | the end | `error` where it failed, `run_completed`; the receipt |
//!
//! The receipt's trace has all of them but the deltas, whose text the message says again.

use super::capability::{Capability, CapabilityManifest};
use super::contract::{Json, Members};
use super::event::{AgentEvent, AgentEventKind};
use super::order::PolicyProfile;
use super::policy::Denied;
use super::receipt::{
    BackendIdentity, CONTRACT_VERSION, Outcome, Receipt, RunMetadata, UsageNormalized,
};
use super::time::Time;
use super::told::{ITEM_ID, REFUSAL, event_of};
use crate::json::Raw;
use crate::note::Notes;
use crate::responses::{Event, Failure, Field, Role, Status, Usage};

/// What a run says of itself that no event knows. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct RunHead {
    /// The run's id, a UUID.
    pub run_id: String,
    /// The id of its work order.
    pub work_order_id: String,
    /// Who does the work.
    pub backend: BackendIdentity,
    /// What they are able to do.
    pub capabilities: CapabilityManifest,
    /// What was asked for and is only emulated.
    pub emulated: Vec<Capability>,
    /// What is allowed.
    pub policy: PolicyProfile,
    /// When the run began.
    pub started_at_ms: u64,
}

/// Whoever is told what an agent says.
pub type Listener<'l> = dyn FnMut(&AgentEvent) + 'l;

/// Turns the events of one response into those of an agent.
#[derive(Debug)]
pub struct Lower {
    head: RunHead,
    trace: Vec<AgentEvent>,
    begun: bool,
    /// Deltas of a message came, and not yet its end.
    speaking: bool,
    stopped: bool,
    ended: Option<Status>,
    usage: Option<Usage>,
    usage_raw: Json,
}

impl Lower {
    /// For the run that `head` tells of.
    pub fn new(head: RunHead) -> Self {
        Lower {
            head,
            trace: Vec::new(),
            begun: false,
            speaking: false,
            stopped: false,
            ended: None,
            usage: None,
            usage_raw: Json::default(),
        }
    }

    /// How the response ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// What it used.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Says notes of a translation as warnings: what was lost on the way to the model.
    pub fn warn(&mut self, notes: &Notes, now_ms: u64, tell: &mut Listener<'_>) {
        self.begin(now_ms, tell);
        for note in notes.list() {
            let message = format!("{}: {}", note.code, note.detail);
            let kind = AgentEventKind::Warning { message };
            self.say(AgentEvent::new(Time::of_unix_ms(now_ms), kind), tell);
        }
    }

    /// Takes one event. `now_ms` is milliseconds since 1970.
    pub fn push(&mut self, event: &Event<'_>, now_ms: u64, tell: &mut Listener<'_>) {
        let payload = event.payload.unwrap_or(Raw::NULL);
        if self.ended.is_some() {
            return;
        }
        self.begin(now_ms, tell);
        let ts = Time::of_unix_ms(now_ms);
        match event.role() {
            Role::Delta(field @ (Field::OutputText | Field::Refusal)) => {
                let text = payload.text().unwrap_or_default().into_owned();
                let mut delta = AgentEvent::new(ts, AgentEventKind::AssistantDelta { text });
                let id = event.item_id.filter(|_| !std::mem::replace(&mut self.speaking, true));
                delta.ext.extend(id.map(|id| (ITEM_ID.to_owned(), id.into())));
                let is_refusal = (field == Field::Refusal).then_some(Raw::trusted("true"));
                delta.ext.extend(is_refusal.map(|yes| (REFUSAL.to_owned(), yes.into())));
                tell(&delta);
            }
            Role::ItemDone => {
                self.speaking = false;
                self.item(payload, ts, tell);
            }
            Role::Terminal(status) => self.terminal(status, payload, ts, tell),
            _ => {}
        }
    }

    fn begin(&mut self, now_ms: u64, tell: &mut Listener<'_>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let ts = Time::of_unix_ms(now_ms);
        let message = format!("run {} began", self.head.run_id);
        self.say(AgentEvent::new(ts.clone(), AgentEventKind::RunStarted { message }), tell);
        for capability in std::mem::take(&mut self.head.emulated) {
            let message = format!("`{}` is emulated", capability.name());
            let mut event = AgentEvent::new(ts.clone(), AgentEventKind::Warning { message });
            event.ext.insert("emulated".to_owned(), Json::string(capability.name()));
            self.say(event, tell);
        }
    }

    fn item(&mut self, item: Raw<'_>, ts: Time, tell: &mut Listener<'_>) {
        let (kind, ext) = event_of(item);
        if let AgentEventKind::ToolCall { tool_name, input, .. } = &kind
            && let Some(denied) = self.head.policy.denies(tool_name, input)
        {
            self.stopped = true;
            return self.say(denied_event(&denied, ts), tell);
        }
        self.say(AgentEvent { ext, ..AgentEvent::new(ts, kind) }, tell);
    }

    fn terminal(&mut self, status: Status, response: Raw<'_>, ts: Time, tell: &mut Listener<'_>) {
        self.ended = Some(status);
        let usage = response.member("usage").and_then(Raw::non_null);
        self.usage = usage.map(Usage::read);
        self.usage_raw = usage.map(Json::from).unwrap_or_default();
        if status == Status::Failed {
            let failure = Failure::of(response.member("error").unwrap_or(Raw::NULL));
            let kind =
                AgentEventKind::Error { message: failure.message, error_code: Some(failure.code) };
            self.say(AgentEvent::new(ts.clone(), kind), tell);
        }
        let message =
            match response.member("incomplete_details").and_then(|d| d.member_text("reason")) {
                Some(reason) => format!("{}: {reason}", status.name()),
                None => status.name().to_owned(),
            };
        self.say(AgentEvent::new(ts, AgentEventKind::RunCompleted { message }), tell);
    }

    fn say(&mut self, event: AgentEvent, tell: &mut Listener<'_>) {
        tell(&event);
        self.trace.push(event);
    }

    /// The receipt of the run as far as it went; one that has not ended has failed. `now_ms` is
    /// milliseconds since 1970. A run of which a call was stopped is partial.
    pub fn receipt(&self, now_ms: u64) -> Receipt {
        let head = &self.head;
        let outcome = match self.ended.map_or(Outcome::Failed, Outcome::from) {
            Outcome::Complete if self.stopped => Outcome::Partial,
            outcome => outcome,
        };
        Receipt {
            meta: RunMetadata {
                run_id: head.run_id.clone(),
                work_order_id: head.work_order_id.clone(),
                contract_version: CONTRACT_VERSION.to_owned(),
                started_at: Time::of_unix_ms(head.started_at_ms),
                finished_at: Time::of_unix_ms(now_ms),
                duration_ms: now_ms.saturating_sub(head.started_at_ms),
                rest: Members::new(),
            },
            backend: head.backend.clone(),
            capabilities: head.capabilities.clone(),
            usage_raw: self.usage_raw.clone(),
            usage: self.usage.map(UsageNormalized::from).unwrap_or_default(),
            trace: self.trace.clone(),
            outcome,
            ..Receipt::default()
        }
    }
}

/// What is said of a call that was stopped.
fn denied_event(denied: &Denied, ts: Time) -> AgentEvent {
    let mut event = AgentEvent::new(ts, AgentEventKind::Warning { message: denied.to_string() });
    let said = Json::object(|object| {
        object.text("tool", &denied.tool).text("rule", denied.rule).text("found", &denied.found)
    });
    event.ext.insert("policy_denied".to_owned(), said);
    event
}
