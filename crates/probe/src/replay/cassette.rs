//! A recording as something that can be played: which answers there are for which request, and what
//! is missing. In: the lines of a recording, also piece by piece. Out: [`Take`]s, found by the
//! normal form of a request; the nearest recorded request where there is none; [`Hole`]s.

use std::collections::HashMap;
use std::sync::Arc;

use latimer_wire::json::Raw;

use crate::record::exchange::{Exchange, Headers, Payload, RecordedResponse, Unreadable, read};
use crate::redact::{self, REDACTED};
use crate::replay::matching::{Asked, Difference};

/// The kinds of events that end a stream of Responses.
const TERMINAL: &[&str] =
    &["response.completed", "response.incomplete", "response.failed", "error"];

/// One recorded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The line of the recording, counted from 1.
    pub line: u64,
    /// The HTTP status.
    pub status: u16,
    /// The headers whose values were kept. None is a secret, in other programs' recordings either.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was recorded.
    pub body: String,
    /// Whether it is a stream of events.
    pub is_stream: bool,
    /// Whether the answer, or what was kept of it, broke off after this body.
    pub breaks_off: bool,
    /// From the request to the first byte, in milliseconds.
    pub first_byte_ms: u64,
    /// From the request to the end, in milliseconds.
    pub duration_ms: u64,
    /// The client left before the end: the answer says nothing about the model.
    pub was_left: bool,
}

/// Something that a recording lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The line of the recording, counted from 1.
    pub line: u64,
    /// Whether there is something to be played all the same.
    pub is_playable: bool,
    /// What is missing, in words.
    pub why: String,
}

/// The recorded request that is nearest to one that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// Its key.
    pub key: Arc<str>,
    /// The line of its first answer.
    pub line: u64,
    /// Whether both want the same form of answer from the same place.
    pub is_like: bool,
    /// The place of the recorded request, as in `POST /v1/responses`.
    pub place: String,
    /// Where the bodies differ.
    pub differences: Vec<Difference>,
}

/// A recording that can be played.
#[derive(Debug, Default)]
pub struct Cassette {
    takes: HashMap<Arc<str>, Vec<Arc<Take>>>,
    /// The takes in which responses were made, by the ids of those.
    made: HashMap<String, Arc<Take>>,
    holes: Vec<Hole>,
    lines: u64,
}

impl Cassette {
    /// Adds lines, which follow those that were added before. An unfinished last line is a hole.
    pub fn add(&mut self, lines: &[u8]) {
        let before = self.lines;
        for (line, exchange) in numbered(lines) {
            let line = before + line;
            match exchange {
                Ok(exchange) => self.add_exchange(line, &exchange),
                Err(error) => self.hole(line, false, words(&error)),
            }
        }
        self.lines += memchr::memchr_iter(b'\n', lines).count() as u64;
    }

