//! A store in PostgreSQL, which several gateways may share. In: its address and
//! [`PostgresOptions`]. Out: a [`Postgres`]. It connects when it is first needed and again after the
//! server was gone; what is acknowledged is committed there.

mod connection;
mod meaning;
mod tls;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use self::connection::{Access, Address, Connection};
use crate::StoreError;
use crate::pool::Pool;
use crate::relational::{Batch, Engine, Rows};

/// Bounds of a store in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How many connections at once. Default 16.
    pub connections: usize,
    /// How many may wait for one at once. Default 1024.
    pub queue: usize,
    /// How long they wait. Default 2 s.
    pub queue_wait: Duration,
    /// How long to wait for a connection that is being made. Default 2 s.
    pub connect_wait: Duration,
    /// How long to wait for an answer, and within it for locks. Default 5 s.
    pub answer_wait: Duration,
    /// How much one tenant may keep, in bytes of JSON and some for each row. Default 16 GiB.
    pub tenant_bytes: u64,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions {
            connections: 16,
            queue: 1024,
            queue_wait: Duration::from_secs(2),
            connect_wait: Duration::from_secs(2),
            answer_wait: Duration::from_secs(5),
            tenant_bytes: 16 << 30,
        }
    }
}

/// A store in PostgreSQL.
pub struct Postgres {
    address: Arc<Address>,
    options: PostgresOptions,
    pool: Arc<Pool<Connection>>,
}

impl Postgres {
    /// A store at an address like `postgres://user@host/database?sslmode=require`. Nothing is asked
    /// of the server yet; [`Store::ready`](crate::Store::ready) does.
    ///
    /// `sslmode` is `disable`, `prefer` (the default), or `require`, as which `verify-ca` and
    /// `verify-full` are taken. Where TLS is spoken, a
    /// certificate is verified always: by the trust of the platform, or by the PEM file that
    /// `&sslrootcert=/a/path` names.
    ///
    /// The tables are made in the schema `latimer`, which is made as well where it is missing.
    ///
    /// # Errors
    /// `Refused` when the address is none. It is not shown, since it may hold a password.
    pub fn new(address: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let (address, roots) = without_roots(address);
        let mut config = Config::from_str(&address).map_err(|_| {
            let wanted = "postgres://user:password@host:port/database";
            StoreError::Refused(format!("its address is not of the form {wanted}"))
        })?;
        config.connect_timeout(options.connect_wait);
        // After a failover the old primary, now read-only, is of no use.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.application_name("latimer");
        let address = Arc::new(Address::new(config, roots.as_deref(), options.answer_wait)?);
        let pool = Pool::new(options.connections.max(1), options.queue, options.queue_wait);
        Ok(Postgres { address, options, pool })
    }

    /// Runs a batch in a task of its own: a caller that goes away leaves no transaction half done.
    async fn run(&self, batch: Batch, access: Access) -> Result<Rows, StoreError> {
        let mut lease = self.pool.lease().await?;
        let (address, options) = (Arc::clone(&self.address), self.options.clone());
        let work = tokio::spawn(async move {
            let idle = lease.connection.take().filter(Connection::is_open);
            let mut connection = match idle {
                Some(connection) => connection,
                None => within(options.connect_wait, Connection::open(&address)).await?,
            };
            // The server is told to give up first, and says why.
            let rows = within(options.answer_wait * 2, connection.run(batch, access)).await;
            let usable = !matches!(rows, Err(StoreError::Gone(_)));
            if usable && connection.is_open() {
                lease.give_back(connection);
            }
            rows
        });
        work.await.unwrap_or_else(|_| Err(StoreError::Refused("the task died".to_owned())))
    }
}

/// An address without the file of certificates that it may name, which the library does not know,
/// and with the one mode that it knows for all that verify.
fn without_roots(address: &str) -> (String, Option<PathBuf>) {
    let Some((place, query)) = address.split_once('?') else { return (address.to_owned(), None) };
    let mut roots = None;
    let kept = query.split('&').filter_map(|pair| match pair.split_once('=') {
        Some(("sslrootcert", file)) => {
            roots = Some(PathBuf::from(file));
            None
        }
        Some(("sslmode", "verify-ca" | "verify-full")) => Some("sslmode=require"),
        _ => Some(pair),
    });
    let kept = kept.collect::<Vec<_>>().join("&");
    (format!("{place}?{kept}"), roots)
}

/// What comes within a time, or else the server is taken for gone, with its connection.
async fn within<T>(
    wait: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(wait, work).await {
        Ok(result) => result,
        Err(_) => {
            let ms = wait.as_millis();
            Err(StoreError::Gone(format!("PostgreSQL did not answer within {ms} ms")))
        }
    }
}

impl Engine for Postgres {
    async fn read(&self, batch: Batch) -> Result<Rows, StoreError> {
        self.run(batch, Access::Read).await
    }

    async fn write(&self, batch: Batch) -> Result<Rows, StoreError> {
        self.run(batch, Access::Write).await
    }

    fn tenant_bytes(&self) -> u64 {
        self.options.tenant_bytes
    }
}
