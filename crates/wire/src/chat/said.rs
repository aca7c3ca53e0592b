//! What a hub stream says to a Chat client, told piece by piece: the one reading behind the chunks of
//! [`Lower`](super::Lower) and behind a whole completion, so that both say the same.

use super::client::{Reasoning, Shape};
use super::item::trailing_surrogate;
use super::stop::StopSequences;
use crate::json::{Object, Raw, push_unquoted};
use crate::note::Notes;
use crate::responses::{Event, Field, Kind, Role, Status};

/// A piece. Texts are insides of JSON literals.
pub(super) enum Said<'s> {
    /// The answer begins.
    Begin,
    Text {
        inner: &'s str,
        logprobs: Option<Raw<'s>>,
    },
    Refusal {
        inner: &'s str,
    },
    Reasoning {
        inner: &'s str,
    },
    /// A call begins; `custom`: in its own form.
    Call {
        index: u64,
        id: &'s str,
        name: &'s str,
        custom: bool,
    },
    Arguments {
        index: u64,
        inner: &'s str,
        custom: bool,
    },
    /// The log probabilities of a text that came without: the inside of an array.
    Logprobs {
        inner: &'s str,
    },
    /// All annotations, the inside of an array.
    Annotations {
        inner: &'s str,
    },
    /// The answer is over.
    Finish {
        reason: &'static str,
        usage: Raw<'s>,
    },
    Failed {
        error: Raw<'s>,
    },
}

/// Whoever is told.
pub(super) type Listener<'l> = dyn FnMut(Said<'_>) + 'l;

/// Reads a hub stream that keeps to the grammar.
#[derive(Debug, Default)]
pub(super) struct Teller {
    shape: Shape,
    stop: Option<StopSequences>,
    /// Half of a surrogate pair that waits for the other.
    half: String,
    begun: bool,
    ended: bool,
    /// Inside the tag that marks reasoning.
    thinking: bool,
    /// The calls in their order: a call's place here is its index in Chat.
    calls: Vec<Call>,
    annotations: String,
    /// How many characters the parts of text before this one have.
    chars: u64,
    /// Whether the open part has told log probabilities.
    weighed: bool,
    pub notes: Notes,
}

#[derive(Debug)]
struct Call {
    output_index: Option<u64>,
    /// It calls a freeform tool.
    freeform: bool,
    over: bool,
}

/// Hub status and reason as finish reason: what applies first, counts.
const FINISH: &[(&str, Option<&str>, &str)] =
    &[("incomplete", Some("content_filter"), "content_filter"), ("incomplete", None, "length")];

/// Items whose content is told.
const TOLD: &[&str] = &["message", "reasoning", "function_call", "custom_tool_call"];

impl Teller {
    pub fn new(shape: Shape, stop: Option<StopSequences>) -> Self {
        let stop = stop.filter(|stop| !stop.is_empty());
        Teller { shape, stop, ..Teller::default() }
    }

