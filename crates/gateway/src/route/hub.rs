//! Where every way of a request meets the backend: the request of the hub as the backend takes it, and
//! the reader of its answer.

use std::sync::Arc;

use bytes::Bytes;
use latimer_wire::backplane::{self, Offered, OrderHead, WorkOrder};
use latimer_wire::chat::{Backend, Lift, Lowered, lower_request};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Raw, with_text_member};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Mend, Request};

use super::{CHAT, RESPONSES, RUN};
use crate::config::Dialect;
use crate::headers;
use crate::ledger::Exchange;
use crate::translation::{Ours, Retold, Source};
use crate::upstream::Ask;

/// What a backend is asked, and what makes a response of its answer.
pub(super) fn sent(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    request: &Request<'_>,
    envelope: Envelope,
) -> Result<(Ask, Box<dyn Source>), ApiError> {
    let hub = Hub { request, text: None, stem: exchange.id.clone(), envelope, order: None };
    let Sent { path, body, source } = hub.send(exchange)?;
    let headers = headers::translated(&head.headers, exchange.gateway.key(), request.stream);
    Ok((Ask::post(path, headers, Bytes::from(body)), source))
}

/// A request of the hub on its way to the backend.
pub(super) struct Hub<'r> {
    pub request: &'r Request<'r>,
    /// Its body, where that can go as it is to a backend of the same dialect.
    pub text: Option<&'r str>,
    /// What the ids of the answer's items are made of.
    pub stem: String,
    pub envelope: Envelope,
    /// The work order that it was made of.
    pub order: Option<WorkOrder>,
}

/// A request as a backend takes it, and the reader of its answer.
pub(super) struct Sent {
    pub path: &'static str,
    pub body: String,
    pub source: Box<dyn Source>,
}

impl Hub<'_> {
    /// What is sent, whatever the backend speaks.
    pub fn send(self, exchange: &mut Exchange) -> Result<Sent, ApiError> {
        let gateway = Arc::clone(&exchange.gateway);
        match gateway.dialect() {
            Dialect::Chat => {
                let profile = gateway.profile();
                let lowered = lower_fitting(exchange, self.request)?;
                let lift = Lift::new(self.envelope, &self.stem)
                    .with_tools(lowered.toolbox)
                    .with_think_tags(profile.think_tags)
                    .with_refusals_as_text(exchange.is_codex);
                Ok(Sent { path: CHAT, body: lowered.body, source: Box::new(lift) })
            }
            Dialect::Responses => {
                let model = gateway.model();
                let body = match (self.text, model) {
                    (Some(text), Some(model)) => with_text_member(text, "model", model),
                    (Some(text), None) => text.to_owned(),
                    (None, model) => forgetful(self.request, model)?,
                };
                let ours = self.text.is_none().then(|| Ours::new(&self.envelope));
                let source: Box<dyn Source> = Box::new(Mend::new(self.envelope, &self.stem));
                let source = match ours {
                    Some(ours) => Box::new(Retold::new(source, ours)),
                    None => source,
                };
                Ok(Sent { path: RESPONSES, body, source })
            }
            Dialect::Backplane => {
                let order = match self.order {
                    Some(order) => order,
                    None => ordered(exchange, self.request),
                };
                let lift = backplane::Lift::new(self.envelope, &self.stem)
                    .with_tools(Offered::of(self.request))
                    .with_policy(order.policy.clone());
                Ok(Sent { path: RUN, body: order.to_json(), source: Box::new(lift) })
            }
        }
    }
}

/// A request as it is asked of a Responses backend that is to keep nothing.
///
/// # Errors
/// A 400 for what needs a memory that nobody has.
fn forgetful(request: &Request<'_>, model: Option<&str>) -> Result<String, ApiError> {
    if let Some(name) = request.asks_of_state() {
        let message =
            format!("Latimer: `{name}` needs what is stored, and nothing is stored here.");
        return Err(ApiError::invalid(name, "unsupported_parameter", message));
    }
    Ok(request.to_json(model))
}

/// The work order for an agent, by the operator's policy. What came before is in it already.
fn ordered(exchange: &Exchange, request: &Request<'_>) -> WorkOrder {
    let gateway = &exchange.gateway;
    let mut order = backplane::lower_request(
        request,
        OrderHead {
            id: exchange.id.clone(),
            model: gateway.model().map(str::to_owned),
            policy: gateway.policy(),
        },
    );
    if gateway.state.is_some() {
        order.config.vendor.remove("previous_response_id");
        order.config.vendor.remove("conversation");
    }
    order
}

/// A request as the backend takes it; where the client allows it and the backend's bound is known,
/// without the oldest turns that are too much.
pub(super) fn lower_fitting(
    exchange: &mut Exchange,
    request: &Request<'_>,
) -> Result<Lowered, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let backend = Backend { model: gateway.model(), profile: gateway.profile() };
    let may_cut = request.given("truncation").and_then(Raw::text).as_deref() == Some("auto");
    let Some(window) = gateway.context_tokens().filter(|_| may_cut) else {
        return lower_request(request, &backend, &mut exchange.notes);
    };
    let request = request.clone().without("truncation");
    let mut notes = Notes::default();
    let lowered = lower_request(&request, &backend, &mut notes)?;
    let answer = request.given("max_output_tokens").and_then(Raw::count).unwrap_or_default();
    let excess = (estimated_tokens(&lowered.body) + answer).saturating_sub(window);
    if excess == 0 {
        exchange.add_notes(notes);
        return Ok(lowered);
    }
    let (request, gone) = request.without_oldest(excess as usize * BYTES_PER_TOKEN);
    exchange.notes.add("input_truncated", format!("the oldest {gone} items"));
    lower_request(&request, &backend, &mut exchange.notes)
}

/// How many bytes of a request make a token, nearly: English text and JSON have about four
/// (OpenAI's rule of thumb).
pub(super) const BYTES_PER_TOKEN: usize = 4;

/// How many tokens a request has, by its length.
pub(super) fn estimated_tokens(body: &str) -> u64 {
    body.len().div_ceil(BYTES_PER_TOKEN) as u64
}
