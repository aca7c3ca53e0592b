//! The body of an answer that follows a response: what was told before, then what is told as it is
//! made. Where it is made here, it is followed as it grows; made by another gateway, or ended, it is
//! read from the store, and one whose events were not kept is told as if it were made now. A client
//! that leaves ends nothing but this.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::unfold as stream_of;
use http_body::Frame;
use http_body_util::StreamBody;
use latimer_probe::record::account::Outcome;
use latimer_store::{Id, StoreError, Tenant};
use latimer_wire::responses::{Event, Response, unfold};
use latimer_wire::sse;

use super::live::{Live, Next};
use crate::answer::{Answer, BrokenOff};
use crate::ledger::Exchange;
use crate::state::{State, now};

/// How often the store is asked for more events of a response that another gateway makes.
const POLL: Duration = Duration::from_millis(500);
/// How many events are read from the store at once.
const PAGE: u32 = 512;
/// How long the pieces are in which the texts of a response are told whose events were not kept, in
/// characters.
const PIECE: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Where the events of a response come from.
pub(crate) enum Source {
    /// It is made here.
    Here(Arc<Live>),
    /// It is made elsewhere, or has ended.
    Stored { state: Arc<State>, tenant: Tenant, id: Id },
}

impl Source {
    /// The events from number `from` on, as soon as there are some; `patience` is how long to wait.
    async fn next(&self, from: usize, patience: Duration) -> Result<Next, StoreError> {
        let (state, tenant, id) = match self {
            Source::Here(live) => return Ok(live.next(from, patience).await),
            Source::Stored { state, tenant, id } => (state, tenant, id),
        };
        let until = Instant::now() + patience;
        loop {
            let after = i64::try_from(from).unwrap_or(i64::MAX) - 1;
            let page = state.store.events(tenant, id, Some(after), PAGE, now());
            let page = state.in_time(page).await?;
            if let Some(last) = page.events.last() {
                let next = usize::try_from(last.sequence).unwrap_or(from) + 1;
                let mut frames = String::new();
                for event in &page.events {
                    push_frame(&mut frames, &event.json);
                }
                return Ok(Next::Frames(frames.into(), next));
            }
            if !page.status.is_open() {
                return last_events(state, tenant, id, from).await;
            }
            if Instant::now() >= until {
                return Ok(Next::Silence);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// What is told from number `from` on of a response that has ended and whose kept events are told.
async fn last_events(
    state: &State,
    tenant: &Tenant,
    id: &Id,
    from: usize,
) -> Result<Next, StoreError> {
    let before = i64::try_from(from).unwrap_or(i64::MAX).checked_sub(2);
    let kept = state.in_time(state.store.events(tenant, id, before, 1, now())).await?;
    let any = state.in_time(state.store.events(tenant, id, None, 1, now())).await?;
    let turn = state.in_time(state.store.turn(tenant, id, now())).await?;
    let Ok(response) = Response::parse(turn.response) else { return Ok(Next::End) };
    let mut frames = String::new();
    let mut count = 0;
    unfold(&response, PIECE, &mut |event: &Event<'_>| {
        let is_last = matches!(event.role(), latimer_wire::responses::Role::Terminal(_));
        match any.events.is_empty() {
            true if count >= from => event.print_frame(&mut frames),
            false if is_last && !kept.events.is_empty() => {
                let sequence_number = Some(from as u64);
                Event { sequence_number, ..event.clone() }.print_frame(&mut frames);
            }
            _ => {}
        }
        count += 1;
    });
    let told = if any.events.is_empty() { count } else { from + 1 };
    Ok(if frames.is_empty() { Next::End } else { Next::Frames(frames.into(), told) })
}

fn push_frame(frames: &mut String, json: &str) {
    match Event::parse(json, None) {
        Ok(event) => event.print_frame(frames),
        Err(_) => sse::encode(frames, None, json),
    }
}

/// The events from number `from` on. `keep_alive` is how long nothing may be said; `exchange` is that
/// of a client who came only to follow.
pub(crate) fn follow(
    source: Source,
    from: usize,
    keep_alive: Duration,
    exchange: Option<Exchange>,
) -> Answer {
    let events =
        stream_of((source, from, exchange), move |(source, from, mut exchange)| async move {
            let (bytes, from) = match source.next(from, keep_alive).await {
                Ok(Next::Frames(bytes, from)) => (bytes, from),
                Ok(Next::Silence) => (Bytes::from_static(b": keep-alive\n\n"), from),
                Ok(Next::End) => {
                    if let Some(exchange) = exchange.take() {
                        exchange.close(Outcome::Completed);
                    }
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "a response cannot be followed any further");
                    return Some((Err(BrokenOff), (source, usize::MAX, exchange)));
                }
            };
            if let Some(exchange) = &mut exchange {
                exchange.keep(&bytes, Instant::now());
            }
            Some((Ok(Frame::data(bytes)), (source, from, exchange)))
        });
    Answer::Stream(Box::pin(StreamBody::new(events)))
}
