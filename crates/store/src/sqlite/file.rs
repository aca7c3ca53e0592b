//! The file: opened, made, looked over and brought up to date.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::SqliteOptions;
use super::run::{damaged, meaning};
use crate::StoreError;
use crate::relational::migrations_after;

/// What marks a file as ours, in SQLite's header: "Latm".
const APPLICATION: i64 = 0x4c61_746d;

/// How large the write-ahead log may stay once it was written back, in bytes.
const LOG_BYTES: i64 = 64 << 20;

/// How many statements a connection keeps prepared.
const PREPARED: usize = 64;

/// The file of a store.
pub(super) struct File {
    pub path: PathBuf,
    pub options: SqliteOptions,
    /// Whether it was looked over and brought up to date.
    is_ready: Mutex<bool>,
}

impl File {
    pub fn new(path: PathBuf, options: SqliteOptions) -> File {
        File { path, options, is_ready: Mutex::new(false) }
    }

    /// Makes the file where it is missing: an empty one that only its owner can read, since it will
    /// hold what people say. Says whether there is nothing in it.
    pub fn make(&self) -> Result<bool, StoreError> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let found = options.open(&self.path).and_then(|file| file.metadata());
        let gone = |error| StoreError::Gone(format!("{}: {error}", self.path.display()));
        Ok(found.map_err(gone)?.len() == 0)
    }

    /// A connection to it; the first sees to it that the file can be used.
    pub fn connection(&self) -> Result<Connection, StoreError> {
        let mut is_ready = self.is_ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_ready {
            self.make()?;
            let connection = prepare(&self.path, &self.options)?;
            *is_ready = true;
            return Ok(connection);
        }
        drop(is_ready);
        connect(&self.path, &self.options)
    }
}

/// Sees to it that the file can be used.
fn prepare(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let mut connection = connect(path, options)?;
    let told = |error: rusqlite::Error| meaning(&error, path);
    ours(&connection, path)?;
    if options.look_over {
        look_over(&connection, path)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(told)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn connect(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let told = |error: rusqlite::Error| meaning(&error, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(options.lock_wait).map_err(told)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.pragma_update(None, "foreign_keys", true).map_err(told)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(told)?;
    // These two answer with a row, so they are queries.
    let set = |pragma: &str, value: i64| {
        connection.query_row(&format!("PRAGMA {pragma} = {value}"), [], |_| Ok(()))
    };
    set("journal_size_limit", LOG_BYTES).map_err(told)?;
    let page_bytes = number(&connection, "page_size").map_err(told)?.max(1).cast_unsigned();
    let pages = i64::try_from(options.file_bytes / page_bytes).unwrap_or(i64::MAX);
    set("max_page_count", pages).map_err(told)?;
    Ok(connection)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// That the file is no other program's.
fn ours(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let told = |error: rusqlite::Error| meaning(&error, path);
    let application = number(connection, "application_id").map_err(told)?;
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0)).map_err(told)?;
    match (application, tables) {
        (APPLICATION, _) | (0, 0) => Ok(()),
        _ => Err(StoreError::Refused(format!(
            "{} is a database of another program; name another file",
            path.display()
        ))),
    }
}

/// That its pages and rows can be read.
fn look_over(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(damaged(path, &found.replace('\n', " "))),
        Err(error) => Err(meaning(&error, path)),
    }
}

/// Does what this version knows and the file has not seen, in one step each.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let told = |error: rusqlite::Error| meaning(&error, path);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(told)?;
    let seen = number(&transaction, "user_version").map_err(told)?;
    for (sql, version) in migrations_after(seen)? {
        transaction.execute_batch(sql).map_err(told)?;
        transaction.pragma_update(None, "user_version", version).map_err(told)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(told)?;
    transaction.commit().map_err(told)
}
