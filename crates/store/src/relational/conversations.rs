//! Conversations and their items.

use super::engine::{Batch, ROW_BYTES, Rows, Value, last, only};
use super::turns::{charge_of, json_bytes, page_of, within};
use super::upkeep;
use crate::{Bounds, Conversation, Id, Measure, Page, StoreError, StoredItem, Tenant, What};

const NO_CONVERSATION: StoreError = StoreError::NotFound(What::Conversation);

const INSERT: &str =
    "INSERT INTO conversations (tenant, id, created_at, expires_at, metadata, next,
        items, item_bytes, bytes)
    VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8) ON CONFLICT DO NOTHING";

const INSERT_ITEM: &str =
    "INSERT INTO conversation_items (tenant, conversation, position, id, json)
    SELECT tenant, id, next - CAST($3 AS BIGINT), $4, $5 FROM conversations
    WHERE tenant = $1 AND id = $2";

pub(super) fn open(
    tenant: &Tenant,
    conversation: Conversation,
    items: Vec<StoredItem>,
    limit_bytes: u64,
) -> Batch {
    let Conversation { id, created_at, expires_at, metadata } = conversation;
    let charge = metadata.len() + ROW_BYTES + charge_of(&items);
    let batch = Batch::default().or(
        INSERT,
        [
            tenant.into(),
            (&id).into(),
            created_at.into(),
            expires_at.into(),
            metadata.into(),
            items.len().into(),
            json_bytes(&items).into(),
            charge.into(),
        ],
        StoreError::Conflict(What::Conversation),
    );
    upkeep::charge(insert_items(batch, tenant, &id, items), tenant, charge, limit_bytes)
}

/// Inserts items at the last places, which were made for them.
fn insert_items(batch: Batch, tenant: &Tenant, id: &Id, items: Vec<StoredItem>) -> Batch {
    let count = items.len();
    items.into_iter().enumerate().fold(batch, |batch, (place, item)| {
        let (item_id, json) = (Value::from(&item.id), item.json.into());
        let from_end = (count - place).into();
        batch.then(INSERT_ITEM, [tenant.into(), id.into(), from_end, item_id, json])
    })
}

const GROW: &str = "UPDATE conversations
    SET next = next + $4, items = items + $4, item_bytes = item_bytes + $5, bytes = bytes + $6
    WHERE tenant = $1 AND id = $2 AND expires_at > $3";

pub(super) fn append(
    tenant: &Tenant,
    id: &Id,
    items: Vec<StoredItem>,
    now: i64,
    limit_bytes: u64,
) -> Batch {
    let charge = charge_of(&items);
    let (count, bytes) = (items.len().into(), json_bytes(&items).into());
    let values = [tenant.into(), id.into(), now.into(), count, bytes, charge.into()];
    let batch = Batch::default().or(GROW, values, NO_CONVERSATION);
    upkeep::charge(insert_items(batch, tenant, id, items), tenant, charge, limit_bytes)
}

/// Whether the conversation of a turn is still there, if it has one.
const JOINABLE: &str = "SELECT t.id FROM turns t WHERE t.tenant = $1 AND t.id = $2
    AND (t.conversation IS NULL OR EXISTS (
        SELECT c.id FROM conversations c WHERE c.tenant = t.tenant AND c.id = t.conversation))";

const JOIN: &str = "UPDATE conversations
    SET next = next + t.items, items = conversations.items + t.items,
        item_bytes = conversations.item_bytes + t.item_bytes,
        bytes = conversations.bytes + t.item_bytes + CAST($3 AS BIGINT) * t.items,
        expires_at = CASE WHEN t.expires_at > conversations.expires_at
            THEN t.expires_at ELSE conversations.expires_at END
    FROM turns t WHERE t.tenant = $1 AND t.id = $2
        AND conversations.tenant = t.tenant AND conversations.id = t.conversation";

const JOIN_ITEMS: &str = "INSERT INTO conversation_items (tenant, conversation, position, id, json)
    SELECT i.tenant, c.id, c.next - t.items + i.position, i.id, i.json
    FROM turns t
    JOIN conversations c ON c.tenant = t.tenant AND c.id = t.conversation
    JOIN turn_items i ON i.tenant = t.tenant AND i.turn = t.id
    WHERE t.tenant = $1 AND t.id = $2";

const CHARGE_JOINED: &str = "UPDATE charges
    SET bytes = charges.bytes + t.item_bytes + CAST($3 AS BIGINT) * t.items
    FROM turns t WHERE t.tenant = $1 AND t.id = $2 AND t.conversation IS NOT NULL
        AND charges.tenant = t.tenant";

/// Appends the items of a turn to its conversation, if it has one. What has grown is held against
/// the tenant's limit by the charge that follows.
pub(super) fn join(batch: Batch, tenant: &Tenant, turn: &Id) -> Batch {
    let joined = || [tenant.into(), turn.into(), ROW_BYTES.into()];
    batch
        .or(JOINABLE, [tenant.into(), turn.into()], NO_CONVERSATION)
        .then(JOIN, joined())
        .then(JOIN_ITEMS, [tenant.into(), turn.into()])
        .then(CHARGE_JOINED, joined())
}

const SELECT: &str = "SELECT id, created_at, expires_at, metadata FROM conversations
    WHERE tenant = $1 AND id = $2 AND expires_at > $3";

pub(super) fn select(tenant: &Tenant, id: &Id, now: i64) -> Batch {
    Batch::default().or(SELECT, [tenant.into(), id.into(), now.into()], NO_CONVERSATION)
}