    fn add_exchange(&mut self, line: u64, exchange: &Exchange<'_>) {
        let extra = exchange.latimer.unwrap_or(Raw::NULL);
        let outcome = extra.member_text("outcome");
        let found = exchange.response.as_ref().and_then(|r| Some((r, r.status_code?)));
        let Some((response, status)) = found else {
            return self.hole(line, false, "no answer was recorded".to_owned());
        };
        let count = |key| extra.member(key).and_then(Raw::count);
        let is_unfinished = extra.member("request_unfinished").is_some();
        if is_unfinished || count("request_left_out_bytes").is_some() {
            return self.hole(line, false, "the request was not recorded to its end".to_owned());
        }
        let body = response.body.text().unwrap_or_default().to_owned();
        let is_stream = is_stream(response);
        let left_out_bytes = count("left_out_bytes").unwrap_or(0);
        let is_over = is_stream && is_over(&body);
        let was_left = outcome.as_deref() == Some("cancelled") && !is_over;
        let cut_off = match outcome.as_deref() {
            Some("completed" | "incomplete" | "cancelled") => false,
            _ => is_stream && !is_over,
        };
        let why = match (left_out_bytes, was_left, cut_off) {
            (1.., ..) => Some(format!("{left_out_bytes} bytes of the answer were not kept")),
            (_, true, _) => Some("the client left before the end of the answer".to_owned()),
            (_, _, true) => Some("the answer has no end".to_owned()),
            _ => None,
        };
        let breaks_off = why.is_some();
        if let Some(why) = why {
            let kept = body.len();
            self.hole(line, true, format!("{why}; it breaks off after {kept} bytes"));
        }
        let duration_ms = count("duration_ms").unwrap_or(0);
        let take = Take {
            line,
            status,
            headers: kept(&response.headers),
            body,
            is_stream,
            breaks_off,
            first_byte_ms: count("first_byte_ms").unwrap_or(duration_ms),
            duration_ms,
            was_left,
        };
        let request = &exchange.request;
        let asked = Asked::recorded(&request.method, &request.url, &request.body);
        let take = Arc::new(take);
        if request.method == "POST" && !take.was_left {
            self.made.extend(take.response_id().map(|id| (id, Arc::clone(&take))));
        }
        self.takes.entry(asked.key().into()).or_default().push(take);
    }

    fn hole(&mut self, line: u64, is_playable: bool, why: String) {
        self.holes.push(Hole { line, is_playable, why });
    }

    /// The key as it is kept here, and the answers to it in their order; answers that a client left
    /// only where there are no others.
    pub fn find(&self, key: &str) -> Option<(Arc<str>, Vec<Arc<Take>>)> {
        let (key, takes) = self.takes.get_key_value(key)?;
        let heard: Vec<_> = takes.iter().filter(|take| !take.was_left).cloned().collect();
        Some((Arc::clone(key), if heard.is_empty() { takes.clone() } else { heard }))
    }

    /// The take in which the response of this id was made.
    pub fn made(&self, id: &str) -> Option<&Take> {
        self.made.get(id).map(Arc::as_ref)
    }

    /// The recorded request that is nearest, one for the same form of answer before all others.
    pub fn nearest(&self, asked: &Asked) -> Option<Nearest> {
        let rank = |(key, takes): (&Arc<str>, &Vec<Arc<Take>>)| {
            let recorded = Asked::of_key(key)?;
            let line = takes.first()?.line;
            let far = (!recorded.is_like(asked), recorded.place != asked.place);
            Some(((far, recorded.distance(asked), line), Arc::clone(key)))
        };
        let ((.., line), key) = self.takes.iter().filter_map(rank).min()?;
        let recorded = Asked::of_key(&key)?;
        Some(Nearest {
            key,
            line,
            is_like: recorded.is_like(asked),
            differences: recorded.differences(asked),
            place: recorded.place,
        })
    }

    /// What is missing, in the order of the lines.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.takes.values().map(Vec::len).sum()
    }

    /// Whether there is nothing to play.
    pub fn is_empty(&self) -> bool {
        self.takes.is_empty()
    }
}

/// The exchanges with the numbers of their lines.
fn numbered(lines: &[u8]) -> impl Iterator<Item = (u64, Result<Exchange<'_>, Unreadable>)> {
    (1..)
        .zip(lines.split_inclusive(|byte| *byte == b'\n'))
        .filter_map(|(line, bytes)| Some((line, read(bytes).next()?)))
}

/// Why a line cannot be read; its number stands beside it.
fn words(error: &Unreadable) -> String {
    match error {
        Unreadable::Malformed { source, .. } => format!("it is no recorded exchange: {source}"),
        Unreadable::Torn { .. } => "it ends in the middle of a record".to_owned(),
        Unreadable::Incident { incident, .. } => {
            format!("{} exchanges were not recorded", incident.lost)
        }
    }
}

