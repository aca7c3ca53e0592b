//! The legal order of a stream, written once, as data: [`RULES`] for what happens inside an item,
//! [`LIFECYCLE`] for the response around the items. [`Grammar`] walks both. The gateway holds what
//! it emits against it; the same table judges the streams of others.
//!
//! Source: the SDKs' accumulators and the ordering rules of the Open Responses specification.

use std::collections::BTreeMap;

use super::event::Event;
use super::kind::{Field, Index, Role, Status};

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Open, with no part open.
    Open,
    /// A part is open and its text may grow.
    Part,
    /// The text of the open part is finished.
    PartSaid,
    /// A text that needs no part is growing.
    Saying,
    /// The item's own text is finished.
    Said,
    /// Finished.
    Done,
}

/// One legal step inside an item.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The item types it holds for; none named: for all that no other rule for the same role names.
    pub items: &'static [&'static str],
    /// The step.
    pub on: Role,
    /// Where the item must stand.
    pub from: &'static [State],
    /// Where it stands afterwards; `None`: unchanged.
    pub to: Option<State>,
}

const fn rule(
    items: &'static [&'static str],
    on: Role,
    from: &'static [State],
    to: Option<State>,
) -> Rule {
    Rule { items, on, from, to }
}

const MESSAGE: &[&str] = &["message"];
const REASONING: &[&str] = &["reasoning"];
const PARTED: &[&str] = &["message", "reasoning"];
const CALLS: &[&str] = &["function_call", "mcp_call"];
const CUSTOM: &[&str] = &["custom_tool_call"];
const TYPED: &[&str] = &["function_call", "mcp_call", "custom_tool_call"];

use State::{Open, Part, PartSaid, Said, Saying};

/// What may happen inside an item.
pub const RULES: &[Rule] = &[
    rule(PARTED, Role::PartAdded, &[Open], Some(Part)),
    rule(MESSAGE, Role::Delta(Field::OutputText), &[Part], Some(Part)),
    rule(MESSAGE, Role::Done(Field::OutputText), &[Part], Some(PartSaid)),
    rule(MESSAGE, Role::Delta(Field::Refusal), &[Part], Some(Part)),
    rule(MESSAGE, Role::Done(Field::Refusal), &[Part], Some(PartSaid)),
    rule(REASONING, Role::Delta(Field::SummaryText), &[Part], Some(Part)),
    rule(REASONING, Role::Done(Field::SummaryText), &[Part], Some(PartSaid)),
    rule(REASONING, Role::Delta(Field::ReasoningText), &[Part], Some(Part)),
    rule(REASONING, Role::Done(Field::ReasoningText), &[Part], Some(PartSaid)),
    rule(REASONING, Role::Delta(Field::ReasoningText), &[Open, Saying], Some(Saying)),
    rule(REASONING, Role::Done(Field::ReasoningText), &[Open, Saying], Some(Open)),
    rule(PARTED, Role::PartDone, &[PartSaid], Some(Open)),
    rule(PARTED, Role::ItemDone, &[Open], Some(State::Done)),
    rule(CALLS, Role::Delta(Field::Arguments), &[Open], Some(Open)),
    rule(CALLS, Role::Done(Field::Arguments), &[Open], Some(Said)),
    rule(CUSTOM, Role::Delta(Field::Input), &[Open], Some(Open)),
    rule(CUSTOM, Role::Done(Field::Input), &[Open], Some(Said)),
    rule(TYPED, Role::ItemDone, &[Said], Some(State::Done)),
    rule(&[], Role::ItemDone, &[Open], Some(State::Done)),
    rule(&[], Role::Delta(Field::Code), &[Open], Some(Open)),
    rule(&[], Role::Done(Field::Code), &[Open], Some(Open)),
    rule(&[], Role::Delta(Field::Nested), &[Open], Some(Open)),
    rule(&[], Role::Done(Field::Nested), &[Open], Some(Open)),
    rule(&[], Role::Inside, &[Open, Part, PartSaid, Said], None),
];

