//! What has to be done about the state from time to time: to say that this gateway lives, to end what
//! a gateway left behind that lives no more, and to forget what has expired.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use latimer_store::{Id, StoreError, Tenant, Turn, TurnStatus, Update};
use latimer_wire::responses::Failure;
use tokio::time::MissedTickBehavior;

use super::pending::failed;
use super::{State, now};

/// How often within its lease a gateway says that it lives.
const RENEWALS: u32 = 4;
/// How often expired state is looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// How many turns are ended or forgotten at once.
const BATCH: u32 = 100;
/// How much longer than they were to be, responses are there to be built on by one in the making.
const GRACE_S: i64 = 3_600;
/// Why a response failed that a gateway left behind.
const LEFT_BEHIND: (&str, &str) = (
    "gateway_stopped",
    "Latimer: the gateway that made this response stopped before it was complete. Ask again.",
);

impl State {
    /// Tends the state, for ever.
    pub async fn tend(self: Arc<Self>) {
        let lease = Duration::from_secs(self.config.lease_s.max(1));
        let mut tick = tokio::time::interval(lease / RENEWALS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut expiry = tokio::time::interval(EXPIRY_INTERVAL);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_expiry_due = tokio::select! {
                _ = tick.tick() => false,
                _ = expiry.tick() => true,
            };
            if !self.is_used() {
                continue;
            }
            let done = if is_expiry_due { self.forget().await } else { self.live_on().await };
            if let Err(error) = done {
                tracing::warn!(%error, "the store cannot be tended now");
            }
        }
    }

    /// Says that this gateway lives, and ends what those left behind that do not.
    async fn live_on(&self) -> Result<(), StoreError> {
        self.renew().await?;
        for (tenant, turn) in self.in_time(self.store.orphans(now(), BATCH)).await? {
            self.give_up(&tenant, &turn).await?;
        }
        Ok(())
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let lease = i64::try_from(self.config.lease_s.max(1)).unwrap_or(i64::MAX);
        let until = now().saturating_add(lease);
        self.in_time(self.store.renew(&self.owner, until)).await?;
        self.leased_until.store(until, Ordering::Relaxed);
        Ok(())
    }

    /// Says that this gateway lives, where that may not be known: what it begins to make now would be
    /// ended by another that takes it for gone.
    pub async fn be_alive(&self) -> Result<(), StoreError> {
        match self.leased_until.load(Ordering::Relaxed) > now() {
            true => Ok(()),
            false => self.renew().await,
        }
    }

    /// Ends a turn that nobody makes any more.
    async fn give_up(&self, tenant: &Tenant, turn: &Turn) -> Result<(), StoreError> {
        let (code, message) = LEFT_BEHIND;
        let failure = Failure { code: code.to_owned(), message: message.to_owned() };
        let response = failed(&turn.response, &failure);
        let update = Update { status: TurnStatus::Failed, response, output: Vec::new() };
        match self.in_time(self.store.update(tenant, &turn.id, update)).await {
            // Another gateway was faster.
            Ok(()) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn forget(&self) -> Result<(), StoreError> {
        while self.in_time(self.store.expire(now() - GRACE_S, BATCH)).await? > 0 {}
        Ok(())
    }

    /// Waits for what is made in the background, at most as long as `patience`; ends the rest, and
    /// says good-bye.
    pub async fn stop(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.runs.over()).await;
        let left: Vec<(Tenant, Id)> = self.runs.all();
        for (tenant, id) in left {
            if let Some(live) = self.runs.get(&tenant, &id) {
                live.cancel();
            }
            if let Ok(turn) = self.in_time(self.store.turn(&tenant, &id, now())).await {
                let _ = self.give_up(&tenant, &turn).await;
            }
        }
        if self.is_used() {
            let _ = self.in_time(self.store.renew(&self.owner, 0)).await;
        }
    }
}
