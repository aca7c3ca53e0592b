//! What the gateway knows of work orders beyond their dialect ([`latimer_wire::backplane`]): the policy
//! that an operator gives an agent, what its backend can do, and the receipts of runs.

mod capabilities;
mod config;
mod runs;

pub use self::config::{KeyTrouble, Policy, ReceiptsConfig, public_key, signing_key};
pub(crate) use self::runs::Runs;

use bytes::Bytes;
use http::{Response, header};
use latimer_store::Id;
use latimer_wire::error::ApiError;

use crate::answer::{Answer, build, refusal};
use crate::gateway::Gateway;

/// `GET /backplane/v1/capabilities`.
pub(crate) fn capabilities(gateway: &Gateway) -> Response<Answer> {
    json(capabilities::told(gateway).to_string())
}

/// `GET /backplane/v1/receipts/{run_id}`.
pub(crate) fn receipt(gateway: &Gateway, run: Option<&Id>) -> Response<Answer> {
    let run = run.map(Id::as_str).unwrap_or_default();
    match gateway.runs.find(run) {
        Some(receipt) => json(receipt),
        None => {
            let message = format!(
                "Latimer: there is no receipt of the run {run}: it is not over, was never begun, or its \
                 receipt was let go (`limits.receipts`)."
            );
            let error = ApiError::invalid("run_id", "receipt_not_found", message);
            refusal(&ApiError { status: 404, ..error })
        }
    }
}

fn json(body: String) -> Response<Answer> {
    let head = Response::builder().header(header::CONTENT_TYPE, "application/json");
    build(head, Answer::Whole(Some(Bytes::from(body))))
}