/// Where the response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    Created,
    Queued,
    Running,
    Errored,
    Ended,
}

/// The steps of the response itself: what happens, where it must stand, where it stands then.
const LIFECYCLE: &[(Role, &[Stage], Stage)] = &[
    (Role::Created, &[Stage::Nothing], Stage::Created),
    (Role::Queued, &[Stage::Nothing, Stage::Created], Stage::Queued),
    (Role::InProgress, &[Stage::Created, Stage::Queued], Stage::Running),
    (Role::ItemAdded, &[Stage::Created, Stage::Queued, Stage::Running], Stage::Running),
    (Role::Error, &[Stage::Nothing, Stage::Created, Stage::Queued, Stage::Running], Stage::Errored),
    (Role::Terminal(Status::Completed), &[Stage::Created, Stage::Running], Stage::Ended),
    (Role::Terminal(Status::Incomplete), &[Stage::Created, Stage::Running], Stage::Ended),
    (
        Role::Terminal(Status::Failed),
        &[Stage::Created, Stage::Queued, Stage::Running, Stage::Errored],
        Stage::Ended,
    ),
];

/// What an event breaks by coming where it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// Numbers go from 0, one by one, on every event or on none.
    #[error("its sequence number is not the next one")]
    Number,
    /// A terminal event came before.
    #[error("the stream had ended")]
    AfterEnd,
    /// An event of the response itself came out of order.
    #[error("the response is not at a stage where it may come")]
    Stage,
    /// A response is completed when its items are.
    #[error("an item is still open")]
    ItemOpen,
    /// Events inside items say which item.
    #[error("it has no output index")]
    NoIndex,
    /// Items are added before anything happens inside them.
    #[error("no item was added at its output index")]
    NotAdded,
    /// What may happen inside an item depends on its type.
    #[error("its item has no type")]
    NoType,
    /// Items are numbered from 0, without gaps.
    #[error("its output index is not the next one")]
    IndexOrder,
    /// Parts are numbered from 0, without gaps.
    #[error("its part index is not the next one")]
    PartOrder,
    /// One part of an item is open at a time.
    #[error("its part is not the open one")]
    PartNotOpen,
    /// The item stood where the step is not legal.
    #[error("its item is not at a stage where it may come")]
    Item(State),
}

/// An event that came where it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {position}, `{event}`: {reason}")]
pub struct Violation {
    /// The `type` of the event.
    pub event: String,
    /// How many events came before it.
    pub position: u64,
    /// What it breaks.
    pub reason: Breach,
}

/// Walks one stream and says which event breaks the order.
#[derive(Debug)]
pub struct Grammar {
    stage: Stage,
    position: u64,
    numbered: bool,
    next_number: u64,
    items: BTreeMap<u64, Item>,
}

#[derive(Debug)]
struct Item {
    kind: String,
    state: State,
    /// How many parts were opened: of `content`, of `summary`.
    parts: [u64; 2],
}

impl Default for Grammar {
    fn default() -> Self {
        Grammar {
            stage: Stage::Nothing,
            position: 0,
            numbered: true,
            next_number: 0,
            items: BTreeMap::new(),
        }
    }
}

impl Grammar {
    /// Whether `event` may come next. After a violation the walk goes on as well as it can.
    ///
    /// # Errors
    /// [`Violation`] names the event and what it breaks.
    pub fn admit(&mut self, event: &Event<'_>) -> Result<(), Violation> {
        let numbered = self.numbering(event);
        let response = self.response(event);
        let verdict = response.and(self.item(event)).and(numbered);
        self.position += 1;
        verdict.map_err(|reason| Violation {
            event: event.name().to_owned(),
            position: self.position - 1,
            reason,
        })
    }

    /// Numbers go from 0, one by one, on every event or on none.
    fn numbering(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        if self.position == 0 {
            self.numbered = event.sequence_number.is_some();
        }
        let expected = self.numbered.then_some(self.next_number);
        self.next_number = event.sequence_number.unwrap_or(self.next_number).saturating_add(1);
        match event.sequence_number == expected {
            true => Ok(()),
            false => Err(Breach::Number),
        }
    }