    /// Whether a stop sequence was met.
    pub fn stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(StopSequences::stopped)
    }

    pub fn push(&mut self, event: &Event<'_>, tell: &mut Listener<'_>) {
        let payload = event.payload.unwrap_or(Raw::NULL);
        if self.ended || event.role() == Role::Aside || event.role() == Role::Error {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            tell(Said::Begin);
        }
        match event.role() {
            Role::Terminal(Status::Failed) => {
                self.ended = true;
                tell(Said::Failed { error: payload.member("error").unwrap_or(Raw::NULL) });
            }
            Role::Terminal(_) => self.finish(payload, tell),
            _ if self.stopped() => {}
            Role::ItemAdded => self.item(event, payload, tell),
            Role::PartDone if event.kind == Kind::ContentPartDone => self.part_done(payload, tell),
            Role::Delta(field) => self.delta(event, field, payload, tell),
            Role::Done(Field::Input) => self.end_freeform(event.output_index, tell),
            _ => {}
        }
    }

    fn delta(
        &mut self,
        event: &Event<'_>,
        field: Field,
        payload: Raw<'_>,
        tell: &mut Listener<'_>,
    ) {
        let inner = payload.inner();
        match field {
            Field::OutputText => {
                let logprobs = event.rest.iter().find(|(key, _)| key == "logprobs");
                let logprobs = logprobs.map(|(_, list)| *list).filter(|list| !is_empty(*list));
                self.weighed |= logprobs.is_some();
                self.end_thinking(tell);
                self.text(inner, logprobs, tell);
            }
            Field::Refusal => {
                self.end_thinking(tell);
                tell(Said::Refusal { inner });
            }
            Field::SummaryText | Field::ReasoningText => self.reasoning(inner, tell),
            Field::Arguments if event.kind == Kind::ArgumentsDelta => {
                if let Some(index) = self.call(event.output_index) {
                    tell(Said::Arguments { index, inner, custom: false });
                }
            }
            Field::Input => self.input(event.output_index, inner, tell),
            _ => {}
        }
    }

    /// Text of the answer, up to a stop sequence.
    fn text(&mut self, inner: &str, logprobs: Option<Raw<'_>>, tell: &mut Listener<'_>) {
        let Some(stop) = &mut self.stop else {
            return tell(Said::Text { inner, logprobs });
        };
        let mut joined = std::mem::take(&mut self.half) + inner;
        self.half = joined.split_off(joined.len() - trailing_surrogate(&joined));
        let literal = format!("\"{joined}\"");
        let said = stop.push(&Raw::trusted(&literal).text().unwrap_or_default());
        self.say(&said, logprobs, tell);
    }

    fn say(&self, text: &str, logprobs: Option<Raw<'_>>, tell: &mut Listener<'_>) {
        if !text.is_empty() {
            let mut inner = String::new();
            push_unquoted(&mut inner, text);
            tell(Said::Text { inner: &inner, logprobs });
        }
    }

    fn reasoning(&mut self, inner: &str, tell: &mut Listener<'_>) {
        match self.shape.reasoning {
            Reasoning::Content => tell(Said::Reasoning { inner }),
            Reasoning::Off => {}
            Reasoning::Tagged => {
                if !std::mem::replace(&mut self.thinking, true) {
                    self.mark("<think>", tell);
                }
                self.count(inner);
                tell(Said::Text { inner, logprobs: None });
            }
        }
    }

    fn end_thinking(&mut self, tell: &mut Listener<'_>) {
        if std::mem::take(&mut self.thinking) {
            self.mark("</think>\\n\\n", tell);
        }
    }

    fn mark(&mut self, inner: &str, tell: &mut Listener<'_>) {
        self.count(inner);
        tell(Said::Text { inner, logprobs: None });
    }

    fn count(&mut self, inner: &str) {
        let literal = format!("\"{inner}\"");
        self.chars += Raw::trusted(&literal).text().unwrap_or_default().chars().count() as u64;
    }

    /// A call begins; items that are not the client's are left out.
    fn item(&mut self, event: &Event<'_>, item: Raw<'_>, tell: &mut Listener<'_>) {
        let kind = item.member_text("type").unwrap_or_default();
        if !TOLD.contains(&&*kind) {
            return self.notes.add("item_dropped", kind);
        }
        let freeform = kind == "custom_tool_call";
        if !freeform && kind != "function_call" {
            return;
        }
        self.end_thinking(tell);
        let index = self.calls.len() as u64;
        self.calls.push(Call { output_index: event.output_index, freeform, over: false });
        let word = |key| item.member(key).map(Raw::inner).unwrap_or_default();
        let custom = freeform && self.shape.custom_calls;
        if item.member("namespace").and_then(Raw::non_null).is_some() {
            self.notes.add("namespace_dropped", word("name"));
        }
        tell(Said::Call { index, id: word("call_id"), name: word("name"), custom });
        if freeform && !custom {
            tell(Said::Arguments { index, inner: "{\\\"input\\\":\\\"", custom });
        }
    }

    fn call(&self, output_index: Option<u64>) -> Option<u64> {
        let at = self.calls.iter().rposition(|call| call.output_index == output_index)?;
        Some(at as u64)
    }

    /// The text of a freeform call: as it is, or inside the arguments of a function.
    fn input(&mut self, output_index: Option<u64>, inner: &str, tell: &mut Listener<'_>) {
        let Some(index) = self.call(output_index) else { return };
        if self.shape.custom_calls {
            return tell(Said::Arguments { index, inner, custom: true });
        }
        let mut twice = String::new();
        push_unquoted(&mut twice, inner);
        tell(Said::Arguments { index, inner: &twice, custom: false });
    }

    fn end_freeform(&mut self, output_index: Option<u64>, tell: &mut Listener<'_>) {
        let custom = self.shape.custom_calls;
        let calls = (0..).zip(&mut self.calls);
        let open = |call: &Call| call.freeform && !call.over && !custom;
        for (index, call) in calls.filter(|(_, call)| call.output_index == output_index) {
            if open(call) {
                call.over = true;
                tell(Said::Arguments { index, inner: "\\\"}", custom });
            }
        }
    }

    /// Annotations and log probabilities stand in the finished part.
    fn part_done(&mut self, part: Raw<'_>, tell: &mut Listener<'_>) {
        let logprobs = part.member("logprobs").filter(|list| list.is_array() && !is_empty(*list));
        if let Some(list) = logprobs.filter(|_| !std::mem::take(&mut self.weighed)) {
            tell(Said::Logprobs { inner: inside(list) });
        }
        for annotation in part.member("annotations").map(Raw::elements).unwrap_or_default() {
            self.annotate(annotation);
        }
        let text = part.member("text").map(Raw::inner).unwrap_or_default();
        self.count(text);
    }

    /// An annotation one level deeper, its places counted from the beginning of all text.
    fn annotate(&mut self, annotation: Raw<'_>) {
        let kind = annotation.member_text("type").unwrap_or_default();
        if kind != "url_citation" {
            return self.notes.add("content_dropped", format!("annotation {kind}"));
        }
        if !self.annotations.is_empty() {
            self.annotations.push(',');
        }
        let before = self.chars;
        Object::new(&mut self.annotations)
            .text("type", &kind)
            .with("url_citation", |out| {
                let mut object = Object::new(out);
                for (key, value) in annotation.members() {
                    let place = value.count().filter(|_| key.ends_with("_index"));
                    object = match place {
                        _ if key == "type" => object,
                        Some(place) => {
                            let place = place.saturating_add(before).to_string();
                            object.member(&key, Raw::trusted(&place))
                        }
                        None => object.member(&key, value),
                    };
                }
                object.end();
            })
            .end();
    }

    fn finish(&mut self, response: Raw<'_>, tell: &mut Listener<'_>) {
        self.end(finish_reason(response, !self.calls.is_empty()), response, tell);
    }

    /// Says what was held back, and that the answer is over.
    pub fn end(&mut self, reason: &'static str, response: Raw<'_>, tell: &mut Listener<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.end_thinking(tell);
        let places: Vec<_> = self.calls.iter().map(|call| call.output_index).collect();
        places.into_iter().for_each(|place| self.end_freeform(place, tell));
        let held = self.stop.as_mut().map(StopSequences::end).unwrap_or_default();
        let half = if self.half.is_empty() { "" } else { "\u{fffd}" };
        let stopped = self.stopped();
        if !stopped {
            self.say(&(held + half), None, tell);
        }
        if !self.annotations.is_empty() {
            tell(Said::Annotations { inner: &self.annotations });
        }
        let reason = if stopped { "stop" } else { reason };
        tell(Said::Finish { reason, usage: response.member("usage").unwrap_or(Raw::NULL) });
    }
}

fn is_empty(list: Raw<'_>) -> bool {
    inside(list).is_empty()
}

/// What stands between the brackets of a list.
pub(super) fn inside(list: Raw<'_>) -> &str {
    let text = list.as_str();
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default().trim_ascii()
}

fn finish_reason(response: Raw<'_>, has_calls: bool) -> &'static str {
    let status = response.member_text("status").unwrap_or_default();
    let details = response.member("incomplete_details").unwrap_or(Raw::NULL);
    let reason = details.member_text("reason");
    let row = FINISH
        .iter()
        .find(|(name, why, _)| *name == status && (why.is_none() || *why == reason.as_deref()));
    match row {
        Some((.., finish)) => finish,
        None if has_calls => "tool_calls",
        None => "stop",
    }
}
