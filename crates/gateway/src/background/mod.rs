//! Responses that are made although nobody waits for them. The client gets its answer when the turn
//! is stored as queued; a task of its own then asks the backend, tells each event to whoever follows
//! ([`live`]) and to the store, and ends the turn. It goes on when the client leaves, and stops when
//! one cancels it, here or on another gateway.

mod follow;
mod live;
mod run;

pub(crate) use self::follow::{Source, follow};
pub(crate) use self::live::Runs;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use latimer_wire::error::ApiError;

use self::run::Run;
use crate::answer::{Answer, build};
use crate::config::Timeouts;
use crate::headers;
use crate::ledger::Exchange;
use crate::refusal::Refusal;
use crate::route::Plan;
use crate::state::Keep;

/// Stores the turn, begins to make it, and gives the client its answer: the response as it is queued,
/// or its events.
///
/// # Errors
/// 503 where it cannot be stored, 429 where too many are being made. Then the exchange is given back.
pub(crate) async fn begin(
    mut exchange: Exchange,
    plan: Plan,
    keep: Keep,
    streamed: bool,
) -> Result<Response<Answer>, (Exchange, Refusal)> {
    let most = keep.state.config.background;
    let Some(live) = keep.state.runs.begin(&keep.tenant, &keep.id, most) else {
        return Err((exchange, too_many(most).into()));
    };
    let queued = match keep.queue().await {
        Ok(queued) => queued,
        Err(error) => {
            keep.state.runs.end(&keep.tenant, &keep.id);
            return Err((exchange, error.into()));
        }
    };
    let keep_alive = Timeouts::of(exchange.gateway.settings.timeouts.keep_alive_ms);
    let head = exchange.head(StatusCode::OK, headers::events(&HeaderMap::new()));
    let body = match streamed {
        true => follow(Source::Here(Arc::clone(&live)), 0, keep_alive, None),
        false => Answer::Whole(Some(Bytes::from(queued))),
    };
    let mut response = build(head, body);
    if !streamed {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    tokio::spawn(Run { keep, live }.carry_out(exchange, plan));
    Ok(response)
}

fn too_many(most: usize) -> ApiError {
    let message = format!(
        "Latimer: {most} responses are being made in the background (`state.background` in the \
         configuration). Try again when one is over."
    );
    let error = ApiError::invalid("background", "background_limit_exceeded", message);
    ApiError { status: 429, kind: "rate_limit_error".into(), ..error }
}
