//! That SQLite finds what is asked for by an index, and never looks at every row. For PostgreSQL a
//! test on a real server reads the plans (`tests/store/postgres.rs`).

use rusqlite::Connection;

use super::engine::{Batch, Statement};
use super::schema::migrations_after;
use super::{conversations, turns, upkeep};
use crate::{
    Bounds, Conversation, Id, Page, StoredEvent, StoredItem, Tenant, Thread, Turn, TurnStatus,
    Update,
};

/// What may be read as a whole: the parts of a query that are no tables of ours, as SQLite calls
/// them, and the gateways, which are few.
const MADE_ON_THE_WAY: &[&str] = &[
    "l",
    "links",
    "chain",
    "whole",
    "found",
    "gone",
    "turns_of_old",
    "conversations_of_old",
    "CONSTANT",
    "owners",
];

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    let database = Connection::open_in_memory().unwrap();
    for (sql, _) in migrations_after(0).unwrap() {
        database.execute_batch(sql).unwrap();
    }
    let statements: Vec<_> = batches().into_iter().flat_map(|batch| batch.0).collect();
    assert!(statements.len() > 40);
    for statement in statements {
        for step in plan(&database, statement.sql) {
            let scanned = step.strip_prefix("SCAN ").map(|table| table.split(' ').next().unwrap());
            let whole_table = scanned.is_some_and(|table| !MADE_ON_THE_WAY.contains(&table));
            let whole_tenant = step.ends_with("(tenant=?)") && !step.contains("charges");
            assert!(!whole_table && !whole_tenant, "{step}\n{}", statement.sql);
        }
    }
}

/// What is asked across tenants, by the gateway itself: how each of these begins.
const ACROSS_TENANTS: &[&str] = &[
    "SELECT tenant, id, 'turn'",   // what has expired
    "SELECT tenant, id, previous", // orphans
    "INSERT INTO owners",
    "DELETE FROM owners",
];

#[test]
fn every_statement_names_its_tenant() {
    let statements: Vec<_> = batches().into_iter().flat_map(|batch| batch.0).collect();
    for Statement { sql, .. } in statements {
        let across = ACROSS_TENANTS.iter().any(|begin| sql.starts_with(begin));
        let names = sql.contains("tenant = $1") || sql.contains("(tenant, ");
        assert!(across != names, "{sql}");
    }
}

fn plan(database: &Connection, sql: &str) -> Vec<String> {
    let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let (mut rows, mut steps) = (plan.raw_query(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get("detail").unwrap());
    }
    steps
}

/// Every operation, with what does not matter for its plan.
fn batches() -> Vec<Batch> {
    let id: Id = "x".parse().unwrap();
    let tenant = Tenant::new(id.clone());
    let bounds = Bounds { links: 1, items: 1, bytes: 1 };
    let pages =
        [false, true].map(|descending| Page { after: Some(id.clone()), limit: 1, descending });
    let threads = [Thread::Turn(id.clone()), Thread::Conversation(id.clone())];
    let turn = Turn {
        id: id.clone(),
        previous: None,
        conversation: Some(id.clone()),
        created_at: 0,
        expires_at: 0,
        status: TurnStatus::Completed,
        owner: None,
        response: String::new(),
    };
    let item = StoredItem { id: id.clone(), json: String::new() };
    let items = || vec![item.clone()];
    let event = StoredEvent { sequence: 0, json: String::new() };
    let conversation =
        Conversation { id: id.clone(), created_at: 0, expires_at: 0, metadata: String::new() };
    let update = Update { status: TurnStatus::Completed, response: String::new(), output: items() };
    let mut batches = vec![
        turns::put(&tenant, turn, items(), items(), 1),
        turns::update(&tenant, &id, update, 1),
        turns::select(&tenant, &id, 0),
        turns::chain(&tenant, &id, bounds, 0),
        turns::item(&tenant, &id, 0),
        turns::events(&tenant, &id, None, 1, 0),
        turns::append_events(&tenant, &id, vec![event], 1),
        conversations::open(&tenant, conversation, items(), 1),
        conversations::select(&tenant, &id, 0),
        conversations::all(&tenant, &id, bounds, 0),
        conversations::item(&tenant, &id, &id, 0),
        conversations::append(&tenant, &id, items(), 0, 1),
        conversations::remove_item(&tenant, &id, &id, 0),
        conversations::set_metadata(&tenant, &id, String::new(), 0, 1),
        upkeep::renew(&id, 0),
        upkeep::orphans(0, 1),
        upkeep::old(0, 1),
        upkeep::forget(threads.iter().map(|thread| (tenant.clone(), thread.clone())).collect(), 0),
    ];
    batches.extend(pages.iter().map(|page| turns::page(&tenant, &id, page, 0)));
    batches.extend(pages.iter().map(|page| conversations::page(&tenant, &id, page, 0)));
    batches.extend(threads.iter().map(|thread| upkeep::delete(&tenant, thread, 0)));
    batches
}
