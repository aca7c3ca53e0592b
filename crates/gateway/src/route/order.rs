//! A client with a work order: what it requires is looked at before anything runs, and it ends with a
//! receipt.

use std::sync::Arc;

use bytes::Bytes;
use latimer_wire::backplane::{self, WorkOrder};
use latimer_wire::error::ApiError;
use latimer_wire::responses::Request;

use super::hub::{Hub, Sent};
use super::{Form, Plan, Way, envelope};
use crate::headers;
use crate::ledger::Exchange;
use crate::translation::Run;
use crate::upstream::Ask;

/// The plan for a work order.
///
/// # Errors
/// As [`super::plan`].
pub(super) fn plan(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    text: &str,
) -> Result<Plan, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let mut order = WorkOrder::parse(text)?;
    exchange.understood();
    if order.id.is_empty() {
        order.id.clone_from(&exchange.id);
    }
    let stream = headers::takes_events(&head.headers);
    order.config.vendor.insert("stream".to_owned(), backplane::Json::boolean(stream));
    let run = gateway.runs.begin(&gateway, &exchange.id, &order)?;
    let hub = backplane::lift_request(&order, &mut exchange.notes)?;
    let request = Request::parse(&hub)?;
    request.check()?;
    let envelope = envelope(exchange, &request);
    let stem = exchange.id.clone();
    let order = WorkOrder { id: exchange.id.clone(), ..order };
    let hub = Hub { request: &request, text: Some(&hub), stem, envelope, order: Some(order) };
    let Sent { path, body, source } = hub.send(exchange)?;
    let way = Way::Run(Box::new(Run { source, lower: run, receipts: Arc::clone(&gateway.runs) }));
    let headers = headers::translated(&head.headers, gateway.key(), stream);
    Ok(Plan {
        ask: Ask::post(path, headers, Bytes::from(body)),
        form: Form::wanted(stream),
        ways: vec![way],
        keep: None,
    })
}
