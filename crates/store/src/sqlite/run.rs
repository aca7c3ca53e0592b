//! Runs a batch on a connection, and says what a failure of SQLite means.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Statement as Prepared, TransactionBehavior};

use crate::StoreError;
use crate::relational::{Batch, Rows, Statement, Value};

/// What a batch is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Read,
    Write,
}

/// Why a batch was not run.
#[derive(Debug)]
pub(super) enum Failure {
    /// A statement found nothing where there had to be something.
    Missing(StoreError),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl Failure {
    /// What it means, with the file it happened to.
    pub fn told_of(self, path: &Path) -> StoreError {
        match self {
            Failure::Missing(error) => error,
            Failure::Sqlite(error) => meaning(&error, path),
        }
    }
}

/// What an error of SQLite means.
pub(super) fn meaning(error: &rusqlite::Error, path: &Path) -> StoreError {
    let file = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Busy(format!("another process has locked {file}"))
        }
        Some(ErrorCode::DiskFull) => StoreError::Full("the file or the disk has no room for more"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, error),
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => StoreError::Gone(format!("{file}: {error}")),
        _ => StoreError::Refused(format!("{file}: {error}")),
    }
}

/// A file that cannot be read, and what to do about it.
pub(super) fn damaged(path: &Path, what: &dyn std::fmt::Display) -> StoreError {
    let file = path.display();
    StoreError::Corrupt(format!(
        "{file} is damaged or no database of Latimer ({what}). Nothing in it was changed. Put a \
         backup in its place, try `sqlite3 {file} .recover`, or move it away, with {file}-wal and \
         {file}-shm, to begin with an empty store"
    ))
}

/// Runs a batch. One that fails leaves nothing behind.
pub(super) fn run(
    connection: &mut Connection,
    batch: Batch,
    access: Access,
) -> Result<Rows, Failure> {
    let behavior = match access {
        Access::Read => TransactionBehavior::Deferred,
        Access::Write => TransactionBehavior::Immediate,
    };
    let transaction = connection.transaction_with_behavior(behavior)?;
    let mut rows = Rows::with_capacity(batch.0.len());
    for statement in batch.0 {
        rows.push(run_one(&transaction, statement)?);
    }
    transaction.commit()?;
    Ok(rows)
}

fn run_one(connection: &Connection, statement: Statement) -> Result<Vec<Vec<Value>>, Failure> {
    let mut prepared = connection.prepare_cached(statement.sql)?;
    bind(&mut prepared, &statement.values)?;
    let (rows, found) = match prepared.column_count() {
        0 => (Vec::new(), prepared.raw_execute()?),
        columns => {
            let rows = read(&mut prepared, columns)?;
            let found = rows.len();
            (rows, found)
        }
    };
    match statement.or {
        Some(error) if found == 0 => Err(Failure::Missing(error)),
        _ => Ok(rows),
    }
}

/// The names of parameters; SQLite counts them in the order in which they come up.
const NAMES: [&str; 13] =
    ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13"];

fn bind(prepared: &mut Prepared<'_>, values: &[Value]) -> rusqlite::Result<()> {
    for (name, value) in NAMES.iter().zip(values) {
        let Some(index) = prepared.parameter_index(name)? else { continue };
        match value {
            Value::Null => prepared.raw_bind_parameter(index, rusqlite::types::Null)?,
            Value::Integer(number) => prepared.raw_bind_parameter(index, number)?,
            Value::Text(text) => prepared.raw_bind_parameter(index, &**text)?,
        }
    }
    Ok(())
}

fn read(prepared: &mut Prepared<'_>, columns: usize) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut cursor = prepared.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = cursor.next()? {
        let values = (0..columns).map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Text(text) => Value::from(std::str::from_utf8(text)?),
                ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Null,
            })
        });
        rows.push(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(rows)
}
