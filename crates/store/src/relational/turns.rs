//! Responses: their items, their chains, their events.

use std::collections::BTreeSet;

use super::engine::{Batch, Columns, ROW_BYTES, Rows, Value, last, only, unreadable};
use super::{conversations, upkeep};
use crate::{
    Bounds, EventPage, Id, Measure, Page, StoreError, StoredEvent, StoredItem, Tenant, Turn,
    TurnStatus, Update, What,
};

const NO_RESPONSE: StoreError = StoreError::NotFound(What::Response);

/// Locks a turn, expired or not, so that what follows sees it as it stays.
const LOCK: &str = "UPDATE turns SET bytes = bytes WHERE tenant = $1 AND id = $2";

const INSERT: &str =
    "INSERT INTO turns (tenant, id, previous, conversation, created_at, expires_at,
        status, owner, response, inputs, items, item_bytes, bytes)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT DO NOTHING";

const INSERT_ITEM: &str = "INSERT INTO turn_items (tenant, turn, position, id, json)
    VALUES ($1, $2, $3, $4, $5)";

pub(super) fn put(
    tenant: &Tenant,
    turn: Turn,
    mut input: Vec<StoredItem>,
    output: Vec<StoredItem>,
    limit_bytes: u64,
) -> Batch {
    let inputs = input.len();
    input.extend(output.into_iter().filter(|_| !turn.status.is_open()));
    let items = input;
    let charge = turn.response.len() + ROW_BYTES + charge_of(&items);
    let id = turn.id.clone();
    let joins = turn.conversation.is_some() && turn.status.joins_conversation();
    let mut batch = Batch::default().or(
        INSERT,
        [
            tenant.into(),
            (&turn.id).into(),
            turn.previous.as_ref().into(),
            turn.conversation.as_ref().into(),
            turn.created_at.into(),
            turn.expires_at.into(),
            turn.status.name().into(),
            turn.owner.as_ref().into(),
            turn.response.into(),
            inputs.into(),
            items.len().into(),
            json_bytes(&items).into(),
            charge.into(),
        ],
        StoreError::Conflict(What::Response),
    );
    for (position, item) in items.into_iter().enumerate() {
        let (item_id, json) = (Value::from(&item.id), item.json.into());
        let place = position.into();
        batch = batch.then(INSERT_ITEM, [tenant.into(), (&id).into(), place, item_id, json]);
    }
    let batch = if joins { conversations::join(batch, tenant, &id) } else { batch };
    upkeep::charge(batch, tenant, charge, limit_bytes)
}

const UPDATE: &str = "UPDATE turns
    SET status = $3, response = $4, items = items + $5, item_bytes = item_bytes + $6,
        bytes = bytes + $7,
        owner = CASE WHEN $3 IN ('queued', 'in_progress') THEN owner END
    WHERE tenant = $1 AND id = $2 AND status IN ('queued', 'in_progress')";

const INSERT_OUTPUT: &str = "INSERT INTO turn_items (tenant, turn, position, id, json)
    SELECT tenant, id, inputs + $3, $4, $5 FROM turns WHERE tenant = $1 AND id = $2";

/// The texts that are replaced stay charged until the turn is deleted.
pub(super) fn update(tenant: &Tenant, id: &Id, update: Update, limit_bytes: u64) -> Batch {
    let Update { status, response, mut output } = update;
    if status.is_open() {
        output.clear();
    }
    let charge = response.len() + charge_of(&output);
    let mut batch = Batch::default().or(LOCK, [tenant.into(), id.into()], NO_RESPONSE).or(
        UPDATE,
        [
            tenant.into(),
            id.into(),
            status.name().into(),
            response.into(),
            output.len().into(),
            json_bytes(&output).into(),
            charge.into(),
        ],
        StoreError::Conflict(What::Response),
    );
    for (place, item) in output.into_iter().enumerate() {
        let (item_id, json) = (Value::from(&item.id), item.json.into());
        batch = batch.then(INSERT_OUTPUT, [tenant.into(), id.into(), place.into(), item_id, json]);
    }
    if status.joins_conversation() {
        batch = conversations::join(batch, tenant, id);
    }
    upkeep::charge(batch, tenant, charge, limit_bytes)
}

const SELECT: &str = "SELECT id, previous, conversation, created_at, expires_at, status, owner,
        response
    FROM turns WHERE tenant = $1 AND id = $2 AND expires_at > $3";

pub(super) fn select(tenant: &Tenant, id: &Id, now: i64) -> Batch {
    Batch::default().or(SELECT, [tenant.into(), id.into(), now.into()], NO_RESPONSE)
}

pub(super) fn read(rows: Rows) -> Result<Turn, StoreError> {
    turn_of(&mut only(rows)?)
}

