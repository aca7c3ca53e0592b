//! A Responses stream before the judge: its order by the grammar, its members by the tables, and what
//! it says against itself: deltas against texts, texts against items, items against the end.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::call::{Call, Calls};
use super::compare::difference;
use super::frames::{DONE, Framed, Frames};
use super::{Findings, Place, Rule, promise, quote, shape, text};
use crate::json::{Fields, Malformed, Raw};
use crate::responses::{Breach, Event, Field, Flavour, Grammar, Index, Kind, Role, State, Status};

/// Judges the frames of one stream.
pub(super) fn judge(
    frames: &Frames,
    flavour: Flavour,
    request: Option<&Fields<'_>>,
    findings: &mut Findings,
) {
    let mut stream = Stream {
        grammar: Grammar::default(),
        items: BTreeMap::new(),
        response_id: None,
        ended: false,
        errored: false,
        calls: Calls::of(request),
        request,
        flavour,
        findings,
    };
    let mut events = 0;
    let mut done = false;
    for (number, frame) in frames.list.iter().enumerate() {
        let place = Place { line: Some(frame.line), event: Some(number), what: String::new() };
        if frame.data == DONE {
            done = true;
            if flavour == Flavour::OpenAi {
                stream.findings.add(Rule::DoneMarker, "", &place, quote(DONE));
            }
            continue;
        }
        let data = flavour.hub_event(&frame.data);
        match read(frame, &data) {
            Err(error) => {
                let detail = format!("{error}: {}", quote(&frame.data));
                stream.findings.add(Rule::FrameNotJson, "", &place, detail);
            }
            Ok((kind, event)) => {
                let place = Place { what: event.name().to_owned(), ..place };
                stream.event(frame, kind.as_deref(), &event, &place, events == 0);
            }
        }
        events += 1;
    }
    if !done && stream.ended && flavour == Flavour::OpenResponses {
        let detail = "nothing follows the terminal event".to_owned();
        stream.findings.add(Rule::DoneMissing, "", &Place::default(), detail);
    }
    stream.end(frames);
}

/// The `type` in a frame, and its event; `data` is the frame's, with the hub's names.
fn read<'f>(
    frame: &'f Framed,
    data: &'f str,
) -> Result<(Option<Cow<'f, str>>, Event<'f>), Malformed> {
    let event = Event::parse(data, None)?;
    let is_known = event.kind != Kind::Other && data == frame.data;
    let known = is_known.then(|| Cow::Borrowed(event.kind.row().name));
    let kind = known.or_else(|| Raw::unchecked(&frame.data).member_text("type"));
    let named = frame.named.as_deref().filter(|name| kind.is_none() && !name.is_empty());
    Ok((kind, if named.is_some() { Event::parse(data, named)? } else { event }))
}

/// What was seen of one stream.
struct Stream<'s> {
    grammar: Grammar,
    items: BTreeMap<u64, Item>,
    response_id: Option<String>,
    ended: bool,
    errored: bool,
    calls: Calls,
    request: Option<&'s Fields<'s>>,
    flavour: Flavour,
    findings: &'s mut Findings,
}

/// What was seen of one item.
#[derive(Default)]
struct Item {
    id: Option<String>,
    /// The list and index of a part, or no list; the member that holds the text.
    texts: BTreeMap<(&'static str, u64, &'static str), Text>,
    /// The finished item.
    done: Option<String>,
}

#[derive(Default)]
struct Text {
    deltas: String,
    done: Option<String>,
}