pub(super) fn read(rows: Rows) -> Result<Conversation, StoreError> {
    let mut columns = only(rows)?;
    Ok(Conversation {
        id: columns.id()?,
        created_at: columns.integer()?,
        expires_at: columns.integer()?,
        metadata: columns.text()?,
    })
}

/// Locks a conversation, so that what follows sees it as it stays.
const LOCK: &str = "UPDATE conversations SET bytes = bytes
    WHERE tenant = $1 AND id = $2 AND expires_at > $3";

const DISCHARGE_METADATA: &str = "UPDATE charges
    SET bytes = charges.bytes - octet_length(c.metadata)
    FROM conversations c WHERE c.tenant = $1 AND c.id = $2 AND charges.tenant = c.tenant";

const SET_METADATA: &str = "UPDATE conversations
    SET bytes = bytes - octet_length(metadata) + $4, metadata = $3
    WHERE tenant = $1 AND id = $2";

pub(super) fn set_metadata(
    tenant: &Tenant,
    id: &Id,
    metadata: String,
    now: i64,
    limit_bytes: u64,
) -> Batch {
    let charge = metadata.len();
    let batch = Batch::default()
        .or(LOCK, [tenant.into(), id.into(), now.into()], NO_CONVERSATION)
        .then(DISCHARGE_METADATA, [tenant.into(), id.into()])
        .then(SET_METADATA, [tenant.into(), id.into(), metadata.into(), charge.into()]);
    upkeep::charge(batch, tenant, charge, limit_bytes)
}

/// A conversation with all its items; without them when they are beyond a bound.
const ALL: &str = "SELECT c.items, c.item_bytes, i.id, i.json FROM conversations c
    LEFT JOIN conversation_items i ON i.tenant = c.tenant AND i.conversation = c.id
        AND c.items <= $4 AND c.item_bytes <= $5
    WHERE c.tenant = $1 AND c.id = $2 AND c.expires_at > $3 ORDER BY i.position";

pub(super) fn all(tenant: &Tenant, id: &Id, bounds: Bounds, now: i64) -> Batch {
    let (items, bytes) = (bounds.items.into(), bounds.bytes.into());
    let values = [tenant.into(), id.into(), now.into(), items, bytes];
    Batch::default().or(ALL, values, NO_CONVERSATION)
}

pub(super) fn read_all(rows: Rows, bounds: Bounds) -> Result<Vec<StoredItem>, StoreError> {
    let mut items = Vec::new();
    for mut columns in last(rows) {
        within(Measure::Items, columns.integer()?, bounds.items.into())?;
        within(Measure::Bytes, columns.integer()?, bounds.bytes)?;
        if let Some(id) = columns.optional_id()? {
            items.push(StoredItem { id, json: columns.text()? });
        }
    }
    Ok(items)
}

const PAGE_UP: &str = page_of!("conversation_items", "conversation", "", ">", "-1", "ASC");
const PAGE_DOWN: &str =
    page_of!("conversation_items", "conversation", "", "<", "9223372036854775807", "DESC");

const ITEM: &str = "SELECT id, json FROM conversation_items
    WHERE tenant = $1 AND conversation = $2 AND id = $3 ORDER BY position DESC LIMIT 1";

pub(super) fn page(tenant: &Tenant, id: &Id, page: &Page, now: i64) -> Batch {
    let mut batch = select(tenant, id, now);
    if let Some(after) = &page.after {
        let values = [tenant.into(), id.into(), after.into()];
        batch = batch.or(ITEM, values, StoreError::NotFound(What::Item));
    }
    let sql = if page.descending { PAGE_DOWN } else { PAGE_UP };
    let limit = (u64::from(page.limit) + 1).into();
    batch.then(sql, [tenant.into(), id.into(), page.after.as_ref().into(), limit])
}

pub(super) fn item(tenant: &Tenant, conversation: &Id, id: &Id, now: i64) -> Batch {
    let values = [tenant.into(), conversation.into(), id.into()];
    select(tenant, conversation, now).or(ITEM, values, StoreError::NotFound(What::Item))
}

/// What an item that is removed no longer takes.
const SHRINK: &str = "UPDATE conversations
    SET items = conversations.items - gone.items,
        item_bytes = conversations.item_bytes - gone.bytes,
        bytes = conversations.bytes - gone.bytes - CAST($4 AS BIGINT) * gone.items
    FROM (SELECT count(*) AS items, CAST(sum(octet_length(json)) AS BIGINT) AS bytes
        FROM conversation_items WHERE tenant = $1 AND conversation = $2 AND id = $3) AS gone
    WHERE conversations.tenant = $1 AND conversations.id = $2 AND gone.items > 0";

const DISCHARGE_ITEM: &str = "UPDATE charges
    SET bytes = bytes - (SELECT CAST(sum(octet_length(json) + CAST($4 AS BIGINT)) AS BIGINT)
        FROM conversation_items WHERE tenant = $1 AND conversation = $2 AND id = $3)
    WHERE tenant = $1";

const DELETE_ITEM: &str = "DELETE FROM conversation_items
    WHERE tenant = $1 AND conversation = $2 AND id = $3";

pub(super) fn remove_item(tenant: &Tenant, conversation: &Id, id: &Id, now: i64) -> Batch {
    let item = || [tenant.into(), conversation.into(), id.into()];
    let sized = || [tenant.into(), conversation.into(), id.into(), ROW_BYTES.into()];
    Batch::default()
        .or(LOCK, [tenant.into(), conversation.into(), now.into()], NO_CONVERSATION)
        .or(SHRINK, sized(), StoreError::NotFound(What::Item))
        .then(DISCHARGE_ITEM, sized())
        .then(DELETE_ITEM, item())
}
