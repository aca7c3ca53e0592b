//! Faults on demand: by a header of the request that is to fail, or by an order beforehand. In:
//! headers, and `POST /mock/fault`. Out: the fault of the next answer.

use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method, Response};
use serde::Deserialize;
use serde_json::json;

use super::body::MockBody;
use super::fault::{Named, UnknownFault};
use super::script::Fault;
use super::{refuse, reply};

/// Where faults are ordered.
pub(super) const PATH: &str = "/mock/fault";
/// The header of a request that is to fail.
const HEADER: &str = "latimer-fault";

/// An order: the body of `POST /mock/fault`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The fault, as `close_mid_stream:5`.
    fault: Named,
    /// How many of the next answers it befalls.
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

/// The order that is still to be carried out; a new one takes its place.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Option<Order>>);

impl Pending {
    /// Answers a request to [`PATH`].
    pub fn ask(&self, method: &Method, body: &[u8]) -> Response<MockBody> {
        if method != Method::POST {
            let message = "Faults are ordered with POST, as {\"fault\": \"close_mid_stream:5\", \
                           \"times\": 1}; `times` 0 takes an order back.";
            return refuse(405, "method_not_allowed", message, None);
        }
        match serde_json::from_slice::<Order>(body) {
            Ok(order) => {
                let times = order.times;
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
                reply(200, json!({"pending": times}).to_string())
            }
            Err(error) => refuse(400, "invalid_order", &error.to_string(), None),
        }
    }

    /// The fault of the next answer, which counts as one of the times.
    pub fn take(&self) -> Option<Fault> {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = pending.as_mut()?;
        order.times = order.times.checked_sub(1)?;
        Some(Fault { kind: order.fault, after: None })
    }
}

/// The fault that a request asks for itself.
pub(super) fn fault_of(headers: &HeaderMap) -> Result<Option<Fault>, UnknownFault> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let kind = String::from_utf8_lossy(value.as_bytes()).parse()?;
    Ok(Some(Fault { kind, after: None }))
}
