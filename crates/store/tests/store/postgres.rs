//! The store in PostgreSQL, on a real server, and its bad days.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use latimer_scratch::PostgresServer;
use latimer_store::{
    Page, Postgres, PostgresOptions, Store, StoreError, StoredEvent, Tenant, Thread, Turn, Update,
};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::conformance::{self, NOW, WIDE, id, items, names, tenant, turn};

fn store(address: &str) -> Postgres {
    let tenant_bytes = conformance::TENANT_BYTES;
    Postgres::new(address, PostgresOptions { tenant_bytes, ..PostgresOptions::default() }).unwrap()
}

/// A connection past the store.
pub async fn client(address: &str) -> tokio_postgres::Client {
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

/// Several gateways do at once what touches the same rows: in whatever order they come, none waits
/// for another in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_in_a_circle() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let address = server.address();
    let tenant = tenant("circle");
    let store = Arc::new(store(&address));
    for name in ["c0", "c1"] {
        store.open(&tenant, conformance::conversation(name), Vec::new()).await.unwrap();
    }
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let (store, tenant) = (Arc::clone(&store), tenant.clone());
            tokio::spawn(async move {
                for at in 0..30 {
                    jostle(&*store, &tenant, worker, at).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(!server.log().contains("deadlock detected"));
}

/// One of the things that lock several rows, chosen by the numbers.
async fn jostle(store: &dyn Store, tenant: &Tenant, worker: usize, at: usize) {
    let conversation = id(&format!("c{}", (worker + at) % 2));
    let name = format!("w{worker}-{at}");
    let mortal = Turn {
        conversation: Some(conversation.clone()),
        expires_at: NOW + 1 + at as i64 % 3,
        ..turn(&name, None)
    };
    let done = match (worker * 7 + at * 5) % 6 {
        0 => store.put(tenant, mortal, items(&[&name]), Vec::new()).await,
        1 => store.append(tenant, &conversation, items(&["a", "b"]), NOW).await,
        2 => store.remove_item(tenant, &conversation, &id("a"), NOW).await,
        3 => store.set_metadata(tenant, &conversation, name, NOW).await,
        4 => store.expire(NOW + 2, 10).await.map(drop),
        _ => {
            let status = conformance::open_turn(&name).status;
            store.put(tenant, Turn { status, ..mortal }, items(&["i"]), Vec::new()).await.unwrap();
            let ended = conformance::update("completed", &["o"]);
            store.update(tenant, &id(&name), ended).await
        }
    };
    // An item may be gone already, and a turn may have expired.
    let expected = |error: &StoreError| matches!(error, StoreError::NotFound(_));
    assert!(done.as_ref().err().is_none_or(expected), "{done:?}");
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
        answer_wait: Duration::from_secs(1),
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
async fn one_that_freezes_is_gone_and_found_again() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let address = server.address();
    let freeze = Arc::new(Notify::new());
    let port = line_to(&address, Arc::clone(&freeze)).await;
    let options = PostgresOptions {
        connections: 1,
        answer_wait: Duration::from_secs(1),
        ..PostgresOptions::default()
    };
    let through = format!("postgres://latimer@127.0.0.1:{port}/postgres?sslmode=disable");
    let store = Postgres::new(&through, options).unwrap();
    let tenant = tenant("frozen");
    let put = |name| store.put(&tenant, turn(name, None), Vec::new(), Vec::new());
    put("a").await.unwrap();
    freeze.notify_waiters();
    let gone = put("b").await;
    assert!(matches!(gone, Err(StoreError::Gone(_))), "{gone:?}");
    put("c").await.unwrap();
}

/// A way to a server, at a port of its own. Connections on it can be frozen: they stay open, and
/// nothing arrives any more.
async fn line_to(address: &str, freeze: Arc<Notify>) -> u16 {
    let server = address.split(['@', '/']).nth(3).unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&server).await.unwrap();
            let freeze = Arc::clone(&freeze);
            tokio::spawn(async move {
                tokio::select! {
                    ended = copy_bidirectional(&mut client, &mut server) => drop(ended),
                    () = freeze.notified() => std::future::pending().await,
                }
            });
        }
    });
    port
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
    ask_everything(&store(&address)).await;
    let log = server.log();
    assert!(log.contains("Index Scan using turns_pkey"), "the plans are not in the log");
    for table in TABLES {
        let scan = format!("Seq Scan on {table} ");
        let place = log.find(&scan).unwrap_or_default();
        let about = log.get(place.saturating_sub(3000)..place).unwrap_or_default();
        assert!(place == 0, "{about}{scan}");
    }
}

/// Every operation, on a tenant with many rows.
async fn ask_everything(store: &dyn Store) {
    let (x, conversation) = (&tenant("x"), &id("c19"));
    let page = Page { after: Some(id("i19")), limit: 5, descending: false };
    for thread in [Thread::Turn(id("r19")), Thread::Conversation(conversation.clone())] {
        assert!(!store.history(x, &thread, WIDE, NOW).await.unwrap().is_empty());
        assert_eq!(store.items(x, &thread, page.clone(), NOW).await.unwrap().items, []);
    }
    store.turn(x, &id("r19"), NOW).await.unwrap();
    store.conversation(x, conversation, NOW).await.unwrap();
    for within in [None, Some(conversation)] {
        store.item(x, within, &id("i19"), NOW).await.unwrap();
    }
    assert_eq!(store.events(x, &id("r19"), None, 5, NOW).await.unwrap().events.len(), 1);
    let open = Turn { conversation: Some(conversation.clone()), ..conformance::open_turn("open") };
    store.put(x, open, items(&["i"]), Vec::new()).await.unwrap();
    let event = StoredEvent { sequence: 0, json: "{}".to_owned() };
    store.append_events(x, &id("open"), vec![event]).await.unwrap();
    assert_eq!(store.orphans(NOW, 10).await.unwrap().len(), 1);
    store.update(x, &id("open"), conformance::update("completed", &["o"])).await.unwrap();
    store.append(x, conversation, items(&["a"]), NOW).await.unwrap();
    store.set_metadata(x, conversation, "{}".to_owned(), NOW).await.unwrap();
    store.remove_item(x, conversation, &id("a"), NOW).await.unwrap();
    store.delete(x, &Thread::Turn(id("open")), NOW).await.unwrap();
    store.open(x, conformance::conversation("c"), items(&["a"])).await.unwrap();
    store.delete(x, &Thread::Conversation(id("c")), NOW).await.unwrap();
    assert_eq!(store.expire(100_009, 10).await.unwrap(), 10);
}

/// Many rows of one tenant, in chains of ten; and from now on each plan goes to the log.
const MANY_ROWS: &str = "SET search_path = latimer;
    INSERT INTO turns SELECT 'x', 'r' || n, CASE WHEN n % 10 > 0 THEN 'r' || (n - 1) END, NULL, 0,
        100000 + n, 'completed', NULL, '{}', 1, 1, 2, 130 FROM generate_series(1, 20000) AS n;
    INSERT INTO turns VALUES ('x', 'r0', NULL, NULL, 0, 100000, 'completed', NULL, '{}', 0, 0, 0, 0);
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