impl Stream<'_> {
    fn event(
        &mut self,
        frame: &Framed,
        kind: Option<&str>,
        event: &Event<'_>,
        place: &Place,
        first: bool,
    ) {
        self.name(frame, kind, place);
        if event.kind == Kind::Other || kind.is_some_and(|kind| !self.flavour.has_event(kind)) {
            self.findings.add(Rule::UnknownEvent, event.name(), place, quote(event.name()));
        }
        self.order(event, place, first);
        self.members(event, place);
        self.response_id(event, place);
        match event.role() {
            Role::Error => {
                self.errored = true;
                if first {
                    let said = event.payload.and_then(Raw::text).unwrap_or_default();
                    self.findings.add(Rule::ErrorFirst, "", place, quote(&said));
                }
                // OpenAI's own streams have it in a member of that name, its SDKs' types flat.
                let nested = event.rest.iter().find(|(key, _)| key == "error");
                let message = nested.and_then(|(_, error)| error.member("message"));
                let flat = event.payload.filter(|_| self.flavour == Flavour::OpenAi);
                if message.or(flat).is_none_or(|message| !message.is_string()) {
                    let detail = format!("there is no `message` in {}", quote(&frame.data));
                    self.findings.add(Rule::ErrorShape, "", place, detail);
                }
            }
            Role::Terminal(status) if !self.ended => {
                self.ended = true;
                if let Some(response) = event.payload.filter(|response| response.is_object()) {
                    self.terminal(status, response, place);
                }
            }
            Role::ItemAdded => self.item_added(event, place),
            Role::ItemDone => self.item_done(event, place),
            Role::PartDone => self.part_done(event, place),
            Role::Delta(field) => self.delta(field, event),
            Role::Done(field) => self.text_done(field, event, place),
            _ => {}
        }
    }

    /// Whether the frame is named as its event is.
    fn name(&mut self, frame: &Framed, kind: Option<&str>, place: &Place) {
        let Some(named) = &frame.named else { return };
        let (subject, detail) = match (&**named, kind) {
            (_, None) => ("type", "the event has no `type`".to_owned()),
            ("", Some(kind)) => {
                ("line", format!("there is no `event:` line before {}", quote(kind)))
            }
            (named, Some(kind)) if named != kind => {
                (named, format!("`event:` says {}, `type` says {}", quote(named), quote(kind)))
            }
            _ => return,
        };
        self.findings.add(Rule::EventName, subject, place, detail);
    }

    fn order(&mut self, event: &Event<'_>, place: &Place, first: bool) {
        if first && event.sequence_number.is_none() {
            let detail = "the first event has none".to_owned();
            self.findings.add(Rule::SequenceMissing, "", place, detail);
        }
        if first && !matches!(event.role(), Role::Created | Role::Error) {
            let detail = format!("the first event is {}", quote(event.name()));
            self.findings.add(Rule::CreatedMissing, "", place, detail);
        }
        let Err(violation) = self.grammar.admit(event) else { return };
        let Some(rule) = broken(violation.reason, event.role()) else { return };
        if first && rule == Rule::ResponseOrder {
            return;
        }
        let item = event.output_index.map(|index| format!("output[{index}]")).unwrap_or_default();
        let detail = match item.as_str() {
            "" => violation.reason.to_string(),
            item => format!("`{item}`: {}", violation.reason),
        };
        self.findings.add(rule, &item, place, detail);
    }

    /// What the SDKs' types require of the event, and of what it holds.
    fn members(&mut self, event: &Event<'_>, place: &Place) {
        let row = event.kind.row();
        let mut lacks = |member: &str, kind: &str| {
            let subject = format!("{}.{member}", event.name());
            let detail = format!("`{member}` is missing, or is no {kind}");
            self.findings.add(Rule::EventMember, &subject, place, detail);
        };
        let wanted = match event.role() {
            Role::Created | Role::Queued | Role::InProgress | Role::Terminal(_) => "object",
            Role::ItemAdded | Role::ItemDone | Role::PartAdded | Role::PartDone => "object",
            Role::Delta(field) | Role::Done(field) if field != Field::Nested => "string",
            _ => "",
        };
        let inside = !matches!(wanted, "" | "object") || row.role == Role::Inside;
        let part = matches!(row.role, Role::PartAdded | Role::PartDone);
        if !wanted.is_empty() && event.payload.is_none_or(|payload| payload.kind() != wanted) {
            lacks(row.payload, wanted);
        }
        let of_item = matches!(row.role, Role::ItemAdded | Role::ItemDone);
        if (inside || part || of_item) && event.output_index.is_none() {
            lacks("output_index", "number");
        }
        // The events of shell commands have none in the SDKs' types.
        if (inside || part) && row.index != Index::Command && event.item_id.is_none() {
            lacks("item_id", "string");
        }
        if let Some(member) = row.index.member().filter(|_| event.part_index.is_none()) {
            lacks(member, "number");
        }
        if matches!(event.kind, Kind::OutputTextDelta | Kind::OutputTextDone) {
            let logprobs = event.rest.iter().find(|(key, _)| key == "logprobs");
            if logprobs.is_none_or(|(_, value)| !value.is_array()) {
                lacks("logprobs", "array");
            }
        }
        let Some(payload) = event.payload.filter(|payload| payload.is_object()) else { return };
        let item = event.output_index.unwrap_or_default();
        match row.payload {
            "response" => shape::response(&Fields::of(payload), self.flavour, place, self.findings),
            "item" => shape::item(payload, &format!("output[{item}]"), place, self.findings),
            "part" => shape::part(payload, &format!("output[{item}].part"), place, self.findings),
            _ => {}
        }
    }

    fn response_id(&mut self, event: &Event<'_>, place: &Place) {
        let response = event.payload.filter(|_| event.kind.row().payload == "response");
        let Some(id) = response.and_then(|response| response.member_text("id")) else { return };
        let known = self.response_id.get_or_insert_with(|| id.clone().into_owned());
        if *known != id {
            let detail = format!("{} was {}", quote(&id), quote(known));
            self.findings.add(Rule::ResponseIdChanged, "", place, detail);
        }
    }

    /// The item an event is about, its id compared.
    fn item(&mut self, index: u64, id: Option<Raw<'_>>, place: &Place) -> &mut Item {
        let item = self.items.entry(index).or_default();
        if let Some(id) = id.and_then(Raw::text) {
            let known = item.id.get_or_insert_with(|| id.clone().into_owned());
            if *known != id {
                let detail = format!("`output[{index}]`: {} was {}", quote(&id), quote(known));
                self.findings.add(Rule::ItemIdChanged, &index.to_string(), place, detail);
            }
        }
        item
    }

    fn item_added(&mut self, event: &Event<'_>, place: &Place) {
        let (Some(index), Some(item)) = (event.output_index, event.payload) else { return };
        self.items.insert(index, Item::default());
        self.item(index, item.member("id"), place);
    }

    fn text(&mut self, field: Field, event: &Event<'_>, place: &Place) -> Option<&mut Text> {
        let (index, member) = (event.output_index?, field.member()?);
        let list = event.kind.row().index.list().unwrap_or_default();
        let item = self.item(index, event.item_id, place);
        Some(item.texts.entry((list, event.part_index.unwrap_or_default(), member)).or_default())
    }

    fn delta(&mut self, field: Field, event: &Event<'_>) {
        let place = Place { what: event.name().to_owned(), ..Place::default() };
        let delta = event.payload.and_then(Raw::text).unwrap_or_default();
        if let Some(text) = self.text(field, event, &place) {
            text.deltas.push_str(&delta);
        }
    }

    fn text_done(&mut self, field: Field, event: &Event<'_>, place: &Place) {
        let Some(said) = event.payload.and_then(Raw::text) else { return };
        let Some(text) = self.text(field, event, place) else { return };
        let deltas = std::mem::take(&mut text.deltas);
        text.done = Some(said.clone().into_owned());
        let subject = format!("output[{}]", event.output_index.unwrap_or_default());
        if deltas.is_empty() && !said.is_empty() {
            let detail = format!("`{subject}`: {} came at once", quote(&said));
            self.findings.add(Rule::NoDeltas, &subject, place, detail);
        } else if deltas != said {
            let detail = format!("`{subject}`: {} is not {}", quote(&deltas), quote(&said));
            self.findings.add(Rule::DeltasDiffer, &subject, place, detail);
        }
        if field == Field::OutputText {
            text::think_tags(&said, place, self.findings);
        }
    }

    fn part_done(&mut self, event: &Event<'_>, place: &Place) {
        let (Some(index), Some(part)) = (event.output_index, event.payload) else { return };
        let list = event.kind.row().index.list().unwrap_or_default();
        let number = event.part_index.unwrap_or_default();
        let item = self.item(index, event.item_id, place);
        let differs = item.texts.iter().find_map(|((of, at, member), text)| {
            let said = text.done.as_deref().filter(|_| *of == list && *at == number)?;
            let held = part.member_text(member).unwrap_or_default();
            (held != said).then(|| format!("{} is not {}", quote(&held), quote(said)))
        });
        if let Some(differs) = differs {
            let detail = format!("`output[{index}].{list}[{number}]`: {differs}");
            self.findings.add(Rule::ItemDiffers, &index.to_string(), place, detail);
        }
    }

    fn item_done(&mut self, event: &Event<'_>, place: &Place) {
        let (Some(index), Some(json)) = (event.output_index, event.payload) else { return };
        let item = self.item(index, json.member("id"), place);
        item.done = Some(json.as_str().to_owned());
        let differs = item.texts.iter().find_map(|((list, at, member), text)| {
            let said = text.done.as_deref()?;
            let holder = match *list {
                "" => Some(json),
                list => {
                    json.member(list).and_then(|list| list.elements().get(*at as usize).copied())
                }
            };
            // Reasoning may be told and not kept.
            let held = holder.and_then(|holder| holder.member_text(member)).unwrap_or_default();
            (held != said).then(|| format!("{} is not {}", quote(&held), quote(said)))
        });
        if let Some(differs) = differs {
            let detail = format!("`output[{index}]`: {differs}");
            self.findings.add(Rule::ItemDiffers, &index.to_string(), place, detail);
        }
        call(json, &mut self.calls, place, self.findings);
        self.repeated(index, json, place);
    }

    /// A message that says what the message before it said.
    fn repeated(&mut self, index: u64, json: Raw<'_>, place: &Place) {
        let before = index.checked_sub(1).and_then(|before| self.items.get(&before));
        let Some(before) = before.and_then(|item| item.done.as_deref()).map(Raw::unchecked) else {
            return;
        };
        let is_message = |item: Raw<'_>| item.member_text("type").as_deref() == Some("message");
        let says = |item: Raw<'_>| {
            let part = item.member("content").and_then(Raw::first_element);
            part.and_then(|part| part.member_text("text").map(|text| text.into_owned()))
        };
        let said = says(json).filter(|said| !said.is_empty());
        if is_message(before) && is_message(json) && said.is_some() && says(before) == said {
            let detail = format!("`output[{index}]`: {}", quote(&said.unwrap_or_default()));
            self.findings.add(Rule::MessageRepeated, "", place, detail);
        }
    }

    fn terminal(&mut self, status: Status, response: Raw<'_>, place: &Place) {
        let response = Fields::of(response);
        finished(&response, Some(status), self.request, place, self.findings);
        let output = response.raw("output").map(Raw::elements).unwrap_or_default();
        let done: Vec<_> = self.items.values().filter_map(|item| item.done.as_deref()).collect();
        if output.is_empty() && !done.is_empty() {
            let detail = format!("{} items came, and none is in `output`", done.len());
            return self.findings.add(Rule::OutputMissing, "", place, detail);
        }
        // Of a response that broke off, clients keep what had come.
        if status != Status::Completed {
            return;
        }
        for (index, (json, held)) in done.iter().zip(&output).enumerate() {
            let id = held.member_text("id");
            if id.is_some() && Raw::unchecked(json).member_text("id") != id {
                let detail = format!("`output[{index}]` has another id than its item");
                self.findings.add(Rule::ItemIdChanged, &index.to_string(), place, detail);
            } else if let Some(path) =
                difference(Raw::unchecked(json), *held, &format!("output[{index}]"))
            {
                let detail = format!("`{path}` is not what `output_item.done` said");
                self.findings.add(Rule::OutputDiffers, &path, place, detail);
            }
        }
        if done.len() != output.len() && done.len() == self.items.len() {
            let detail = format!("{} items came, {} are in `output`", done.len(), output.len());
            self.findings.add(Rule::OutputDiffers, "", place, detail);
        }
    }

    fn end(self, frames: &Frames) {
        if self.ended || self.errored {
            return;
        }
        let last = frames.list.len().checked_sub(1);
        let place = Place {
            line: last.and_then(|last| frames.list.get(last)).map(|frame| frame.line),
            event: last,
            what: "the end".to_owned(),
        };
        let detail = "the stream just ends".to_owned();
        self.findings.add(Rule::NoTerminal, "", &place, detail);
    }
}

