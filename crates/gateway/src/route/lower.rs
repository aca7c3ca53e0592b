//! A Chat client before a backend that speaks something else: its request becomes one of the hub, and
//! the backend is asked once for each answer it wants.

use std::sync::Arc;

use bytes::Bytes;
use latimer_wire::chat::{LiftOptions, Lifted, Lower, Shape, StopSequences, lift_request};
use latimer_wire::error::ApiError;
use latimer_wire::responses::Request;

use super::hub::{Hub, Sent};
use super::{Form, Plan, Way, envelope};
use crate::clock::unix_seconds;
use crate::headers;
use crate::ledger::Exchange;
use crate::translation::{Lowered, Source};
use crate::upstream::Ask;

/// The plan for a request of such a client.
///
/// # Errors
/// As [`super::plan`].
pub(super) fn plan(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    text: &str,
) -> Result<Plan, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let options =
        LiftOptions { instructions: gateway.chat_clients().instructions, ..LiftOptions::default() };
    let lifted = lift_request(text, &options, &mut exchange.notes)?;
    exchange.understood();
    let most = gateway.settings.limits.answers;
    if lifted.n > most {
        let message = format!(
            "Latimer: `n` may be at most {most} in front of a Responses backend, which is asked \
             for each answer (`limits.answers` in the configuration)."
        );
        return Err(ApiError::invalid("n", "unsupported_value", message));
    }
    let request = Request::parse(&lifted.body)?;
    let (mut ask, mut ways) = (None, Vec::new());
    for choice in 0..lifted.n {
        let envelope = envelope(exchange, &request);
        let stem = format!("{}{choice}", exchange.id);
        let hub = Hub { request: &request, text: Some(&lifted.body), stem, envelope, order: None };
        let Sent { path, body, source } = hub.send(exchange)?;
        let headers = headers::translated(&head.headers, gateway.key(), lifted.stream);
        ask = Some(Ask::post(path, headers, Bytes::from(body)));
        ways.push(Way::Lower(Box::new(lowered(exchange, source, &request, &lifted, choice))));
    }
    let ask =
        ask.ok_or_else(|| ApiError::invalid("n", "invalid_value", "`n` has to be 1 or more."))?;
    Ok(Plan { ask, form: Form::wanted(lifted.stream), ways, keep: None })
}

fn lowered(
    exchange: &Exchange,
    source: Box<dyn Source>,
    request: &Request<'_>,
    lifted: &Lifted,
    choice: u64,
) -> Lowered {
    let id = format!("chatcmpl-{}", exchange.id);
    let shape = Shape {
        reasoning: exchange.gateway.chat_clients().reasoning,
        custom_calls: lifted.custom_tools,
    };
    let stop: Option<StopSequences> = (!lifted.stop.is_empty()).then(|| lifted.stop.clone());
    let mut lower =
        Lower::new(&id, &request.model(), unix_seconds(), lifted.include_usage).with_shape(shape);
    if let Some(stop) = &stop {
        lower = lower.with_stop(stop.clone());
    }
    if lifted.n > 1 {
        lower = lower.with_choice(choice);
    }
    Lowered { source, lower, id, shape, stop }
}
