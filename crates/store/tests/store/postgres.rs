//! The store in PostgreSQL, on a real server, and its bad days.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use latimer_scratch::PostgresServer;
use latimer_store::{Postgres, PostgresOptions, Store, StoreError, Thread, Update};

use crate::conformance::{self, NOW, WIDE, id, items, names, tenant, turn};

fn store(address: &str) -> Postgres {
    let tenant_bytes = conformance::TENANT_BYTES;
    Postgres::new(address, PostgresOptions { tenant_bytes, ..PostgresOptions::default() }).unwrap()
}

/// A connection past the store.
async fn client(address: &str) -> tokio_postgres::Client {
    let (client, line) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(line);
    client
}

#[tokio::test]
async fn conforms() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let store = store(&server.address());
    conformance::hold(&store).await;
}

#[tokio::test]
async fn several_gateways_share_one_database() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let address = server.address();
    let gateways: Vec<_> = (0..4).map(|_| store(&address)).collect();
    // All at once find the database empty.
    let ready =
        futures_util::future::join_all(gateways.iter().map(|gateway| gateway.ready())).await;
    assert_eq!(ready, [Ok(()), Ok(()), Ok(()), Ok(())]);
    // Each turn of a chain goes to another one.
    let tenant = tenant("jumping");
    let mut previous: Option<String> = None;
    for (at, gateway) in gateways.iter().cycle().take(12).enumerate() {
        let name = format!("r{at}");
        let history = match &previous {
            None => Vec::new(),
            Some(name) => {
                let thread = Thread::Turn(id(name));
                gateway.history(&tenant, &thread, WIDE, NOW).await.unwrap()
            }
        };
        assert_eq!(history.len(), at);
        let turn = turn(&name, previous.as_deref());
        gateway.put(&tenant, turn, items(&[&name]), Vec::new()).await.unwrap();
        previous = Some(name);
    }
    // Whoever ends a response, it ends once.
    let open = conformance::open_turn("open");
    gateways[0].put(&tenant, open, Vec::new(), Vec::new()).await.unwrap();
    let name = id("open");
    let ends = gateways.iter().map(|gateway| {
        let ended = Update { output: items(&["out"]), ..conformance::update("completed", &[]) };
        gateway.update(&tenant, &name, ended)
    });
    let ended = futures_util::future::join_all(ends).await;
    assert_eq!(ended.iter().filter(|result| result.is_ok()).count(), 1, "{ended:?}");
    let output = gateways[3].history(&tenant, &Thread::Turn(name), WIDE, NOW).await.unwrap();
    assert_eq!(names(&output), ["out"]);
}

/// Acknowledgements before the crash, and again after it.
const ACKNOWLEDGED: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_loses_nothing_acknowledged() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let address = server.address();
    let store = Arc::new(Postgres::new(&address, PostgresOptions::default()).unwrap());
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, stop, count) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&count));
            tokio::spawn(async move { write_until(&*store, writer, &stop, &count).await })
        })
        .collect();
    reach(&count, ACKNOWLEDGED).await;
    server.crash().unwrap();
    let gone = store.ready().await;
    assert!(matches!(gone, Err(StoreError::Gone(_))), "{gone:?}");
    server.begin().unwrap();
    assert_eq!(store.ready().await, Ok(()), "at once, when the server is back");
    let before = count.load(Ordering::SeqCst);
    reach(&count, before + ACKNOWLEDGED).await;
    stop.store(true, Ordering::SeqCst);
    let mut kinds = BTreeSet::new();
    for writer in writers {
        let (acknowledged, failed) = writer.await.unwrap();
        for name in acknowledged {
            let history = store.history(&tenant("load"), &Thread::Turn(id(&name)), WIDE, NOW).await;
            assert_eq!(history.unwrap(), items(&[&name]));
        }
        kinds.extend(failed);
    }
    assert!(kinds.iter().all(|kind| *kind == "gone"), "{kinds:?}");
}

/// Writes turns, and says which were acknowledged and how others failed.
async fn write_until(
    store: &dyn Store,
    writer: usize,
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> (Vec<String>, Vec<&'static str>) {
    let (mut acknowledged, mut failed) = (Vec::new(), Vec::new());
    for at in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("w{writer}-{at}");
        match store.put(&tenant("load"), turn(&name, None), items(&[&name]), Vec::new()).await {
            Ok(()) => {
                count.fetch_add(1, Ordering::SeqCst);
                acknowledged.push(name);
            }
            Err(StoreError::Gone(_)) => failed.push("gone"),
            Err(_) => failed.push("other"),
        }
    }
    (acknowledged, failed)
}