/// The rule that is broken by an event that comes where it must not; `None` where the tables of
/// members say it better.
fn broken(breach: Breach, role: Role) -> Option<Rule> {
    Some(match (breach, role) {
        (Breach::NoIndex | Breach::NoType, _) => return None,
        (Breach::Number, _) => Rule::SequenceOrder,
        (Breach::AfterEnd, _) => Rule::AfterTheEnd,
        (Breach::Stage, _) => Rule::ResponseOrder,
        (Breach::ItemOpen, _) => Rule::ItemOpenAtEnd,
        (Breach::NotAdded, _) => Rule::ItemNotAdded,
        (Breach::IndexOrder, _) => Rule::OutputIndexOrder,
        (Breach::PartOrder | Breach::PartNotOpen, _) => Rule::PartOrder,
        (Breach::Item(State::Part), Role::PartDone) => Rule::TextNotDone,
        (Breach::Item(State::Part | State::PartSaid), Role::ItemDone) => Rule::PartNotDone,
        (Breach::Item(State::Open | State::Saying), Role::ItemDone) => Rule::TextNotDone,
        (Breach::Item(State::Open), Role::Delta(field) | Role::Done(field))
            if field.part().is_some() =>
        {
            Rule::PartNotAdded
        }
        (Breach::Item(_), _) => Rule::ItemOrder,
    })
}

