//! A store in one file: SQLite with a write-ahead log, one connection that writes and some that
//! read. In: a path and [`SqliteOptions`]. Out: a [`Sqlite`], or a refusal in words that say what to
//! do about the file. What is acknowledged is on the disk.

mod file;
mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use self::file::File;
use crate::StoreError;
use crate::pool::Pool;
use crate::relational::{Batch, Engine, Rows};

/// Bounds of a store in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How long to wait for another process that has the file locked. Default 5 s.
    pub lock_wait: Duration,
    /// How long to wait for those who ask at the same time. Default 5 s.
    pub queue_wait: Duration,
    /// How many may wait at once, to write and to read each. Default 1024.
    pub queue: usize,
    /// How many may read at once. Default 4.
    pub readers: usize,
    /// How much one tenant may keep, in bytes of JSON and some for each row. Default 1 GiB.
    pub tenant_bytes: u64,
    /// How large the file may become, in bytes. Default 8 GiB.
    pub file_bytes: u64,
    /// Whether the whole file is looked over when it is opened, which takes about a second for each
    /// GiB. Default true.
    pub look_over: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions {
            lock_wait: Duration::from_secs(5),
            queue_wait: Duration::from_secs(5),
            queue: 1024,
            readers: 4,
            tenant_bytes: 1 << 30,
            file_bytes: 8 << 30,
            look_over: true,
        }
    }
}

/// A store in a file.
pub struct Sqlite {
    file: Arc<File>,
    writer: Arc<Pool<Connection>>,
    readers: Arc<Pool<Connection>>,
}

impl Sqlite {
    /// Opens the file and brings its schema up to date; where there is none yet, makes an empty one, in
    /// which the schema comes with the first that is asked or kept. It waits for the disk: call it
    /// before there is traffic.
    ///
    /// # Errors
    /// `Corrupt` when the file is damaged or no database; nothing is changed then. `Busy` when
    /// another process has locked it, `Gone` when it cannot be opened, `Refused` when it is another
    /// program's or a newer version's.
    pub fn open(path: impl Into<PathBuf>, options: SqliteOptions) -> Result<Self, StoreError> {
        let writer = Pool::new(1, options.queue, options.queue_wait);
        let readers = Pool::new(options.readers.max(1), options.queue, options.queue_wait);
        let file = Arc::new(File::new(path.into(), options));
        if !file.make()? {
            writer.keep(file.connection()?);
        }
        Ok(Sqlite { file, writer, readers })
    }

    async fn run(
        &self,
        pool: &Arc<Pool<Connection>>,
        batch: Batch,
        access: run::Access,
    ) -> Result<Rows, StoreError> {
        let mut lease = pool.lease().await?;
        let file = Arc::clone(&self.file);
        let work = tokio::task::spawn_blocking(move || {
            let mut connection = match lease.connection.take() {
                Some(connection) => connection,
                None => file.connection()?,
            };
            let rows = run::run(&mut connection, batch, access);
            let rows = rows.map_err(|failure| failure.told_of(&file.path));
            if !matches!(rows, Err(StoreError::Gone(_) | StoreError::Corrupt(_))) {
                lease.give_back(connection);
            }
            rows
        });
        work.await.unwrap_or_else(|_| Err(StoreError::Refused("the thread died".to_owned())))
    }
}

impl Engine for Sqlite {
    async fn read(&self, batch: Batch) -> Result<Rows, StoreError> {
        self.run(&self.readers, batch, run::Access::Read).await
    }

    async fn write(&self, batch: Batch) -> Result<Rows, StoreError> {
        self.run(&self.writer, batch, run::Access::Write).await
    }

    fn tenant_bytes(&self) -> u64 {
        self.file.options.tenant_bytes
    }
}