    fn response(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        let role = event.role();
        if self.stage == Stage::Ended {
            return Err(Breach::AfterEnd);
        }
        let Some((_, from, to)) = LIFECYCLE.iter().find(|(on, ..)| *on == role) else {
            return Ok(());
        };
        let legal = from.contains(&self.stage);
        self.stage = *to;
        if !legal {
            return Err(Breach::Stage);
        }
        if role == Role::Terminal(Status::Completed)
            && self.items.values().any(|item| item.state != State::Done)
        {
            return Err(Breach::ItemOpen);
        }
        Ok(())
    }

    fn item(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        let role = event.role();
        match role {
            Role::ItemAdded => return self.add(event),
            Role::PartAdded | Role::PartDone | Role::Delta(_) | Role::Done(_) => {}
            Role::ItemDone | Role::Inside => {}
            _ => return Ok(()),
        }
        let index = event.output_index.ok_or(Breach::NoIndex)?;
        let item = self.items.get_mut(&index).ok_or(Breach::NotAdded)?;
        let part = item.part(event);
        let mut rules = RULES.iter().filter(|rule| rule.on == role && rule.holds_for(&item.kind));
        let legal = rules.clone().find(|rule| rule.from.contains(&item.state));
        // After an illegal step the item stands where the step leads, so that one fault is one.
        let to = legal.or(rules.next()).and_then(|rule| rule.to);
        let from = item.state;
        item.state = match to {
            Some(State::Part) if role == Role::PartAdded && !has_text(event) => State::PartSaid,
            to => to.unwrap_or(item.state),
        };
        if legal.is_none() {
            item.count_part(event);
        }
        part.and(legal.map(|_| ()).ok_or(Breach::Item(from)))
    }

    fn add(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        let index = event.output_index.ok_or(Breach::NoIndex)?;
        let kind = event.payload.and_then(|item| item.member_text("type"));
        let item = Item {
            kind: kind.ok_or(Breach::NoType)?.into_owned(),
            state: State::Open,
            parts: [0; 2],
        };
        let next = self.items.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        self.items.insert(index, item);
        if index == next { Ok(()) } else { Err(Breach::IndexOrder) }
    }
}

impl Item {
    /// How many parts were opened in the list that an event counts by.
    fn opened(&mut self, event: &Event<'_>) -> Option<&mut u64> {
        let [content, summary] = &mut self.parts;
        match event.kind.row().index {
            Index::Content => Some(content),
            Index::Summary => Some(summary),
            Index::None | Index::Command => None,
        }
    }

    /// Parts come one after the other, numbered from 0 in each list.
    fn part(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        let state = self.state;
        let Some(opened) = self.opened(event) else { return Ok(()) };
        let index = event.part_index.unwrap_or_default();
        match event.role() {
            Role::PartAdded if index == *opened => *opened += 1,
            Role::PartAdded => {
                *opened = index.saturating_add(1);
                return Err(Breach::PartOrder);
            }
            _ if matches!(state, State::Open | State::Saying) => {}
            _ if opened.checked_sub(1) == Some(index) => {}
            _ => return Err(Breach::PartNotOpen),
        }
        Ok(())
    }

    /// Counts a part that nobody added, so that this fault is one.
    fn count_part(&mut self, event: &Event<'_>) {
        let index = event.part_index.unwrap_or_default();
        if let Some(opened) = self.opened(event) {
            *opened = index.saturating_add(1).max(*opened);
        }
    }
}

/// Whether the part that opens is of a type whose text comes in deltas. One that is not known may
/// close without.
fn has_text(event: &Event<'_>) -> bool {
    let kind = event.payload.and_then(|part| part.member_text("type"));
    kind.is_none_or(|kind| Field::of_part(&kind).is_some())
}

impl Rule {
    fn holds_for(&self, kind: &str) -> bool {
        match self.items {
            [] => !RULES.iter().any(|rule| rule.on == self.on && rule.items.contains(&kind)),
            items => items.contains(&kind),
        }
    }
}