/// A call among the items.
pub(super) fn call(item: Raw<'_>, calls: &mut Calls, place: &Place, findings: &mut Findings) {
    let member = |name| item.member_text(name).unwrap_or_default();
    let function = match &*member("type") {
        "function_call" => true,
        "custom_tool_call" => false,
        _ => return,
    };
    let (id, name, arguments) = (member("call_id"), member("name"), member("arguments"));
    let namespace = item.member_text("namespace");
    let call = Call {
        id: &id,
        name: &name,
        namespace: namespace.as_deref(),
        arguments: function.then_some(&arguments),
        cut_off: item.member_text("status").is_some_and(|status| status == "incomplete"),
    };
    calls.judge(&call, place, findings);
}

/// A finished response: its status, why it ended, and its usage. `told` is what the stream says.
pub(super) fn finished(
    response: &Fields<'_>,
    told: Option<Status>,
    request: Option<&Fields<'_>>,
    place: &Place,
    findings: &mut Findings,
) {
    let status = response.text("status").unwrap_or_default();
    if let Some(told) = told.filter(|told| told.name() != status && !status.is_empty()) {
        let detail = format!("`response.{}` holds {}", told.name(), quote(&status));
        findings.add(Rule::StatusMismatch, "", place, detail);
    }
    let member = |object: &str, name: &str| response.raw(object)?.member_text(name);
    let why = match told.map(Status::name).unwrap_or(&status) {
        "incomplete" => member("incomplete_details", "reason").is_some(),
        "failed" => member("error", "code").is_some() && member("error", "message").is_some(),
        _ => true,
    };
    if !why {
        findings.add(Rule::ReasonMissing, "", place, format!("it is {}", quote(&status)));
    }
    if matches!(&*status, "completed" | "incomplete") {
        shape::usage(response, place, findings);
    }
    if status == "completed" {
        let (said, called) = said(response);
        promise::kept(request, &said, &called, place, findings);
    }
    promise::continued(request, response, place, findings);
    let limit = request.and_then(|request| request.raw("max_output_tokens")?.count());
    let made = response.raw("usage").and_then(|usage| usage.member("output_tokens")?.count());
    if status == "completed" && limit.is_some_and(|limit| made.is_some_and(|made| made >= limit)) {
        let detail = format!("{} tokens of {}", made.unwrap_or(0), limit.unwrap_or(0));
        findings.add(Rule::LimitAsCompleted, "", place, detail);
    }
}

/// The text of a response, and the names of the tools that it calls.
fn said(response: &Fields<'_>) -> (String, Vec<String>) {
    let (mut said, mut called) = (String::new(), Vec::new());
    for item in response.raw("output").map(Raw::elements).unwrap_or_default() {
        match item.member_text("type").as_deref() {
            Some("message") => {
                let parts = item.member("content").map(Raw::elements).unwrap_or_default();
                parts.iter().filter_map(|part| part.member_text("text")).for_each(|text| {
                    said.push_str(&text);
                });
            }
            Some("function_call" | "custom_tool_call") => {
                called.extend(item.member_text("name").map(|name| name.into_owned()));
            }
            _ => {}
        }
    }
    (said, called)
}
