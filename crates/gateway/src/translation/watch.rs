//! Watching a stream that is passed on: whether it came to its end, and what it used. What passes is
//! looked at, not checked: its bytes are the backend's.

use latimer_wire::json::{Object, Raw};
use latimer_wire::responses::{Event, Failure, Fold, Kind, Role, Status, Usage};
use latimer_wire::sse;

/// What is known of a stream that passes by.
pub(crate) enum Watch {
    /// A Responses stream.
    Hub(HubWatch),
    /// A Chat Completions stream.
    Chat(ChatWatch),
    /// Something of which only the end of the body is known.
    Nothing,
}

/// What is known of a Responses stream.
#[derive(Default)]
pub(crate) struct HubWatch {
    /// The data of the first event: the response as it began.
    begun: String,
    /// The data of an `error` event, after which `response.failed` or the end comes.
    error: String,
    events: u64,
    ended: Option<Status>,
    usage: Option<Usage>,
}

/// What is known of a Chat Completions stream.
#[derive(Default)]
pub(crate) struct ChatWatch {
    /// How the answer stands, from its finish reason on.
    finish: Option<Status>,
    ended: Option<Status>,
    usage: Option<Usage>,
}

/// Finish reasons of an answer that was cut short.
const CUT_SHORT: &[&str] = &["length", "model_length", "content_filter"];

impl Watch {
    /// For a Responses stream.
    pub fn hub() -> Self {
        Watch::Hub(HubWatch::default())
    }

    /// For a Chat Completions stream.
    pub fn chat() -> Self {
        Watch::Chat(ChatWatch::default())
    }

    /// Takes the data and name of one event.
    pub fn see(&mut self, data: &str, name: Option<&str>) {
        match self {
            Watch::Hub(hub) => hub.see(data, name),
            Watch::Chat(chat) => chat.see(data),
            Watch::Nothing => {}
        }
    }

    /// How the answer ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        match self {
            Watch::Hub(hub) => hub.ended,
            Watch::Chat(chat) => chat.ended,
            Watch::Nothing => None,
        }
    }

    /// Whether an error was said, and the end has not come.
    pub fn is_failing(&self) -> bool {
        matches!(self, Watch::Hub(hub) if hub.ended.is_none() && !hub.error.is_empty())
    }

    /// The body ended: whether a stream whose end was not told by an event has come to it.
    pub fn body_ended(&mut self) -> bool {
        match self {
            Watch::Hub(hub) => hub.ended.is_some(),
            Watch::Chat(chat) => {
                // Some backends leave out `[DONE]`.
                chat.ended = chat.ended.or(chat.finish);
                chat.ended.is_some()
            }
            Watch::Nothing => true,
        }
    }

    pub fn usage(&self) -> Option<Usage> {
        match self {
            Watch::Hub(hub) => hub.usage,
            Watch::Chat(chat) => chat.usage,
            Watch::Nothing => None,
        }
    }

    /// The frames that end the stream as failed, in its own dialect; none where it has no such form.
    pub fn fail(&mut self, failure: &Failure) -> Option<String> {
        match self {
            Watch::Hub(hub) => Some(hub.fail(failure)),
            Watch::Chat(chat) => {
                chat.ended = Some(Status::Failed);
                let (mut data, mut frames) = (String::new(), String::new());
                Object::new(&mut data).with("error", |out| failure.print(out)).end();
                sse::encode(&mut frames, None, &data);
                Some(frames)
            }
            Watch::Nothing => None,
        }
    }
}

impl HubWatch {
    fn see(&mut self, data: &str, name: Option<&str>) {
        if data == "[DONE]" || self.ended.is_some() {
            return;
        }
        if self.events == 0 {
            data.clone_into(&mut self.begun);
        }
        self.events += 1;
        let status = match Kind::of_data(data, name).row().role {
            Role::Terminal(status) => status,
            Role::Error => return data.clone_into(&mut self.error),
            _ => return,
        };
        self.ended = Some(status);
        let response = Raw::unchecked(data).member("response");
        let usage = response.and_then(|response| response.member("usage"));
        self.usage = usage.and_then(Raw::non_null).map(Usage::read);
    }

    fn fail(&mut self, failure: &Failure) -> String {
        let mut fold = Fold::default();
        let mut first = 0;
        if let Ok(event) = Event::parse(&self.begun, None) {
            first = event.sequence_number.unwrap_or_default();
            fold.push(&event);
        }
        if let Ok(error) = Event::parse(&self.error, Some(Kind::Error.row().name)) {
            fold.push(&error);
        }
        let response = fold.fail(failure.clone());
        let mut out = String::new();
        Event {
            sequence_number: Some(first.saturating_add(self.events)),
            payload: Some(response.json()),
            ..Event::new(Kind::Failed)
        }
        .print_frame(&mut out);
        self.ended = Some(Status::Failed);
        out
    }
}

impl ChatWatch {
    fn see(&mut self, data: &str) {
        if self.ended.is_some() {
            return;
        }
        if data == "[DONE]" {
            self.ended = self.finish.or(Some(Status::Completed));
            return;
        }
        for (key, value) in Raw::unchecked(data).members() {
            match &*key {
                "error" if !value.is_null() => self.ended = Some(Status::Failed),
                "usage" if !value.is_null() => self.usage = Some(Usage::read(value)),
                "choices" => value.elements().into_iter().for_each(|choice| self.choice(choice)),
                _ => {}
            }
        }
    }

    fn choice(&mut self, choice: Raw<'_>) {
        if let Some(reason) = choice.member("finish_reason").and_then(Raw::non_null) {
            let cut_short = CUT_SHORT.contains(&reason.inner());
            self.finish = Some(if cut_short { Status::Incomplete } else { Status::Completed });
        }
    }
}
