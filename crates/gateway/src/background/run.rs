//! How a background response is made: the backend is asked as for any streamed answer, and its
//! events go to the followers at once and to the store in batches. The last event is told when the
//! end of the turn is stored.

use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use latimer_probe::record::account::Outcome;
use latimer_store::{StoreError, StoredEvent};
use latimer_wire::json::Raw;
use latimer_wire::responses::{Event, Failure, Kind, Response, Role, unfold};
use latimer_wire::sse::Decoder;
use tokio::time::Instant;

use super::live::Live;
use crate::exchange::{Given, carry_out};
use crate::ledger::Exchange;
use crate::route::Plan;
use crate::state::{Keep, failed};
use crate::stream::Stream;

/// How long an event waits for others before it is stored, and how many wait at most.
const BATCH_WAIT: Duration = Duration::from_millis(250);
const BATCH_EVENTS: usize = 128;
/// How long the end of a response waits before it is written again, at first and at most.
const RETRY_WAIT: Duration = Duration::from_secs(1);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);

/// A background response in the making.
pub(super) struct Run {
    pub keep: Keep,
    pub live: Arc<Live>,
}

impl Run {
    /// Makes it, to its end.
    pub async fn carry_out(self, exchange: Exchange, plan: Plan) {
        let live = Arc::clone(&self.live);
        tokio::select! {
            () = self.make(exchange, plan) => {}
            () = live.cancelled() => {}
        }
    }

    async fn make(&self, mut exchange: Exchange, plan: Plan) {
        if !self.keep.begin().await {
            return;
        }
        let timeouts = exchange.gateway.settings.timeouts.clone();
        match carry_out(&mut exchange, plan, &[]).await {
            Ok(Given::Stream { strands, head, .. }) => {
                let stream = Stream::new(strands, head, exchange, None, &timeouts);
                self.tell(pin!(stream)).await;
            }
            Ok(_) => self.fail(&broken("the answer was no stream")).await,
            Err(refusal) => {
                let failure = refusal.failure();
                exchange.close(Outcome::Failed);
                self.fail(&failure).await;
            }
        }
    }

    /// Tells the events of a stream, and ends the turn as it ends.
    async fn tell(&self, mut stream: Pin<&mut Stream>) {
        let mut decoder = Decoder::new(usize::MAX);
        let mut batch = Batch::default();
        loop {
            let piece = tokio::select! {
                piece = stream.frame() => piece,
                () = tokio::time::sleep_until(batch.due) , if !batch.events.is_empty() => {
                    if !self.store(&mut batch).await {
                        return;
                    }
                    continue;
                }
            };
            let Some(Ok(piece)) = piece else {
                return self.fail(&broken("it broke off")).await;
            };
            decoder.push(&piece.into_data().unwrap_or_default());
            while let Ok(Some(frame)) = decoder.next() {
                let Ok(event) = Event::parse(&frame.data, None) else { continue };
                if let (Role::Terminal(_), Some(response)) = (event.role(), event.payload) {
                    if self.store(&mut batch).await {
                        self.end(&event, response).await;
                    }
                    return;
                }
                self.live.push(printed(&event));
                batch.push(&event, &frame.data);
            }
            if batch.events.len() >= BATCH_EVENTS && !self.store(&mut batch).await {
                return;
            }
        }
    }

    /// Stores the events that wait; what cannot be stored now goes on waiting. `false`: nobody wants
    /// the response any more.
    async fn store(&self, batch: &mut Batch) -> bool {
        batch.due = Instant::now() + BATCH_WAIT;
        match self.keep.append(&batch.events).await {
            Ok(()) => {
                batch.events.clear();
                true
            }
            Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => false,
            Err(error) => {
                tracing::debug!(%error, "events wait for the store");
                true
            }
        }
    }

    /// Ends the turn, and then tells the last event.
    async fn end(&self, event: &Event<'_>, response: Raw<'_>) {
        let mut wait = RETRY_WAIT;
        while let Err(error) = self.keep.finish(response.as_str()).await {
            if matches!(error, StoreError::Conflict(_) | StoreError::NotFound(_)) {
                return;
            }
            tracing::warn!(%error, "the end of a background response waits for the store");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        }
        self.live.push(printed(event));
    }

    /// Ends the turn as failed.
    async fn fail(&self, failure: &Failure) {
        let response = failed(self.keep.begun(), failure);
        let Ok(whole) = Response::parse(response.as_str()) else { return };
        let told = self.live.count() as u64;
        let mut last = None;
        // Where nothing was told yet, the response begins and fails.
        unfold(&whole, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
            let is_last = matches!(event.role(), Role::Terminal(_));
            let event =
                Event { sequence_number: event.sequence_number.max(Some(told)), ..event.clone() };
            match is_last {
                true => last = event.sequence_number,
                false if told == 0 => self.live.push(printed(&event)),
                false => {}
            }
        });
        let payload = Some(whole.json());
        let last = Event { sequence_number: last, payload, ..Event::new(Kind::Failed) };
        self.end(&last, whole.json()).await;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.keep.state.runs.end(&self.keep.tenant, &self.keep.id);
    }
}

/// Events that wait to be stored.
struct Batch {
    events: Vec<StoredEvent>,
    /// When they have waited long enough.
    due: Instant,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { events: Vec::new(), due: Instant::now() }
    }
}

impl Batch {
    fn push(&mut self, event: &Event<'_>, data: &str) {
        if self.events.is_empty() {
            self.due = Instant::now() + BATCH_WAIT;
        }
        let sequence = event.sequence_number.and_then(|number| i64::try_from(number).ok());
        let stored = |sequence| StoredEvent { sequence, json: data.to_owned() };
        self.events.extend(sequence.map(stored));
    }
}

fn printed(event: &Event<'_>) -> Bytes {
    let mut frame = String::new();
    event.print_frame(&mut frame);
    Bytes::from(frame)
}

fn broken(how: &str) -> Failure {
    Failure { code: "server_error".to_owned(), message: format!("Latimer: {how}.") }
}
