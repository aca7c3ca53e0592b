//! What of an exchange several parts of a report show, found once: where the values of JSON bodies
//! are, the sizes of bodies, and what the model answered.

use latimer_wire::json::{Fields, Outline};

use crate::content::answer::Answer;
use crate::content::python;
use crate::content::stream::{self, StreamSummary};
use crate::record::exchange::{Exchange, Payload};

/// The two bodies of an exchange, and the answer in the second.
pub(crate) struct Parts<'a> {
    pub(crate) request: Body<'a>,
    /// Empty where there is no response.
    pub(crate) response: Body<'a>,
    /// The response, where it is an event stream.
    pub(crate) stream: Option<StreamSummary>,
    /// What a response that is no stream says.
    whole: Answer,
}

/// A body, looked into.
#[derive(Default)]
pub(crate) struct Body<'a> {
    /// Text in bytes, JSON as Python would print it.
    pub(crate) size_bytes: u64,
    /// A JSON body.
    json: Option<&'a Outline<'a>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(exchange: &'a Exchange<'_>) -> Self {
        let response = exchange.response.as_ref();
        let events = response.and_then(|of| stream::text_of(&of.headers, &of.body));
        let stream = events.map(stream::summarize);
        let response = response.map(|response| Body::of(&response.body)).unwrap_or_default();
        let whole = response.json().filter(|_| stream.is_none());
        let whole = whole.as_ref().map(Answer::of_body).unwrap_or_default();
        Parts { request: Body::of(&exchange.request.body), response, stream, whole }
    }

    /// What the model answered.
    pub(crate) fn answer(&self) -> &Answer {
        self.stream.as_ref().map_or(&self.whole, |stream| &stream.answer)
    }
}

impl<'a> Body<'a> {
    fn of(body: &'a Payload<'_>) -> Self {
        match body {
            Payload::None => Body::default(),
            Payload::Text(text) => Body { size_bytes: text.len() as u64, json: None },
            Payload::Json(json) => {
                Body { size_bytes: python::json_bytes(json.root()), json: Some(json) }
            }
        }
    }

    /// The members of a JSON body.
    pub(crate) fn json(&self) -> Option<Fields<'a>> {
        self.json.map(|json| Fields::of(json.root()))
    }
}
