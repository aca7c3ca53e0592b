//! What a database is asked, and what it answers, as data.

use std::fmt;
use std::sync::Arc;

use crate::{Id, ItemPage, StoreError, StoredItem};

/// What a row costs besides its texts, in bytes; an estimate.
pub(super) const ROW_BYTES: usize = 128;

/// A value of a column or a parameter.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// `BIGINT`.
    Integer(i64),
    /// `TEXT`.
    Text(Arc<str>),
}

/// Without texts: a library that logs the parameters of a statement must not log what people say.
impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Integer(number) => write!(out, "{number}"),
            Value::Text(text) => write!(out, "text of {} bytes", text.len()),
        }
    }
}

/// One statement with its parameters, `$1` and on.
#[derive(Debug)]
pub struct Statement {
    /// The text. It is one of ours, so that it can be prepared once.
    pub sql: &'static str,
    /// The parameters.
    pub values: Vec<Value>,
    /// What it means when it finds or touches no row: the batch ends with this error and leaves
    /// nothing behind.
    pub or: Option<StoreError>,
}

/// The rows of each statement of a batch.
pub type Rows = Vec<Vec<Vec<Value>>>;

/// Statements that are run in their order. Those that write are done all or not at all.
#[derive(Debug, Default)]
pub struct Batch(pub Vec<Statement>);

/// A database that runs batches.
pub trait Engine: Send + Sync {
    /// Runs statements that only read.
    fn read(&self, batch: Batch) -> impl Future<Output = Result<Rows, StoreError>> + Send;

    /// Runs statements that write, in one transaction.
    fn write(&self, batch: Batch) -> impl Future<Output = Result<Rows, StoreError>> + Send;

    /// How many bytes a tenant may be charged for.
    fn tenant_bytes(&self) -> u64;
}

impl Batch {
    /// Adds a statement that may find nothing.
    pub(super) fn then<const N: usize>(mut self, sql: &'static str, values: [Value; N]) -> Self {
        self.0.push(Statement { sql, values: values.into(), or: None });
        self
    }

    /// Adds a statement that must find or touch something.
    pub(super) fn or<const N: usize>(
        mut self,
        sql: &'static str,
        values: [Value; N],
        or: StoreError,
    ) -> Self {
        self.0.push(Statement { sql, values: values.into(), or: Some(or) });
        self
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Integer(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<&Id> for Value {
    fn from(id: &Id) -> Self {
        id.as_str().into()
    }
}

impl From<Option<&Id>> for Value {
    fn from(id: Option<&Id>) -> Self {
        id.map_or(Value::Null, Value::from)
    }
}

impl From<&crate::Tenant> for Value {
    fn from(tenant: &crate::Tenant) -> Self {
        tenant.as_str().into()
    }
}

/// The columns of a row, one after the other.
pub(super) struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    pub(super) fn of(row: Vec<Value>) -> Self {
        Columns(row.into_iter())
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or_else(unreadable)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text.as_ref().to_owned())),
            Some(Value::Null) => Ok(None),
            _ => Err(unreadable()),
        }
    }

    pub(super) fn id(&mut self) -> Result<Id, StoreError> {
        self.optional_id()?.ok_or_else(unreadable)
    }

    pub(super) fn optional_id(&mut self) -> Result<Option<Id>, StoreError> {
        let id = self.optional_text()?.map(|text| text.parse().map_err(|_| unreadable()));
        id.transpose()
    }

    pub(super) fn integer(&mut self) -> Result<i64, StoreError> {
        match self.0.next() {
            Some(Value::Integer(number)) => Ok(number),
            _ => Err(unreadable()),
        }
    }
}

/// A column that holds what it cannot hold.
pub(super) fn unreadable() -> StoreError {
    StoreError::Corrupt("a row does not hold what was written there".to_owned())
}

/// The rows of the last statement of a batch.
pub(super) fn last(rows: Rows) -> Vec<Columns> {
    let rows = rows.into_iter().next_back().unwrap_or_default();
    rows.into_iter().map(Columns::of).collect()
}

/// The one row of the last statement of a batch.
pub(super) fn only(rows: Rows) -> Result<Columns, StoreError> {
    last(rows).pop().ok_or_else(unreadable)
}

/// An item, of the columns `id, json`.
pub(super) fn item_of(columns: &mut Columns) -> Result<StoredItem, StoreError> {
    Ok(StoredItem { id: columns.id()?, json: columns.text()? })
}

pub(super) fn read_item(rows: Rows) -> Result<StoredItem, StoreError> {
    item_of(&mut only(rows)?)
}

/// A page, of one row more than it holds.
pub(super) fn read_page(rows: Rows, limit: u32) -> Result<ItemPage, StoreError> {
    let items = last(rows).iter_mut().map(item_of).collect::<Result<Vec<_>, _>>();
    let mut items = items?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    Ok(ItemPage { items, has_more })
}