async fn reach(count: &AtomicUsize, wanted: usize) {
    while count.load(Ordering::SeqCst) < wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_is_slow_is_busy() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let address = server.address();
    let options = PostgresOptions {
        connections: 2,
        queue: 1,
        queue_wait: Duration::from_millis(100),
        answer_wait: Duration::from_millis(400),
        ..PostgresOptions::default()
    };
    let store = Postgres::new(&address, options).unwrap();
    store.ready().await.unwrap();
    let other = client(&address).await;
    other.batch_execute("BEGIN; LOCK TABLE latimer.turns").await.unwrap();
    let tenant = tenant("slow");
    let put = |name| store.put(&tenant, turn(name, None), Vec::new(), Vec::new());
    // Two wait for the lock, one for a connection, and one may not wait at all.
    let (a, b, c, d) = tokio::join!(put("a"), put("b"), put("c"), put("d"));
    for result in [a, b, c, d] {
        assert!(matches!(result, Err(StoreError::Busy(_))), "{result:?}");
    }
    other.batch_execute("COMMIT").await.unwrap();
    for name in ["a", "b", "c", "d"] {
        put(name).await.unwrap();
    }
}

#[tokio::test]
async fn one_that_is_not_there_is_gone() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let options =
        PostgresOptions { connect_wait: Duration::from_millis(100), ..PostgresOptions::default() };
    for address in [&format!("postgres://x@127.0.0.1:{port}/x"), "postgres://x@127.0.0.1:1/x"] {
        let store = Postgres::new(address, options.clone()).unwrap();
        let gone = store.ready().await;
        assert!(matches!(gone, Err(StoreError::Gone(_))), "{gone:?}");
    }
}

#[tokio::test]
async fn an_address_is_never_shown() {
    let secret = "postgres://me:geheim@host:port/";
    let refused = Postgres::new(secret, PostgresOptions::default()).err().unwrap();
    assert!(matches!(refused, StoreError::Refused(_)));
    assert!(!format!("{refused} {refused:?}").contains("geheim"));
}

/// Tables of which no query may read every row.
const TABLES: [&str; 5] = ["turns", "turn_items", "events", "conversations", "conversation_items"];

#[tokio::test]
async fn no_query_reads_a_whole_table() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let address = server.address();
    store(&address).ready().await.unwrap();
    let admin = client(&address).await;
    admin.batch_execute(MANY_ROWS).await.unwrap();
    let store = store(&address);
    conformance::hold(&store).await;
    let log = server.log();
    assert!(log.contains("Index Scan using turns_pkey"), "the plans are not in the log");
    for table in TABLES {
        let scan = format!("Seq Scan on {table} ");
        let place = log.find(&scan).unwrap_or_default();
        let about = log.get(place.saturating_sub(3000)..place).unwrap_or_default();
        assert!(place == 0, "{about}{scan}");
    }
}

/// Rows of another tenant, as many as make a plan that reads them all a bad one; and from now on
/// each plan goes to the log.
const MANY_ROWS: &str = "SET search_path = latimer;
    INSERT INTO turns SELECT 'x', 'r' || n, 'r' || (n - 1), NULL, 0, 100000 + n, 'completed', NULL,
        '{}', 1, 1, 2, 130 FROM generate_series(1, 20000) AS n;
    INSERT INTO turn_items SELECT 'x', 'r' || n, 0, 'i' || n, '{}'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO events SELECT 'x', 'r' || n, 0, '{}' FROM generate_series(1, 20000) AS n;
    INSERT INTO conversations SELECT 'x', 'c' || n, 0, 100000 + n, '{}', 1, 1, 2, 130
        FROM generate_series(1, 20000) AS n;
    INSERT INTO conversation_items SELECT 'x', 'c' || n, 0, 'i' || n, '{}'
        FROM generate_series(1, 20000) AS n;
    ANALYZE;
    ALTER DATABASE postgres SET session_preload_libraries = 'auto_explain';
    ALTER DATABASE postgres SET auto_explain.log_min_duration = 0;
    ALTER DATABASE postgres SET auto_explain.log_nested_statements = on;";
