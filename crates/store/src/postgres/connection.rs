//! One connection: made, brought up to date, and the batches on it. The statements of a batch are
//! sent at once and answered one after the other, so that a batch takes one round trip to read and
//! two to write, however long it is.

use std::collections::HashMap;
use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::{FutureExt, maybe_done};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Error, NoTls, Row, Socket, Statement as Prepared};

use super::meaning::meaning;
use super::tls::Tls;
use crate::StoreError;
use crate::relational::{Batch, Rows, Statement, Value, migrations_after};

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Where the server is, and what every connection to it is told.
pub(super) struct Address {
    config: Config,
    /// None where the address says so.
    tls: Option<Tls>,
    answer_wait: Duration,
    /// Whether the schema is known to be up to date.
    migrated: AtomicBool,
}

impl Address {
    pub fn new(
        config: Config,
        roots: Option<&Path>,
        answer_wait: Duration,
    ) -> Result<Self, StoreError> {
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Tls::new(roots)?),
        };
        Ok(Address { config, tls, answer_wait, migrated: AtomicBool::new(false) })
    }

    /// What a connection is told first. A server that would acknowledge what it has not written is
    /// told to wait; a gateway that froze inside a transaction must not hold its locks.
    fn greeting(&self) -> String {
        let ms = self.answer_wait.as_millis();
        format!(
            "SET search_path = latimer; SET statement_timeout = {ms}; SET lock_timeout = {ms};
             SET idle_in_transaction_session_timeout = {ms};
             SET default_transaction_isolation = 'read committed';
             SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') = 'off'"
        )
    }
}

/// A connection and what is prepared on it.
pub(super) struct Connection {
    client: Client,
    prepared: HashMap<&'static str, Prepared>,
}

/// What a statement answers: its rows, and how many it found or touched.
type Answered = Result<(Vec<Vec<Value>>, u64), Error>;

/// A statement that is on its way once it was looked at.
type Sent<'a> = Pin<Box<dyn Future<Output = Answered> + Send + 'a>>;

impl Connection {
    pub async fn open(address: &Address) -> Result<Self, StoreError> {
        let told = |error: Error| meaning(&error);
        let client = match address.tls.clone() {
            Some(tls) => connect(&address.config, tls).await,
            None => connect(&address.config, NoTls).await,
        };
        let mut client = client.map_err(told)?;
        client.batch_execute(&address.greeting()).await.map_err(told)?;
        if !address.migrated.load(Ordering::Acquire) {
            migrate(&mut client).await?;
            address.migrated.store(true, Ordering::Release);
        }
        Ok(Connection { client, prepared: HashMap::new() })
    }

    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Runs a batch. One that fails leaves nothing behind, unless the line broke.
    pub async fn run(&mut self, batch: Batch, access: Access) -> Result<Rows, StoreError> {
        let told = |error: Error| meaning(&error);
        let transaction = access == Access::Write && batch.0.len() > 1;
        let prepared = self.prepare(&batch).await.map_err(told)?;
        let client = &self.client;
        let statements = batch.0.iter().zip(&prepared);
        let statements =
            statements.map(|(statement, prepared)| answer(client, prepared, statement));
        let sent = transaction.then(|| begin(client).boxed()).into_iter();
        let sent = sent.chain(statements.map(FutureExt::boxed)).collect();
        let mut answers = in_order(sent).await.into_iter();
        if transaction {
            answers.next().transpose().map_err(told)?;
        }
        let rows = sort_out(batch, answers);
        match (transaction, &rows) {
            (false, _) => {}
            (true, Ok(_)) => client.batch_execute("COMMIT").await.map_err(told)?,
            (true, Err(_)) => client.batch_execute("ROLLBACK").await.map_err(told)?,
        }
        rows
    }

