//! What of an exchange several parts of a report show, found once: where the values of JSON bodies
//! are, and the sizes of bodies.

use latimer_wire::json::Outline;

use crate::content::python;
use crate::fields::Fields;
use crate::record::exchange::{Exchange, Payload};

/// The two bodies of an exchange.
pub(crate) struct Parts<'a> {
    pub(crate) request: Body<'a>,
    /// Empty where there is no response.
    pub(crate) response: Body<'a>,
}

/// A body, looked into.
#[derive(Default)]
pub(crate) struct Body<'a> {
    /// Text in bytes, JSON as Python would print it.
    pub(crate) size_bytes: u64,
    /// Where the values of a JSON body are.
    outline: Option<Outline<'a>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(exchange: &Exchange<'a>) -> Self {
        let response = exchange.response.as_ref().map(|response| Body::of(&response.body));
        Parts { request: Body::of(&exchange.request.body), response: response.unwrap_or_default() }
    }
}

impl<'a> Body<'a> {
    fn of(body: &Payload<'a>) -> Self {
        match body {
            Payload::None => Body::default(),
            Payload::Text(text) => Body { size_bytes: text.len() as u64, outline: None },
            Payload::Json(json) => {
                let outline = Outline::of(*json);
                Body { size_bytes: python::json_bytes(outline.root()), outline: Some(outline) }
            }
        }
    }

    /// The members of a JSON body.
    pub(crate) fn json(&self) -> Option<Fields<'_>> {
        self.outline.as_ref().map(|outline| Fields::of(outline.root()))
    }
}
