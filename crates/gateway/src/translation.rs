//! What happens between the backend's bytes and the client's: translated from Chat Completions, or
//! passed on untouched and only observed. No I/O here: bytes in, bytes out, and how it ended.

use bytes::Bytes;
use latimer_wire::chat::Lift;
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{
    Event, Failure, Fold, Grammar, Kind, Response, Role, Sink, Status, Usage,
};
use latimer_wire::sse::Decoder;

use crate::secret::Secret;

/// How a backend's answer becomes the client's stream.
pub(crate) enum Translation {
    /// From Chat Completions.
    Chat(Box<Chat>),
    /// The same on both sides.
    Same(Box<Same>),
}

/// A Chat Completions answer on its way into the hub.
pub(crate) struct Chat {
    feed: Feed,
    lift: Lift,
    writer: Writer,
}

/// In which form the answer comes.
enum Feed {
    /// As a stream of events.
    Events(Decoder),
    /// As one JSON body, although a stream was asked for.
    Whole { body: Vec<u8>, limit_bytes: usize },
}

/// A Responses stream that passes by.
pub(crate) struct Same {
    decoder: Decoder,
    fold: Fold,
    next_sequence: u64,
    /// An event was too long: what follows cannot be told apart.
    unreadable: bool,
    usage: Option<Usage>,
    notes: Notes,
}

/// The backend an answer comes from.
#[derive(Clone, Default)]
pub(crate) struct Hop {
    /// As messages name it.
    pub name: String,
    /// The key it was sent, which it may say back.
    pub secret: Secret,
}

/// Writes events as frames and holds them against the grammar.
#[derive(Default)]
struct Writer {
    out: String,
    grammar: Grammar,
    notes: Notes,
    hop: Hop,
}

impl Sink for Writer {
    fn event(&mut self, event: &Event<'_>) {
        if let Err(violation) = self.grammar.admit(event) {
            self.notes.add("grammar_violation", violation.to_string());
        }
        match event.payload.filter(|_| event.kind == Kind::Failed) {
            Some(response) => self.hop.named(response.as_str(), event, &mut self.out),
            None => event.print_frame(&mut self.out),
        }
    }
}

impl Hop {
    /// Writes a failure: where the core speaks of "The backend", it is named, and a key is hidden.
    fn named(&self, response: &str, event: &Event<'_>, out: &mut String) {
        let named = format!("\"message\":\"The backend {} ", self.name);
        let text = response.replacen("\"message\":\"The backend ", &named, 1);
        let text = self.secret.hide(text);
        let payload = Raw::parse(&text).ok().or(event.payload);
        Event { payload, ..event.clone() }.print_frame(out);
    }
}

/// Why no more bytes can follow and the connection has to be broken off instead.
#[derive(Debug)]
pub(crate) struct CutInsideEvent;

impl Translation {
    /// From a stream of Chat Completions chunks.
    pub fn chat(lift: Lift, event_limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::Events(Decoder::new(event_limit_bytes));
        let writer = Writer { hop, ..Writer::default() };
        Translation::Chat(Box::new(Chat { feed, lift, writer }))
    }

    /// From one whole completion.
    pub fn chat_whole(lift: Lift, limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::Whole { body: Vec::new(), limit_bytes };
        let writer = Writer { hop, ..Writer::default() };
        Translation::Chat(Box::new(Chat { feed, lift, writer }))
    }

    /// A Responses stream, passed on as it is.
    pub fn same(event_limit_bytes: usize) -> Self {
        Translation::Same(Box::new(Same {
            decoder: Decoder::new(event_limit_bytes),
            fold: Fold::default(),
            next_sequence: 0,
            unreadable: false,
            usage: None,
            notes: Notes::default(),
        }))
    }

    /// Says that the response exists, where that is ours to say.
    pub fn begin(&mut self) -> Bytes {
        match self {
            Translation::Chat(chat) => {
                chat.lift.begin(&mut chat.writer);
                chat.written()
            }
            Translation::Same(_) => Bytes::new(),
        }
    }

    /// Takes bytes from the backend and gives those for the client. `now` is seconds since 1970.
    pub fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        match self {
            Translation::Chat(chat) => {
                chat.push(&bytes, now);
                chat.written()
            }
            Translation::Same(same) => {
                same.observe(&bytes);
                bytes
            }
        }
    }

    /// The backend ended its body.
    pub fn end(&mut self, now: u64, hop: &str) -> Result<Bytes, CutInsideEvent> {
        match self {
            Translation::Chat(chat) => {
                chat.end(now, hop);
                Ok(chat.written())
            }
            Translation::Same(same) => same.fail(incomplete(hop)),
        }
    }

    /// The way to the backend broke.
    pub fn fail(&mut self, failure: Failure, now: u64) -> Result<Bytes, CutInsideEvent> {
        match self {
            Translation::Chat(chat) => {
                chat.lift.fail(failure, now, &mut chat.writer);
                Ok(chat.written())
            }
            Translation::Same(same) => same.fail(failure),
        }
    }

    /// How the response ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        match self {
            Translation::Chat(chat) => chat.lift.ended(),
            Translation::Same(same) => same.fold.ended(),
        }
    }

    /// Whether nothing that the backend may still send can matter to the client.
    pub fn is_over(&self) -> bool {
        matches!(self, Translation::Chat(chat) if chat.lift.ended().is_some())
    }

    /// Whether it is no longer known where the stream stands; it has to be broken off.
    pub fn is_lost(&self) -> bool {
        matches!(self, Translation::Same(same) if same.unreadable && same.fold.ended().is_none())
    }

    /// Whether an event of our own may stand here.
    pub fn at_boundary(&self) -> bool {
        match self {
            Translation::Chat(_) => true,
            Translation::Same(same) => !same.unreadable && same.decoder.pending_bytes() == 0,
        }
    }

    /// What was used, as far as it is known.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Translation::Chat(chat) => chat.lift.usage(),
            Translation::Same(same) => same.usage,
        }
    }

    /// What was lost or mended, and where the stream broke the grammar.
    pub fn notes(&self) -> Notes {
        match self {
            Translation::Chat(chat) => {
                let mut notes = chat.lift.notes().clone();
                notes.extend(chat.writer.notes.clone());
                notes
            }
            Translation::Same(same) => same.notes.clone(),
        }
    }
}