/// A turn, of the columns that [`SELECT`] selects.
pub(super) fn turn_of(columns: &mut Columns) -> Result<Turn, StoreError> {
    Ok(Turn {
        id: columns.id()?,
        previous: columns.optional_id()?,
        conversation: columns.optional_id()?,
        created_at: columns.integer()?,
        expires_at: columns.integer()?,
        status: status_of(columns)?,
        owner: columns.optional_id()?,
        response: columns.text()?,
    })
}

fn status_of(columns: &mut Columns) -> Result<TurnStatus, StoreError> {
    TurnStatus::named(&columns.text()?).ok_or_else(unreadable)
}

/// A chain with the items of all its links, oldest first. It is followed to the first link beyond a
/// bound, and then no items are read.
pub(crate) const CHAIN: &str = "WITH RECURSIVE
    links (id, previous, depth, items, bytes) AS (
        SELECT id, previous, CAST(1 AS BIGINT), items, item_bytes
        FROM turns WHERE tenant = $1 AND id = $2 AND expires_at > $3
        UNION ALL
        SELECT t.id, t.previous, l.depth + 1, l.items + t.items, l.bytes + t.item_bytes
        FROM links l JOIN turns t ON t.tenant = $1 AND t.id = l.previous
        WHERE l.depth <= $4 AND l.items <= $5 AND l.bytes <= $6
    ),
    chain AS MATERIALIZED (SELECT * FROM links),
    whole AS (SELECT max(depth) AS depth, max(items) AS items, max(bytes) AS bytes FROM chain)
    SELECT chain.depth, chain.items, chain.bytes, chain.id, chain.previous,
        (SELECT status FROM turns WHERE tenant = $1 AND id = $2), i.id, i.json
    FROM whole CROSS JOIN chain
    LEFT JOIN turn_items i ON i.tenant = $1 AND i.turn = chain.id
        AND whole.depth <= $4 AND whole.items <= $5 AND whole.bytes <= $6
    ORDER BY chain.depth DESC, i.position";

pub(super) fn chain(tenant: &Tenant, id: &Id, bounds: Bounds, now: i64) -> Batch {
    let Bounds { links, items, bytes } = bounds;
    let values = [tenant.into(), id.into(), now.into(), links.into(), items.into(), bytes.into()];
    Batch::default().or(CHAIN, values, NO_RESPONSE)
}

pub(super) fn read_chain(rows: Rows, bounds: Bounds) -> Result<Vec<StoredItem>, StoreError> {
    let (mut items, mut seen) = (Vec::new(), BTreeSet::new());
    let (mut whole, mut current) = (None, 0);
    for mut columns in last(rows) {
        let sizes = [columns.integer()?, columns.integer()?, columns.integer()?];
        let (id, previous) = (columns.id()?, columns.optional_id()?);
        if status_of(&mut columns)?.is_open() {
            return Err(StoreError::Conflict(What::Response));
        }
        if sizes[0] != current && !seen.insert(id) {
            return Err(StoreError::Corrupt("a chain of responses that bites its tail".to_owned()));
        }
        current = sizes[0];
        whole.get_or_insert((sizes, previous));
        if let Some(id) = columns.optional_id()? {
            items.push(StoredItem { id, json: columns.text()? });
        }
    }
    let ([depth, count, bytes], previous) = whole.ok_or_else(unreadable)?;
    within(Measure::Links, depth, bounds.links.into())?;
    within(Measure::Items, count, bounds.items.into())?;
    within(Measure::Bytes, bytes, bounds.bytes)?;
    match previous {
        Some(_) => Err(StoreError::NotFound(What::Ancestor)),
        None => Ok(items),
    }
}

pub(super) fn within(measure: Measure, value: i64, limit: u64) -> Result<(), StoreError> {
    match u64::try_from(value) {
        Ok(value) if value <= limit => Ok(()),
        _ => Err(StoreError::TooLong { measure, limit }),
    }
}

/// A page of a list of items: those after the last place of `$5`, or all, in this order.
macro_rules! page_of {
    ($table:literal, $home:literal, $whole:literal, $after:literal, $none:literal, $order:literal) => {
        concat!(
            "SELECT id, json FROM ",
            $table,
            " WHERE tenant = $1 AND ",
            $home,
            " = $2 ",
            $whole,
            " AND position ",
            $after,
            " COALESCE((SELECT max(position) FROM ",
            $table,
            " WHERE tenant = $1 AND ",
            $home,
            " = $2 AND id = $3 ",
            $whole,
            "), ",
            $none,
            ")",
            " ORDER BY position ",
            $order,
            " LIMIT $4"
        )
    };
}
pub(super) use page_of;

macro_rules! page_of_input {
    ($after:literal, $none:literal, $order:literal) => {
        page_of!(
            "turn_items",
            "turn",
            "AND position < (SELECT inputs FROM turns WHERE tenant = $1 AND id = $2)",
            $after,
            $none,
            $order
        )
    };
}

