//! What remembering takes: a history of 1, 20 and 200 items read, and a turn of as many written, in
//! each store: `cargo bench -p latimer-store`. PostgreSQL is a server on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a measurement")]

use std::cell::Cell;

use divan::Bencher;
use divan::counter::ItemsCount;
use latimer_store::{
    Bounds, Id, Memory, MemoryLimits, Sqlite, SqliteOptions, Store, StoredItem, Tenant, Thread,
    Turn, TurnStatus,
};
use tokio::runtime::Runtime;

/// How many items a history has, and a turn.
const ITEMS: [usize; 3] = [1, 20, 200];

/// How long an item is, in bytes: a message of some lines.
const ITEM_BYTES: usize = 1_000;

const BOUNDS: Bounds = Bounds { links: 1_000, items: 1_000, bytes: 64 << 20 };

fn main() {
    divan::main();
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn turn(name: &str, previous: Option<Id>) -> Turn {
    Turn {
        id: id(name),
        previous,
        conversation: None,
        created_at: 0,
        expires_at: 2_000_000_000,
        status: TurnStatus::Completed,
        owner: None,
        response: "x".repeat(2 * ITEM_BYTES),
    }
}

fn items(count: usize) -> Vec<StoredItem> {
    let item = |at| StoredItem { id: id(&format!("item-{at}")), json: "x".repeat(ITEM_BYTES) };
    (0..count).map(item).collect()
}

/// Reads a chain of turns, each of one question and one answer, beside the chains of others.
fn history(bencher: Bencher<'_, '_>, store: &dyn Store, runtime: &Runtime, count: usize) {
    for chain in 0..20 {
        let tenant = Tenant::new(id(&format!("tenant-{}", chain % 4)));
        let mut previous = None;
        for at in 0..count.div_ceil(2) {
            let name = format!("turn-{chain}-{at}");
            let turn = turn(&name, previous.take());
            let output = items(usize::from(count > 1));
            runtime.block_on(store.put(&tenant, turn, items(1), output)).unwrap();
            previous = Some(id(&name));
        }
    }
    let tenant = Tenant::new(id("tenant-1"));
    let thread = Thread::Turn(id(&format!("turn-5-{}", count.div_ceil(2) - 1)));
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let items = runtime.block_on(store.history(&tenant, &thread, BOUNDS, 1)).unwrap();
        assert_eq!(items.len(), count);
    });
}

/// Writes turns that have ended.
fn put(bencher: Bencher<'_, '_>, store: &dyn Store, runtime: &Runtime, count: usize) {
    let (tenant, next) = (Tenant::new(id("tenant")), Cell::new(0));
    let input = || {
        next.set(next.get() + 1);
        (turn(&format!("turn-{}", next.get()), None), items(count))
    };
    bencher.counter(ItemsCount::new(count)).with_inputs(input).bench_local_values(
        |(turn, items)| {
            runtime.block_on(store.put(&tenant, turn, items, Vec::new())).unwrap();
        },
    );
}

type Measure = fn(Bencher<'_, '_>, &dyn Store, &Runtime, usize);

fn in_memory(bencher: Bencher<'_, '_>, measure: Measure, count: usize) {
    let limits = MemoryLimits { tenant_bytes: 4 << 30, total_bytes: 4 << 30 };
    measure(bencher, &Memory::new(limits), &Runtime::new().unwrap(), count);
}

fn in_sqlite(bencher: Bencher<'_, '_>, measure: Measure, count: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let store = Sqlite::open(path, SqliteOptions::default()).unwrap();
    measure(bencher, &store, &Runtime::new().unwrap(), count);
}

#[cfg(feature = "postgres")]
fn in_postgres(bencher: Bencher<'_, '_>, measure: Measure, count: usize) {
    let Some(server) = latimer_scratch::PostgresServer::start().unwrap() else { return };
    let options = latimer_store::PostgresOptions::default();
    let store = latimer_store::Postgres::new(&server.address(), options).unwrap();
    measure(bencher, &store, &Runtime::new().unwrap(), count);
}

mod memory {
    use super::{Bencher, ITEMS, in_memory};

    #[divan::bench(args = ITEMS)]
    fn history(bencher: Bencher<'_, '_>, count: usize) {
        in_memory(bencher, super::history, count);
    }

    #[divan::bench(args = ITEMS)]
    fn put(bencher: Bencher<'_, '_>, count: usize) {
        in_memory(bencher, super::put, count);
    }
}

mod sqlite {
    use super::{Bencher, ITEMS, in_sqlite};

    #[divan::bench(args = ITEMS)]
    fn history(bencher: Bencher<'_, '_>, count: usize) {
        in_sqlite(bencher, super::history, count);
    }

    #[divan::bench(args = ITEMS)]
    fn put(bencher: Bencher<'_, '_>, count: usize) {
        in_sqlite(bencher, super::put, count);
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::{Bencher, ITEMS, in_postgres};

    #[divan::bench(args = ITEMS)]
    fn history(bencher: Bencher<'_, '_>, count: usize) {
        in_postgres(bencher, super::history, count);
    }

    #[divan::bench(args = ITEMS)]
    fn put(bencher: Bencher<'_, '_>, count: usize) {
        in_postgres(bencher, super::put, count);
    }
}