    /// The statements of a batch, prepared where they are new to this connection.
    async fn prepare(&mut self, batch: &Batch) -> Result<Vec<Prepared>, Error> {
        let mut all = Vec::with_capacity(batch.0.len());
        for Statement { sql, .. } in &batch.0 {
            let prepared = match self.prepared.get(sql) {
                Some(prepared) => prepared.clone(),
                None => self.client.prepare(sql).await?,
            };
            self.prepared.insert(sql, prepared.clone());
            all.push(prepared);
        }
        Ok(all)
    }
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let (client, line) = config.connect(tls).await?;
    tokio::spawn(async move {
        // How it ended is told to whoever waits for an answer on it.
        drop(line.await);
    });
    Ok(client)
}

/// Sends all statements in their order, then waits for all answers.
async fn in_order(sent: Vec<Sent<'_>>) -> Vec<Answered> {
    let mut sent: Vec<_> = sent.into_iter().map(maybe_done).collect();
    poll_fn(|context| {
        for statement in &mut sent {
            let _ = statement.poll_unpin(context);
        }
        Poll::Ready(())
    })
    .await;
    let mut answers = Vec::with_capacity(sent.len());
    for mut statement in sent {
        (&mut statement).await;
        answers.extend(Pin::new(&mut statement).take_output());
    }
    answers
}

async fn begin(client: &Client) -> Answered {
    client.batch_execute("BEGIN").await.map(|()| (Vec::new(), 0))
}

async fn answer(client: &Client, prepared: &Prepared, statement: &Statement) -> Answered {
    let values: Vec<_> =
        statement.values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    if prepared.columns().is_empty() {
        return Ok((Vec::new(), client.execute(prepared, &values).await?));
    }
    let rows = client.query(prepared, &values).await?;
    let rows = rows.iter().map(values_of).collect::<Result<Vec<_>, _>>()?;
    let found = rows.len() as u64;
    Ok((rows, found))
}

/// The first thing that went wrong, or all rows.
fn sort_out(batch: Batch, answers: impl Iterator<Item = Answered>) -> Result<Rows, StoreError> {
    let mut all = Rows::with_capacity(batch.0.len());
    for (statement, answered) in batch.0.into_iter().zip(answers) {
        let (rows, found) = answered.map_err(|error| meaning(&error))?;
        match statement.or {
            Some(error) if found == 0 => return Err(error),
            _ => all.push(rows),
        }
    }
    Ok(all)
}

fn values_of(row: &Row) -> Result<Vec<Value>, Error> {
    let value = |(at, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map(Value::from),
            _ => row.try_get::<_, Option<&str>>(at)?.map(Value::from),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    row.columns().iter().enumerate().map(value).collect()
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => number.to_sql(kind, out),
            Value::Text(text) => (&**text).to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::TEXT)
    }

    to_sql_checked!();
}

/// The lock that is held while the schema is changed, so that of several gateways that start at once
/// one does it: "latimer" in ASCII.
const MIGRATING: i64 = 0x006c_6174_696d_6572;

/// Does what this version knows and the database has not seen.
async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let told = |error: Error| meaning(&error);
    let transaction = client.transaction().await.map_err(told)?;
    let lock = format!("SELECT pg_advisory_xact_lock({MIGRATING})");
    transaction.batch_execute(&lock).await.map_err(told)?;
    let exists = "SELECT to_regclass('latimer.migrations') IS NOT NULL";
    let exists: bool =
        transaction.query_one(exists, &[]).await.and_then(|row| row.try_get(0)).map_err(told)?;
    if !exists {
        let make = "CREATE SCHEMA IF NOT EXISTS latimer;
            CREATE TABLE latimer.migrations (version BIGINT PRIMARY KEY)";
        transaction.batch_execute(make).await.map_err(told)?;
    }
    let seen = "SELECT COALESCE(max(version), 0) FROM latimer.migrations";
    let seen: i64 =
        transaction.query_one(seen, &[]).await.and_then(|row| row.try_get(0)).map_err(told)?;
    for (sql, version) in migrations_after(seen)? {
        transaction.batch_execute(sql).await.map_err(told)?;
        let noted = "INSERT INTO latimer.migrations (version) VALUES ($1)";
        transaction.execute(noted, &[&version]).await.map_err(told)?;
    }
    transaction.commit().await.map_err(told)
}