const PAGE_UP: &str = page_of_input!(">", "-1", "ASC");
const PAGE_DOWN: &str = page_of_input!("<", "9223372036854775807", "DESC");

const HAS_INPUT: &str = "SELECT i.id FROM turn_items i
    JOIN turns t ON t.tenant = i.tenant AND t.id = i.turn
    WHERE i.tenant = $1 AND i.turn = $2 AND i.id = $3 AND i.position < t.inputs LIMIT 1";

pub(super) fn page(tenant: &Tenant, id: &Id, page: &Page, now: i64) -> Batch {
    let mut batch = select(tenant, id, now);
    if let Some(after) = &page.after {
        let values = [tenant.into(), id.into(), after.into()];
        batch = batch.or(HAS_INPUT, values, StoreError::NotFound(What::Item));
    }
    let sql = if page.descending { PAGE_DOWN } else { PAGE_UP };
    let limit = (u64::from(page.limit) + 1).into();
    batch.then(sql, [tenant.into(), id.into(), page.after.as_ref().into(), limit])
}

/// An item, where it was seen last.
const ITEM: &str = "SELECT id, json FROM (
        SELECT i.id, i.json, i.position, t.created_at AS seen_at
        FROM turn_items i JOIN turns t ON t.tenant = i.tenant AND t.id = i.turn
        WHERE i.tenant = $1 AND i.id = $2 AND t.expires_at > $3
        UNION ALL
        SELECT i.id, i.json, i.position, c.created_at
        FROM conversation_items i
        JOIN conversations c ON c.tenant = i.tenant AND c.id = i.conversation
        WHERE i.tenant = $1 AND i.id = $2 AND c.expires_at > $3
    ) AS found ORDER BY seen_at DESC, position DESC LIMIT 1";

pub(super) fn item(tenant: &Tenant, id: &Id, now: i64) -> Batch {
    let values = [tenant.into(), id.into(), now.into()];
    Batch::default().or(ITEM, values, StoreError::NotFound(What::Item))
}

const CHARGE_OPEN: &str = "UPDATE turns SET bytes = bytes + $3
    WHERE tenant = $1 AND id = $2 AND status IN ('queued', 'in_progress')";

const INSERT_EVENT: &str = "INSERT INTO events (tenant, turn, sequence, json)
    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

pub(super) fn append_events(
    tenant: &Tenant,
    id: &Id,
    events: Vec<StoredEvent>,
    limit_bytes: u64,
) -> Batch {
    let charge: usize = events.iter().map(|event| event.json.len() + ROW_BYTES).sum();
    let ended = StoreError::Conflict(What::Response);
    let mut batch = Batch::default().or(LOCK, [tenant.into(), id.into()], NO_RESPONSE).or(
        CHARGE_OPEN,
        [tenant.into(), id.into(), charge.into()],
        ended,
    );
    for StoredEvent { sequence, json } in events {
        let values = [tenant.into(), id.into(), sequence.into(), json.into()];
        batch = batch.or(INSERT_EVENT, values, StoreError::Conflict(What::Event));
    }
    upkeep::charge(batch, tenant, charge, limit_bytes)
}

/// Read before the events: when it says that the turn has ended, the events are all there.
const STATUS: &str = "SELECT status FROM turns WHERE tenant = $1 AND id = $2 AND expires_at > $3";

const EVENTS: &str = "SELECT sequence, json FROM events
    WHERE tenant = $1 AND turn = $2 AND sequence > $3 ORDER BY sequence LIMIT $4";

pub(super) fn events(tenant: &Tenant, id: &Id, after: Option<i64>, limit: u32, now: i64) -> Batch {
    let after = after.unwrap_or(i64::MIN).into();
    Batch::default()
        .or(STATUS, [tenant.into(), id.into(), now.into()], NO_RESPONSE)
        .then(EVENTS, [tenant.into(), id.into(), after, limit.into()])
}

pub(super) fn read_events(rows: Rows) -> Result<EventPage, StoreError> {
    let mut rows = rows.into_iter();
    let mut status = only(rows.next().into_iter().collect())?;
    let events = last(rows.collect())
        .into_iter()
        .map(|mut columns| Ok(StoredEvent { sequence: columns.integer()?, json: columns.text()? }));
    Ok(EventPage { status: status_of(&mut status)?, events: events.collect::<Result<_, _>>()? })
}

/// What a tenant is charged for items.
pub(super) fn charge_of(items: &[StoredItem]) -> usize {
    items.iter().map(|item| item.json.len() + ROW_BYTES).sum()
}

/// The bytes of the items' JSON.
pub(super) fn json_bytes(items: &[StoredItem]) -> usize {
    items.iter().map(|item| item.json.len()).sum()
}
