//! What keeps a store in order: charges, deletion, expiry, owners.

use super::engine::{Batch, Rows, last};
use super::turns::turn_of;
use crate::{Id, NEVER, StoreError, Tenant, Thread, Turn, What};

const READY: &str = "SELECT count(*) FROM owners";

pub(super) fn ready() -> Batch {
    Batch::default().then(READY, [])
}

const CHARGE: &str = "INSERT INTO charges (tenant, bytes)
    SELECT $1, CAST($2 AS BIGINT) WHERE CAST($2 AS BIGINT) <= CAST($3 AS BIGINT)
    ON CONFLICT (tenant) DO UPDATE SET bytes = charges.bytes + excluded.bytes
    WHERE charges.bytes + excluded.bytes <= CAST($3 AS BIGINT)";

/// Charges a tenant, up to its limit. It comes last: it is the row that all writes of a tenant
/// share, so that they wait for each other as shortly as possible.
pub(super) fn charge(batch: Batch, tenant: &Tenant, bytes: usize, limit_bytes: u64) -> Batch {
    let values = [tenant.into(), bytes.into(), limit_bytes.into()];
    batch.or(CHARGE, values, StoreError::Full("the tenant has used up its share"))
}

/// How a row that holds items is forgotten. Its items and events go with it.
struct Forgetting {
    /// Locks it, so that what follows sees it as it stays, if it expires after `$3`.
    lock: &'static str,
    /// These two do it, if it expires at `$3` or before.
    discharge: &'static str,
    delete: &'static str,
    missing: What,
}

const TURN: Forgetting = Forgetting {
    lock: "UPDATE turns SET bytes = bytes WHERE tenant = $1 AND id = $2 AND expires_at > $3",
    discharge: "UPDATE charges SET bytes = charges.bytes - t.bytes
        FROM turns t WHERE t.tenant = $1 AND t.id = $2 AND t.expires_at <= $3
            AND charges.tenant = t.tenant",
    delete: "DELETE FROM turns WHERE tenant = $1 AND id = $2 AND expires_at <= $3",
    missing: What::Response,
};

const CONVERSATION: Forgetting = Forgetting {
    lock: "UPDATE conversations SET bytes = bytes
        WHERE tenant = $1 AND id = $2 AND expires_at > $3",
    discharge: "UPDATE charges SET bytes = charges.bytes - c.bytes
        FROM conversations c WHERE c.tenant = $1 AND c.id = $2 AND c.expires_at <= $3
            AND charges.tenant = c.tenant",
    delete: "DELETE FROM conversations WHERE tenant = $1 AND id = $2 AND expires_at <= $3",
    missing: What::Conversation,
};

fn forgetting(thread: &Thread) -> (&'static Forgetting, &Id) {
    match thread {
        Thread::Turn(id) => (&TURN, id),
        Thread::Conversation(id) => (&CONVERSATION, id),
    }
}

pub(super) fn delete(tenant: &Tenant, thread: &Thread, now: i64) -> Batch {
    let (row, id) = forgetting(thread);
    Batch::default()
        .or(row.lock, [tenant.into(), id.into(), now.into()], StoreError::NotFound(row.missing))
        .then(row.discharge, [tenant.into(), id.into(), NEVER.into()])
        .then(row.delete, [tenant.into(), id.into(), NEVER.into()])
}

/// What has expired: turns on which nothing is built, and conversations.
pub(crate) const OLD: &str = "SELECT tenant, id, 'turn' FROM (
        SELECT t.tenant, t.id FROM turns t WHERE t.expires_at <= $1 AND NOT EXISTS (
            SELECT n.id FROM turns n WHERE n.tenant = t.tenant AND n.previous = t.id)
        ORDER BY t.expires_at LIMIT $2) AS turns_of_old
    UNION ALL
    SELECT tenant, id, 'conversation' FROM (
        SELECT tenant, id FROM conversations WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2) AS conversations_of_old";

pub(super) fn old(now: i64, limit: u32) -> Batch {
    Batch::default().then(OLD, [now.into(), limit.into()])
}

pub(super) fn read_old(rows: Rows) -> Result<Vec<(Tenant, Thread)>, StoreError> {
    let old = last(rows).into_iter().map(|mut columns| {
        let (tenant, id) = (Tenant::new(columns.id()?), columns.id()?);
        let is_turn = columns.text()? == "turn";
        Ok((tenant, if is_turn { Thread::Turn(id) } else { Thread::Conversation(id) }))
    });
    old.collect()
}

const FORGET_OWNERS: &str = "DELETE FROM owners WHERE alive_until <= $1";

/// Forgets what is old, if it still is. All of it is locked first, and in one order, so that two
/// gateways which tidy up at once do not wait for each other in a circle.
pub(super) fn forget(mut old: Vec<(Tenant, Thread)>, now: i64) -> Batch {
    old.sort();
    let mut batch = Batch::default().then(FORGET_OWNERS, [now.into()]);
    for (tenant, thread) in &old {
        let (row, id) = forgetting(thread);
        batch = batch.then(row.lock, [tenant.into(), id.into(), i64::MIN.into()]);
    }
    for (tenant, thread) in &old {
        let (row, id) = forgetting(thread);
        batch = batch
            .then(row.discharge, [tenant.into(), id.into(), now.into()])
            .then(row.delete, [tenant.into(), id.into(), now.into()]);
    }
    batch
}

const RENEW: &str = "INSERT INTO owners (id, alive_until) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until";

pub(super) fn renew(owner: &Id, until: i64) -> Batch {
    Batch::default().then(RENEW, [owner.into(), until.into()])
}

const ORPHANS: &str = "SELECT tenant, id, previous, conversation, created_at, expires_at, status,
        owner, response
    FROM turns t WHERE status IN ('queued', 'in_progress')
        AND NOT EXISTS (SELECT o.id FROM owners o WHERE o.id = t.owner AND o.alive_until > $1)
    LIMIT $2";

pub(super) fn orphans(now: i64, limit: u32) -> Batch {
    Batch::default().then(ORPHANS, [now.into(), limit.into()])
}

pub(super) fn read_orphans(rows: Rows) -> Result<Vec<(Tenant, Turn)>, StoreError> {
    let orphans = last(rows)
        .into_iter()
        .map(|mut columns| Ok((Tenant::new(columns.id()?), turn_of(&mut columns)?)));
    orphans.collect()
}
