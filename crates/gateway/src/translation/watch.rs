//! Watching a stream that is passed on: whether it came to its end, and what it used.

use latimer_wire::chat::Lift;
use latimer_wire::json::{Object, Raw};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Event, Failure, Fold, Kind, Request, Role, Status, Usage};
use latimer_wire::sse;

/// What is known of a stream that passes by.
pub(crate) enum Watch {
    /// A Responses stream.
    Hub(Box<HubWatch>),
    /// A Chat Completions stream.
    Chat(Box<Lift>),
    /// Something of which only the end of the body is known.
    Nothing,
}

/// What is known of a Responses stream.
#[derive(Default)]
pub(crate) struct HubWatch {
    fold: Fold,
    next_sequence: u64,
    usage: Option<Usage>,
    notes: Notes,
}

impl Watch {
    /// For a Responses stream.
    pub fn hub() -> Self {
        Watch::Hub(Box::default())
    }

    /// For a Chat Completions stream.
    pub fn chat() -> Self {
        Watch::Chat(Box::new(Lift::new(Envelope::new(&Request::default(), "", 0), "")))
    }

    /// Takes the data and name of one event.
    pub fn see(&mut self, data: &str, name: Option<&str>) {
        match self {
            Watch::Hub(hub) => hub.see(data, name),
            Watch::Chat(lift) => lift.push(data, 0, &mut |_: &Event<'_>| {}),
            Watch::Nothing => {}
        }
    }

    /// How the answer ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        match self {
            Watch::Hub(hub) => hub.fold.ended(),
            Watch::Chat(lift) => lift.ended(),
            Watch::Nothing => None,
        }
    }

    /// The body ended: a stream whose end is not told by an event has come to it.
    pub fn body_ended(&mut self) -> bool {
        if let Watch::Chat(lift) = self {
            // Some backends leave out `[DONE]`.
            lift.end(0, &mut |_: &Event<'_>| {});
            return lift.ended() != Some(Status::Failed);
        }
        matches!(self, Watch::Nothing) || self.ended().is_some()
    }

    pub fn usage(&self) -> Option<Usage> {
        match self {
            Watch::Hub(hub) => hub.usage,
            Watch::Chat(lift) => lift.usage(),
            Watch::Nothing => None,
        }
    }

    pub fn notes(&self) -> Notes {
        match self {
            Watch::Hub(hub) => hub.notes.clone(),
            Watch::Chat(_) | Watch::Nothing => Notes::default(),
        }
    }

    /// The frames that end the stream as failed, in its own dialect; none where it has no such form.
    pub fn fail(&mut self, failure: Failure) -> Option<String> {
        match self {
            Watch::Hub(hub) => Some(hub.fail(failure)),
            Watch::Chat(lift) => {
                let mut data = String::new();
                Object::new(&mut data).with("error", |out| failure.print(out)).end();
                lift.fail(failure, &mut |_: &Event<'_>| {});
                let mut frames = String::new();
                sse::encode(&mut frames, None, &data);
                Some(frames)
            }
            Watch::Nothing => None,
        }
    }
}

impl HubWatch {
    fn see(&mut self, data: &str, name: Option<&str>) {
        let event = match Event::parse(data, name) {
            Ok(event) => event,
            Err(_) if data == "[DONE]" => return,
            Err(error) => return self.notes.add("event_unreadable", error.to_string()),
        };
        let number = event.sequence_number.unwrap_or(self.next_sequence);
        self.next_sequence = number.saturating_add(1);
        if let Role::Terminal(_) = event.role() {
            let usage = event.payload.and_then(|response| response.member("usage"));
            self.usage = usage.and_then(Raw::non_null).map(Usage::read);
        }
        self.fold.push(&event);
    }

    fn fail(&mut self, failure: Failure) -> String {
        let response = std::mem::take(&mut self.fold).fail(failure);
        let mut out = String::new();
        let event = Event {
            sequence_number: Some(self.next_sequence),
            payload: Some(response.json()),
            ..Event::new(Kind::Failed)
        };
        event.print_frame(&mut out);
        self.fold.push(&event);
        out
    }
}