fn kept(headers: &Headers<'_>) -> Vec<(String, String)> {
    let shown = headers.0.iter().filter(|(name, value)| redact::header(name, value) != REDACTED);
    shown.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn is_stream(response: &RecordedResponse<'_>) -> bool {
    let said =
        response.headers.get("content-type").is_some_and(|kind| kind.contains("event-stream"));
    said && matches!(response.body, Payload::Text(_) | Payload::None)
}

/// Whether a stream has come to its end, be it an error.
fn is_over(stream: &str) -> bool {
    let between_events = ["\n\n", "\r\n\r\n"].iter().any(|end| stream.ends_with(end));
    let last = stream.lines().rev().find_map(|line| line.strip_prefix("data:")).map(str::trim);
    between_events
        && last.is_some_and(|data| {
            let event = Raw::parse(data).unwrap_or(Raw::NULL);
            let kind = event.member_text("type");
            data == "[DONE]"
                || event.member("error").is_some_and(|error| !error.is_null())
                || kind.is_some_and(|kind| TERMINAL.contains(&&*kind))
        })
}

#[cfg(test)]
mod tests {
    use super::Cassette;
    use crate::replay::matching::Asked;

    fn line(input: &str, response: &str, outcome: &str) -> String {
        format!(
            "{{\"timestamp\":1,\"request\":{{\"method\":\"POST\",\"url\":\"http://h/v1/responses\",\
             \"body\":{{\"input\":\"{input}\"}}}},\"response\":{response},\
             \"latimer\":{{\"outcome\":\"{outcome}\"}}}}\n"
        )
    }

    fn asked(input: &str) -> Asked {
        let body = format!("{{\"input\":\"{input}\"}}");
        Asked::of("POST", "/v1/responses", body.as_bytes())
    }

    #[test]
    fn a_recording_with_holes_says_what_is_missing() {
        let stream = |body: &str| {
            format!(
                "{{\"status_code\":200,\"headers\":{{\"content-type\":\"text/event-stream\"}},\"body\":\"{body}\"}}"
            )
        };
        let end = "data: {\\\"type\\\":\\\"response.failed\\\"}\\n\\n";
        let lines = [
            line("a", &stream("data: [DONE]\\n\\n"), "completed"),
            line("b", "null", "cancelled"),
            line("c", &stream("data: {}\\n\\n"), "failed"),
            line("d", &stream(end), "failed"),
            line("e", &stream("data: {}\\n\\n"), "cancelled"),
            line("e", &stream(end), "completed"),
            line("f", &stream(end), "completed\",\"request_left_out_bytes\":1,\"x\":\""),
            "\n{}\n{\"timest".to_owned(),
        ];
        let mut cassette = Cassette::default();
        for lines in &lines {
            cassette.add(lines.as_bytes());
        }
        let holes: Vec<_> = cassette.holes().iter().map(|h| (h.line, h.is_playable)).collect();
        assert_eq!(holes, [(2, false), (3, true), (5, true), (7, false), (9, false), (10, false)]);
        assert_eq!(cassette.len(), 5);
        let takes = |input: &str| cassette.find(&asked(input).key()).map(|(_, takes)| takes);
        assert!(takes("b").is_none());
        assert!(takes("c").is_some_and(|takes| takes[0].breaks_off));
        assert!(takes("d").is_some_and(|takes| !takes[0].breaks_off));
        let left_then_heard = takes("e").expect("it is there");
        assert_eq!(left_then_heard.iter().map(|take| take.line).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn the_nearest_is_what_differs_least() {
        let whole = "{\"status_code\":200,\"body\":{}}";
        let lines = ["quite another", "What is near?", "What is neat?"]
            .map(|input| line(input, whole, "completed"));
        let mut cassette = Cassette::default();
        cassette.add(lines.concat().as_bytes());
        let nearest = cassette.nearest(&asked("What is new?")).expect("something is near");
        assert_eq!((nearest.line, nearest.is_like), (2, true));
        assert_eq!(nearest.differences[0].path, "input");
        assert!(Cassette::default().nearest(&asked("x")).is_none());
    }
}
