//! Events of ours on their way out: as frames, held against the grammar, the last one held back where it
//! has to wait until the answer is stored.

use bytes::Bytes;
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Grammar, Kind, Role, Sink};

use super::Hop;
use crate::state::{Kept, refused, unstored};

/// Writes events as frames and holds them against the grammar.
#[derive(Default)]
pub(super) struct Writer {
    pub out: String,
    grammar: Grammar,
    pub notes: Notes,
    pub hop: Hop,
    /// Whether the last event waits, and the event.
    pub holding: bool,
    held: Option<Held>,
}

/// The last event of an answer.
struct Held {
    kind: Kind,
    sequence_number: Option<u64>,
    response: String,
}

impl Sink for Writer {
    fn event(&mut self, event: &Event<'_>) {
        if let Err(violation) = self.grammar.admit(event) {
            self.notes.add("grammar_violation", violation.to_string());
        }
        let Some(response) = event.payload.filter(|_| self.is_rewritten(event)) else {
            return event.print_frame(&mut self.out);
        };
        let response = match event.kind {
            Kind::Failed => self.hop.named(response.as_str()),
            _ => response.as_str().to_owned(),
        };
        let held = Held { kind: event.kind, sequence_number: event.sequence_number, response };
        match self.holding {
            true => self.held = Some(held),
            false => held.print(&mut self.out),
        }
    }
}

impl Writer {
    /// For events that come from this backend.
    pub fn new(hop: Hop) -> Self {
        Writer { hop, ..Writer::default() }
    }

    /// What was written since it was last asked.
    pub fn written(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }

    /// The response of the last event, where that is held back.
    pub fn held(&self) -> Option<String> {
        self.held.as_ref().map(|held| held.response.clone())
    }

    /// Writes the event that was held back.
    pub fn release(&mut self, kept: Kept) -> Bytes {
        let Some(mut held) = self.held.take() else { return Bytes::new() };
        match kept {
            Kept::Stored => {}
            Kept::Lost => held.response = unstored(&held.response),
            Kept::Refused => {
                held.kind = Kind::Failed;
                held.response = refused(&held.response);
            }
        }
        held.print(&mut self.out);
        self.written()
    }

    fn is_rewritten(&self, event: &Event<'_>) -> bool {
        let is_last = matches!(event.role(), Role::Terminal(_));
        event.kind == Kind::Failed || (self.holding && is_last)
    }
}

impl Held {
    fn print(&self, out: &mut String) {
        let payload = Some(Raw::unchecked(&self.response));
        let sequence_number = self.sequence_number;
        Event { sequence_number, payload, ..Event::new(self.kind) }.print_frame(out);
    }
}
