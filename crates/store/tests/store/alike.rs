//! A law: whatever is asked, in whatever order, the databases answer as the store in memory does.

use std::cell::RefCell;

use latimer_store::{
    Bounds, Conversation, Id, Memory, MemoryLimits, NEVER, Page, Sqlite, SqliteOptions, Store,
    StoredEvent, StoredItem, Tenant, Thread, Turn, TurnStatus, Update,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::{Builder, Runtime};

use crate::conformance::{id, items, tenant};

/// How many names there are of each kind; few, so that they meet.
const NAMES: u8 = 4;

const STATUSES: [&str; 6] =
    ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"];

/// One thing that is asked: which, and some numbers that say of what.
#[derive(Debug, Clone)]
struct Ask {
    what: u8,
    numbers: [u8; 6],
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask = (0..17_u8, any::<[u8; 6]>()).prop_map(|(what, numbers)| Ask { what, numbers });
    prop::collection::vec(ask, 1..80)
}

fn name(kind: &str, number: u8) -> Id {
    id(&format!("{kind}{}", number % NAMES))
}

fn list(count: u8, from: u8) -> Vec<StoredItem> {
    let names: Vec<_> = (0..count % 4).map(|at| name("i", from.wrapping_add(at))).collect();
    items(&names.iter().map(Id::as_str).collect::<Vec<_>>())
}

fn expiry(number: u8) -> i64 {
    [4, 8, 12, NEVER][usize::from(number % 4)]
}

fn thread(number: u8) -> Thread {
    match number % 2 {
        0 => Thread::Turn(name("r", number / 2)),
        _ => Thread::Conversation(name("c", number / 2)),
    }
}

fn turn(numbers: [u8; 6]) -> Turn {
    let [own, previous, conversation, status, expires_at, owner] = numbers;
    Turn {
        id: name("r", own),
        previous: (previous % 2 > 0).then(|| name("r", previous / 2)),
        conversation: (conversation % 2 > 0).then(|| name("c", conversation / 2)),
        created_at: i64::from(own),
        expires_at: expiry(expires_at),
        status: TurnStatus::named(STATUSES[usize::from(status % 6)]).unwrap(),
        owner: (owner % 2 > 0).then(|| name("g", owner / 2)),
        response: "{}".to_owned(),
    }
}

/// What a store answers, as text.
async fn answer(store: &dyn Store, tenant: &Tenant, ask: &Ask, now: i64) -> String {
    let numbers @ [a, b, c, d, e, f] = ask.numbers;
    match ask.what {
        0 | 1 => {
            let (input, output) = (list(b, c), list(d, e));
            format!("{:?}", store.put(tenant, turn(numbers), input, output).await)
        }
        2 => {
            let status = TurnStatus::named(STATUSES[usize::from(b % 6)]).unwrap();
            let update = Update { status, response: format!("[{c}]"), output: list(d, e) };
            format!("{:?}", store.update(tenant, &name("r", a), update).await)
        }
        3 => format!("{:?}", store.turn(tenant, &name("r", a), now).await),
        4 | 5 => {
            let bounds = Bounds {
                links: 1 + u32::from(b % 4),
                items: u32::from(c % 16),
                bytes: u64::from(d) * 4,
            };
            format!("{:?}", store.history(tenant, &thread(a), bounds, now).await)
        }
        6 => {
            let after = (b % 2 > 0).then(|| name("i", b / 2));
            let page = Page { after, limit: u32::from(c % 4), descending: d % 2 > 0 };
            format!("{:?}", store.items(tenant, &thread(a), page, now).await)
        }
        7 => {
            let conversation = (b % 2 > 0).then(|| name("c", b / 2));
            let found = store.item(tenant, conversation.as_ref(), &name("i", a), now).await;
            format!("{found:?}")
        }
        8 => format!("{:?}", store.delete(tenant, &thread(a), now).await),
        9 => {
            let (id, expires_at) = (name("c", a), expiry(b));
            let metadata = format!("[{c}]");
            let open = Conversation { id, created_at: i64::from(a), expires_at, metadata };
            format!("{:?}", store.open(tenant, open, list(d, e)).await)
        }
        10 => format!("{:?}", store.conversation(tenant, &name("c", a), now).await),
        11 => {
            let metadata = "x".repeat(usize::from(b));
            format!("{:?}", store.set_metadata(tenant, &name("c", a), metadata, now).await)
        }
        12 => format!("{:?}", store.append(tenant, &name("c", a), list(b, c), now).await),
        13 => {
            let (conversation, item) = (name("c", a), name("i", b));
            format!("{:?}", store.remove_item(tenant, &conversation, &item, now).await)
        }
        14 => {
            let event =
                |at| StoredEvent { sequence: i64::from(b % 8 + at), json: format!("[{at}]") };
            let events = (0..c % 3).map(event).collect();
            format!("{:?}", store.append_events(tenant, &name("r", a), events).await)
        }
        15 => {
            let after = (b % 2 > 0).then(|| i64::from(b / 2 % 8));
            let (response, limit) = (name("r", a), u32::from(c % 8));
            format!("{:?}", store.events(tenant, &response, after, limit, now).await)
        }
        _ => {
            store.renew(&name("g", a), now + i64::from(b % 8)).await.unwrap();
            let expired = if f % 4 == 0 { store.expire(now, 100).await.unwrap() } else { 0 };
            let mut orphans = store.orphans(now, 100).await.unwrap();
            orphans.sort_by_key(|(tenant, turn)| (tenant.clone(), turn.id.clone()));
            format!("{expired} {orphans:?}")
        }
    }
}

/// Asks a store and one in memory the same, many times, each time of empty stores.
fn hold(cases: u32, mut empty: impl FnMut(&Runtime) -> Box<dyn Store>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let empty = RefCell::new(&mut empty);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(&asks(), |asks| {
        let (memory, store) = (Memory::new(MemoryLimits::default()), empty.borrow_mut()(&runtime));
        for (at, ask) in asks.iter().enumerate() {
            // Two tenants with the same names.
            let tenant = tenant(if ask.numbers[5] % 3 > 0 { "one" } else { "other" });
            let now = at as i64 / 4;
            let wanted = runtime.block_on(answer(&memory, &tenant, ask, now));
            let given = runtime.block_on(answer(&*store, &tenant, ask, now));
            prop_assert_eq!(given, wanted, "{}: {:?}", at, ask);
        }
        Ok(())
    });
    held.unwrap();
}

#[test]
fn sqlite_answers_as_memory_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = 0..;
    hold(32, |_| {
        let path = directory.path().join(format!("{}.sqlite", files.next().unwrap()));
        Box::new(Sqlite::open(path, SqliteOptions::default()).unwrap())
    });
}

#[cfg(feature = "postgres")]
#[test]
fn postgres_answers_as_memory_does() {
    use latimer_store::{Postgres, PostgresOptions};
    let Some(server) = latimer_scratch::PostgresServer::start().unwrap() else { return };
    let address = server.address();
    hold(16, |runtime| {
        let store = Postgres::new(&address, PostgresOptions::default()).unwrap();
        runtime.block_on(async {
            store.ready().await.unwrap();
            let tables = "latimer.turns, latimer.conversations, latimer.charges, latimer.owners";
            let client = crate::postgres::client(&address).await;
            client.batch_execute(&format!("TRUNCATE {tables} CASCADE")).await.unwrap();
        });
        Box::new(store)
    });
}
