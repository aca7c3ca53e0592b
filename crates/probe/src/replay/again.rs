//! A recorded answer as what it would have been had the client asked otherwise: a response that is made
//! in the background is queued first and asked for later, whole or from an event on, while a recording
//! has it as it was made. In: a take. Out: takes, all of which come at once.

use latimer_wire::json::Raw;
use latimer_wire::responses::{Response, Status};
use latimer_wire::sse::Decoder;

use crate::replay::cassette::Take;

/// The statuses of a response on which work goes on.
const OPEN: &[&str] = &["queued", Status::InProgress.name()];

impl Take {
    /// The events of a stream, each with its blank line; a last one may be cut off.
    pub fn frames(&self) -> Vec<&str> {
        let (mut frames, mut from, mut to) = (Vec::new(), 0, 0);
        for line in self.body.split_inclusive('\n') {
            to += line.len();
            if line.trim_end().is_empty() || to == self.body.len() {
                frames.extend(self.body.get(from..to));
                from = to;
            }
        }
        frames
    }

    /// The id of the response that it holds or begins.
    pub(crate) fn response_id(&self) -> Option<String> {
        let response = if self.is_stream { self.begun()? } else { self.body.clone() };
        let response = Raw::parse(&response).ok().filter(is_response)?;
        response.member_text("id").map(|id| id.into_owned())
    }

    /// What a client gets that will ask for the response later: that it is queued. None where the
    /// take is no stream of a response, and so was recorded as it was asked for.
    pub fn queued(&self) -> Option<Take> {
        let begun = Response::parse(self.begun()?).ok()?;
        let queued = begun.with(&[("status", Raw::unchecked("\"queued\""))]);
        Some(self.whole(queued.into_json()))
    }

    /// What a client gets that asks for the response once more; none while it is not finished.
    pub fn retrieved(&self) -> Option<Take> {
        let response = match self.is_stream {
            true => self.frames().into_iter().rev().find_map(response_of)?,
            false => self.body.clone(),
        };
        let raw = Raw::parse(&response).ok().filter(is_response)?;
        let status = raw.member_text("status")?;
        let is_finished = !OPEN.contains(&&*status);
        is_finished.then(|| self.whole(response))
    }

    /// The events of the response that follow on one, all of them without; none where there are no
    /// events.
    pub fn followed(&self, starting_after: Option<u64>) -> Option<Take> {
        let is_new = |frame: &&&str| {
            let number = event(frame).and_then(|event| {
                Raw::parse(&event).ok()?.member("sequence_number").and_then(Raw::count)
            });
            starting_after.is_none_or(|after| number.is_none_or(|number| number > after))
        };
        let body = self.frames().iter().filter(is_new).copied().collect();
        self.is_stream.then(|| Take { body, first_byte_ms: 0, duration_ms: 0, ..self.clone() })
    }

    /// The response as its first event says it.
    fn begun(&self) -> Option<String> {
        self.is_stream.then(|| response_of(self.frames().first()?)).flatten()
    }

    fn whole(&self, body: String) -> Take {
        let is_kind = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        let mut headers = self.headers.clone();
        headers.retain(|header| !is_kind(header));
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        Take {
            headers,
            body,
            is_stream: false,
            breaks_off: false,
            first_byte_ms: 0,
            duration_ms: 0,
            ..self.clone()
        }
    }
}

fn is_response(said: &Raw<'_>) -> bool {
    said.member("object").is_some_and(|object| object.inner() == "response")
}

/// The data of an event.
fn event(frame: &str) -> Option<String> {
    // It is in memory already, so that it is not too long.
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(frame.as_bytes());
    let frame = decoder.next().ok()??;
    Some(frame.data.to_string())
}

/// The response in an event.
fn response_of(frame: &str) -> Option<String> {
    let event = event(frame)?;
    let response = Raw::parse(&event).ok()?.member("response").filter(is_response)?;
    Some(response.as_str().to_owned())
}