fn incomplete(hop: &str) -> Failure {
    Failure {
        code: "server_error".to_owned(),
        message: format!("Latimer: the backend {hop} ended its answer before it was complete."),
    }
}

impl Chat {
    fn push(&mut self, bytes: &[u8], now: u64) {
        let trouble = match &mut self.feed {
            Feed::Events(decoder) => {
                decoder.push(bytes);
                loop {
                    match decoder.next() {
                        Ok(Some(frame)) => self.lift.push(&frame.data, now, &mut self.writer),
                        Ok(None) => return,
                        Err(error) => break error.to_string(),
                    }
                }
            }
            Feed::Whole { body, limit_bytes } if body.len() + bytes.len() > *limit_bytes => {
                format!("it is longer than {limit_bytes} bytes")
            }
            Feed::Whole { body, .. } => return body.extend_from_slice(bytes),
        };
        let message = format!("The backend sent an answer that cannot be read: {trouble}.");
        let failure = Failure { code: "server_error".to_owned(), message };
        self.lift.fail(failure, now, &mut self.writer);
    }

    fn end(&mut self, now: u64, hop: &str) {
        match &self.feed {
            Feed::Events(decoder) if decoder.pending_bytes() > 0 => {
                self.lift.fail(incomplete(hop), now, &mut self.writer);
            }
            Feed::Events(_) => self.lift.end(now, &mut self.writer),
            Feed::Whole { body, .. } => {
                let body = String::from_utf8_lossy(body);
                self.lift.push_whole(&body, now, &mut self.writer);
            }
        }
    }

    fn written(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.writer.out))
    }
}

impl Same {
    fn observe(&mut self, bytes: &[u8]) {
        if self.unreadable {
            return;
        }
        self.decoder.push(bytes);
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => match Event::parse(&frame.data, frame.event.as_deref()) {
                    Ok(event) => {
                        let number = event.sequence_number.unwrap_or(self.next_sequence);
                        self.next_sequence = number.saturating_add(1);
                        if let Role::Terminal(_) = event.role() {
                            let usage = event.payload.and_then(|response| response.member("usage"));
                            self.usage = usage.and_then(Raw::non_null).map(Usage::read);
                        }
                        self.fold.push(&event);
                    }
                    Err(_) if frame.data == "[DONE]" => {}
                    Err(error) => self.notes.add("event_unreadable", error.to_string()),
                },
                Ok(None) => return,
                Err(error) => {
                    self.unreadable = true;
                    self.notes.add("event_too_long", error.to_string());
                    return;
                }
            }
        }
    }

    /// Ends a stream that broke off: with an event of our own where one may stand, else not at all.
    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        if self.fold.ended().is_some() {
            return Ok(Bytes::new());
        }
        if self.unreadable || self.decoder.pending_bytes() > 0 {
            return Err(CutInsideEvent);
        }
        let response = std::mem::take(&mut self.fold).fail(failure);
        let mut out = String::new();
        let event = Event {
            sequence_number: Some(self.next_sequence),
            payload: Some(response.json()),
            ..Event::new(Kind::Failed)
        };
        event.print_frame(&mut out);
        self.fold.push(&event);
        Ok(Bytes::from(out))
    }
}

/// A whole answer of a Chat Completions backend as a response. It may have come as a stream.
///
/// # Errors
/// When the backend reported a failure or broke off.
pub(crate) fn whole_chat(
    mut lift: Lift,
    body: &[u8],
    now: u64,
) -> Result<(Response, Option<Usage>, Notes), Failure> {
    let mut fold = Fold::default();
    let begins = |field: &&str| body.trim_ascii_start().starts_with(field.as_bytes());
    if ["data:", "event:", "id:", ":"].iter().any(begins) {
        let mut decoder = Decoder::new(body.len());
        decoder.push(body);
        while let Ok(Some(frame)) = decoder.next() {
            lift.push(&frame.data, now, &mut fold);
        }
        lift.end(now, &mut fold);
    } else {
        lift.push_whole(&String::from_utf8_lossy(body), now, &mut fold);
    }
    let response = fold.finish();
    match response.json().member("error").and_then(Raw::non_null) {
        Some(error) => {
            let word = |key| error.member_text(key).unwrap_or_default().into_owned();
            Err(Failure { code: word("code"), message: word("message") })
        }
        None => Ok((response, lift.usage(), lift.notes().clone())),
    }
}
