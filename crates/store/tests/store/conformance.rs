//! What every store must do, as a table of cases. Each case is a tenant of its own, so that all of
//! them run on one store, one after the other.

use std::future::poll_fn;
use std::task::Poll;

use latimer_store::{
    Bounds, Conversation, Id, Measure, NEVER, Page, Pending, Store, StoreError, StoredEvent,
    StoredItem, Tenant, Thread, Turn, TurnStatus, Update, What,
};

/// How much a tenant may keep in the store that is held to the cases.
pub const TENANT_BYTES: u64 = 1 << 20;

/// Bounds that no case reaches by accident.
pub const WIDE: Bounds = Bounds { links: 1000, items: 10_000, bytes: 1 << 30 };

/// When it is, unless a case says otherwise.
pub const NOW: i64 = 1_000;

type Case = for<'a> fn(&'a dyn Store, &'a Tenant) -> Pending<'a, ()>;

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($case), |store, tenant| {
            Box::pin(async move {
                $case(store, tenant).await;
                Ok(())
            })
        })),*];
    };
}

cases![
    a_turn_is_read_as_it_was_put,
    an_id_is_taken_once,
    what_is_unknown_is_not_found,
    nothing_is_seen_across_tenants,
    an_open_turn_goes_on_and_ends_once,
    of_two_ends_one_wins,
    a_chain_is_read_oldest_first,
    a_chain_stays_within_its_bounds,
    a_chain_with_a_hole_says_so,
    a_chain_that_bites_its_tail_ends,
    ancestors_outlive_their_time,
    what_has_expired_is_unknown_and_then_forgotten,
    lists_are_read_in_pages,
    a_conversation_is_kept_and_deleted,
    items_are_appended_and_removed,
    a_turn_joins_its_conversation_when_it_ends_well,
    a_turn_without_its_conversation_leaves_nothing,
    an_item_is_found_wherever_it_is,
    events_are_read_after_a_number,
    events_end_with_their_response,
    a_dead_owner_leaves_orphans,
    a_full_store_writes_nothing,
    a_write_that_nobody_waits_for_is_whole_or_not_there,
    any_text_comes_back,
];

/// Holds a store to all cases.
pub async fn hold(store: &dyn Store) {
    store.ready().await.expect("a store that is ready");
    for (name, case) in CASES {
        println!("{name}");
        case(store, &tenant(name)).await.unwrap();
    }
}

pub fn tenant(name: &str) -> Tenant {
    Tenant::new(id(name))
}

pub fn id(text: &str) -> Id {
    text.parse().unwrap()
}

/// A turn that has ended well.
pub fn turn(name: &str, previous: Option<&str>) -> Turn {
    Turn {
        id: id(name),
        previous: previous.map(id),
        conversation: None,
        created_at: 500,
        expires_at: 2_000,
        status: TurnStatus::Completed,
        owner: None,
        response: format!(r#"{{"id":"{name}"}}"#),
    }
}

pub fn open_turn(name: &str) -> Turn {
    Turn { status: TurnStatus::Queued, owner: Some(id("gateway")), ..turn(name, None) }
}

pub fn items(names: &[&str]) -> Vec<StoredItem> {
    let item = |name: &&str| StoredItem { id: id(name), json: format!(r#"{{"id":"{name}"}}"#) };
    names.iter().map(item).collect()
}

pub fn names(items: &[StoredItem]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

/// How an open turn goes on, by the name of its status.
pub fn update(status: &str, output: &[&str]) -> Update {
    Update {
        status: TurnStatus::named(status).unwrap(),
        response: format!(r#"{{"status":"{status}"}}"#),
        output: items(output),
    }
}

pub fn conversation(name: &str) -> Conversation {
    Conversation { id: id(name), created_at: 500, expires_at: NEVER, metadata: "{}".to_owned() }
}

fn of_turn(name: &str) -> Thread {
    Thread::Turn(id(name))
}

fn of_conversation(name: &str) -> Thread {
    Thread::Conversation(id(name))
}

fn page(after: Option<&str>, limit: u32, descending: bool) -> Page {
    Page { after: after.map(id), limit, descending }
}

/// What a conversation holds.
async fn held(store: &dyn Store, tenant: &Tenant, name: &str) -> Vec<String> {
    let items = store.history(tenant, &of_conversation(name), WIDE, NOW).await.unwrap();
    names(&items).into_iter().map(str::to_owned).collect()
}

async fn a_turn_is_read_as_it_was_put(store: &dyn Store, tenant: &Tenant) {
    for (at, status) in ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
        .into_iter()
        .map(|name| TurnStatus::named(name).unwrap())
        .enumerate()
    {
        let put = Turn {
            conversation: Some(id("conv")),
            owner: status.is_open().then(|| id("gateway")),
            status,
            expires_at: NEVER - at as i64,
            ..turn(status.name(), Some("before"))
        };
        if status.joins_conversation() && at == 2 {
            store.open(tenant, conversation("conv"), Vec::new()).await.unwrap();
        }
        store.put(tenant, put.clone(), items(&["in"]), items(&["out"])).await.unwrap();
        assert_eq!(store.turn(tenant, &put.id, NOW).await.unwrap(), put);
    }
}

async fn an_id_is_taken_once(store: &dyn Store, tenant: &Tenant) {
    store.put(tenant, turn("r", None), items(&["a"]), Vec::new()).await.unwrap();
    let again = store.put(tenant, turn("r", Some("x")), items(&["b"]), Vec::new()).await;
    assert_eq!(again, Err(StoreError::Conflict(What::Response)));
    assert_eq!(store.turn(tenant, &id("r"), NOW).await.unwrap(), turn("r", None));
    store.open(tenant, conversation("r"), Vec::new()).await.unwrap();
    let again = store.open(tenant, conversation("r"), items(&["b"])).await;
    assert_eq!(again, Err(StoreError::Conflict(What::Conversation)));
    assert_eq!(held(store, tenant, "r").await, [""; 0]);
    // A name may be a response's and a conversation's, and another tenant may have it too.
    let other = Tenant::new(id("another-tenant"));
    store.put(&other, turn("r", None), Vec::new(), Vec::new()).await.unwrap();
}

/// That none of the operations on these ids finds anything.
async fn nothing_is_found(store: &dyn Store, tenant: &Tenant, name: &str) {
    let no_response = Some(StoreError::NotFound(What::Response));
    let no_conversation = Some(StoreError::NotFound(What::Conversation));
    let id = &id(name);
    let (turn, chat) = (of_turn(name), of_conversation(name));
    let all = page(None, 10, false);
    assert_eq!(store.turn(tenant, id, NOW).await.err(), no_response);
    assert_eq!(store.history(tenant, &turn, WIDE, NOW).await.err(), no_response);
    assert_eq!(store.items(tenant, &turn, all.clone(), NOW).await.err(), no_response);
    assert_eq!(store.events(tenant, id, None, 10, NOW).await.err(), no_response);
    assert_eq!(store.delete(tenant, &turn, NOW).await.err(), no_response);
    let ended = update("cancelled", &[]);
    assert_eq!(store.update(tenant, id, ended).await.err(), no_response);
    let event = StoredEvent { sequence: 0, json: "{}".to_owned() };
    assert_eq!(store.append_events(tenant, id, vec![event]).await.err(), no_response);
    assert_eq!(store.conversation(tenant, id, NOW).await.err(), no_conversation);
    assert_eq!(store.history(tenant, &chat, WIDE, NOW).await.err(), no_conversation);
    assert_eq!(store.items(tenant, &chat, all, NOW).await.err(), no_conversation);
    assert_eq!(store.delete(tenant, &chat, NOW).await.err(), no_conversation);
    assert_eq!(store.set_metadata(tenant, id, "{}".into(), NOW).await.err(), no_conversation);
    assert_eq!(store.append(tenant, id, items(&["i"]), NOW).await.err(), no_conversation);
    assert_eq!(store.item(tenant, Some(id), id, NOW).await.err(), no_conversation);
    assert_eq!(store.remove_item(tenant, id, id, NOW).await.err(), no_conversation);
    let no_item = Some(StoreError::NotFound(What::Item));
    assert_eq!(store.item(tenant, None, id, NOW).await.err(), no_item);
}

async fn what_is_unknown_is_not_found(store: &dyn Store, tenant: &Tenant) {
    nothing_is_found(store, tenant, "unknown").await;
}

async fn nothing_is_seen_across_tenants(store: &dyn Store, tenant: &Tenant) {
    let other = Tenant::new(id("a-curious-tenant"));
    store.put(tenant, turn("it", None), items(&["it"]), items(&["out"])).await.unwrap();
    store.open(tenant, conversation("it"), items(&["it"])).await.unwrap();
    nothing_is_found(store, &other, "it").await;
    // Nor can one be built on: it is no ancestor of another tenant's.
    store.put(&other, turn("mine", Some("it")), Vec::new(), Vec::new()).await.unwrap();
    let history = store.history(&other, &of_turn("mine"), WIDE, NOW).await;
    assert_eq!(history.err(), Some(StoreError::NotFound(What::Ancestor)));
    // What the other tried has changed nothing.
    assert_eq!(store.turn(tenant, &id("it"), NOW).await.unwrap(), turn("it", None));
    assert_eq!(held(store, tenant, "it").await, ["it"]);
}

async fn an_open_turn_goes_on_and_ends_once(store: &dyn Store, tenant: &Tenant) {
    store.put(tenant, open_turn("r"), items(&["a"]), Vec::new()).await.unwrap();
    store.update(tenant, &id("r"), update("in_progress", &["lost"])).await.unwrap();
    let begun = store.turn(tenant, &id("r"), NOW).await.unwrap();
    assert_eq!((begun.status, begun.owner), (TurnStatus::InProgress, Some(id("gateway"))));
    store.update(tenant, &id("r"), update("completed", &["b", "c"])).await.unwrap();
    let ended = store.turn(tenant, &id("r"), NOW).await.unwrap();
    assert_eq!((ended.status, ended.owner), (TurnStatus::Completed, None));
    assert_eq!(ended.response, r#"{"status":"completed"}"#);
    let history = store.history(tenant, &of_turn("r"), WIDE, NOW).await.unwrap();
    assert_eq!(names(&history), ["a", "b", "c"]);
    let again = store.update(tenant, &id("r"), update("cancelled", &[])).await;
    assert_eq!(again, Err(StoreError::Conflict(What::Response)));
    assert_eq!(store.turn(tenant, &id("r"), NOW).await.unwrap().status, TurnStatus::Completed);
}

async fn of_two_ends_one_wins(store: &dyn Store, tenant: &Tenant) {
    for round in 0..20 {
        let name = id(&format!("r{round}"));
        store.put(tenant, open_turn(name.as_str()), Vec::new(), Vec::new()).await.unwrap();
        let (cancelled, completed) = tokio::join!(
            store.update(tenant, &name, update("cancelled", &["cancelled"])),
            store.update(tenant, &name, update("completed", &["completed"])),
        );
        assert!(cancelled.is_ok() != completed.is_ok(), "{cancelled:?} {completed:?}");
        let lost = cancelled.err().or(completed.err());
        assert_eq!(lost, Some(StoreError::Conflict(What::Response)));
        let status = store.turn(tenant, &name, NOW).await.unwrap().status;
        let output = store.history(tenant, &Thread::Turn(name), WIDE, NOW).await.unwrap();
        assert_eq!(names(&output), [status.name()]);
    }
}

async fn a_chain_is_read_oldest_first(store: &dyn Store, tenant: &Tenant) {
    store.put(tenant, turn("r1", None), items(&["a", "b"]), items(&["c"])).await.unwrap();
    store.put(tenant, turn("r2", Some("r1")), items(&["d"]), Vec::new()).await.unwrap();
    store.put(tenant, turn("r3", Some("r2")), Vec::new(), items(&["e"])).await.unwrap();
    store.put(tenant, turn("fork", Some("r1")), items(&["f"]), items(&["a"])).await.unwrap();
    let chain = store.history(tenant, &of_turn("r3"), WIDE, NOW).await.unwrap();
    assert_eq!(chain, items(&["a", "b", "c", "d", "e"]));
    let fork = store.history(tenant, &of_turn("fork"), WIDE, NOW).await.unwrap();
    assert_eq!(names(&fork), ["a", "b", "c", "f", "a"]);
    store.put(tenant, turn("bare", None), Vec::new(), Vec::new()).await.unwrap();
    assert_eq!(store.history(tenant, &of_turn("bare"), WIDE, NOW).await, Ok(Vec::new()));
}

async fn a_chain_stays_within_its_bounds(store: &dyn Store, tenant: &Tenant) {
    let mut previous = None;
    for at in 0..12 {
        let name = format!("r{at}");
        let own = items(&[&format!("i{at}")]);
        let output = items(&[&format!("o{at}")]);
        store.put(tenant, turn(&name, previous.as_deref()), own, output).await.unwrap();
        previous = Some(name);
    }
    let chain = of_turn("r11");
    let all = store.history(tenant, &chain, WIDE, NOW).await.unwrap();
    assert_eq!(all.len(), 24);
    let bytes = all.iter().map(|item| item.json.len() as u64).sum();
    let exact = Bounds { links: 12, items: 24, bytes };
    assert_eq!(store.history(tenant, &chain, exact, NOW).await.unwrap(), all);
    let too_long = |measure, limit| Err(StoreError::TooLong { measure, limit });
    for (bounds, result) in [
        (Bounds { links: 11, ..exact }, too_long(Measure::Links, 11)),
        (Bounds { items: 23, ..exact }, too_long(Measure::Items, 23)),
        (Bounds { bytes: bytes - 1, ..exact }, too_long(Measure::Bytes, bytes - 1)),
    ] {
        assert_eq!(store.history(tenant, &chain, bounds, NOW).await, result);
    }
    store.open(tenant, conversation("c"), all.clone()).await.unwrap();
    let thread = of_conversation("c");
    let exact = Bounds { links: 0, ..exact };
    assert_eq!(store.history(tenant, &thread, exact, NOW).await.unwrap(), all);
    for (bounds, result) in [
        (Bounds { items: 23, ..exact }, too_long(Measure::Items, 23)),
        (Bounds { bytes: bytes - 1, ..exact }, too_long(Measure::Bytes, bytes - 1)),
    ] {
        assert_eq!(store.history(tenant, &thread, bounds, NOW).await, result);
    }
}

async fn a_chain_with_a_hole_says_so(store: &dyn Store, tenant: &Tenant) {
    for (name, previous) in [("r1", None), ("r2", Some("r1")), ("r3", Some("r2"))] {
        store.put(tenant, turn(name, previous), items(&["i"]), Vec::new()).await.unwrap();
    }
    store.delete(tenant, &of_turn("r2"), NOW).await.unwrap();
    let history = store.history(tenant, &of_turn("r3"), WIDE, NOW).await;
    assert_eq!(history, Err(StoreError::NotFound(What::Ancestor)));
}

async fn a_chain_that_bites_its_tail_ends(store: &dyn Store, tenant: &Tenant) {
    store.put(tenant, turn("self", Some("self")), items(&["i"]), Vec::new()).await.unwrap();
    store.put(tenant, turn("a", Some("b")), items(&["i"]), Vec::new()).await.unwrap();
    store.put(tenant, turn("b", Some("a")), items(&["i"]), Vec::new()).await.unwrap();
    for name in ["self", "a", "b"] {
        let history = store.history(tenant, &of_turn(name), WIDE, NOW).await;
        assert!(matches!(history, Err(StoreError::Corrupt(_))), "{history:?}");
    }
}

async fn ancestors_outlive_their_time(store: &dyn Store, tenant: &Tenant) {
    let old = |name, previous| Turn { expires_at: NOW, ..turn(name, previous) };
    store.put(tenant, old("r1", None), items(&["a"]), Vec::new()).await.unwrap();
    store.put(tenant, old("r2", Some("r1")), items(&["b"]), Vec::new()).await.unwrap();
    store.put(tenant, turn("r3", Some("r2")), items(&["c"]), Vec::new()).await.unwrap();
    while store.expire(NOW, 1).await.unwrap() > 0 {}
    let gone = store.turn(tenant, &id("r1"), NOW).await;
    assert_eq!(gone, Err(StoreError::NotFound(What::Response)));
    let chain = store.history(tenant, &of_turn("r3"), WIDE, NOW).await.unwrap();
    assert_eq!(names(&chain), ["a", "b", "c"]);
    store.delete(tenant, &of_turn("r3"), NOW).await.unwrap();
    while store.expire(NOW, 1).await.unwrap() > 0 {}
    // Looked for at a time when they had not expired: they are gone for good.
    let gone = store.turn(tenant, &id("r1"), NOW - 1).await;
    assert_eq!(gone, Err(StoreError::NotFound(What::Response)));
}

async fn what_has_expired_is_unknown_and_then_forgotten(store: &dyn Store, tenant: &Tenant) {
    for at in 0..5 {
        let name = format!("it{at}");
        let old = Turn { expires_at: NOW, ..turn(&name, None) };
        store.put(tenant, old, items(&[&name]), Vec::new()).await.unwrap();
        let old = Conversation { expires_at: NOW, ..conversation(&name) };
        store.open(tenant, old, items(&[&name])).await.unwrap();
        store.turn(tenant, &id(&name), NOW - 1).await.unwrap();
        store.conversation(tenant, &id(&name), NOW - 1).await.unwrap();
        let (turn, conversation) = (of_turn(&name), of_conversation(&name));
        for thread in [turn, conversation] {
            let unknown = store.history(tenant, &thread, WIDE, NOW).await;
            assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
            let unknown = store.delete(tenant, &thread, NOW).await;
            assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
        }
        let unknown = store.item(tenant, None, &id(&name), NOW).await;
        assert_eq!(unknown, Err(StoreError::NotFound(What::Item)));
    }
    let mut counts = Vec::new();
    while counts.last() != Some(&0) {
        counts.push(store.expire(NOW, 2).await.unwrap());
    }
    assert_eq!(counts, [4, 4, 2, 0]);
    for at in 0..5 {
        nothing_is_found(store, tenant, &format!("it{at}")).await;
    }
}

async fn lists_are_read_in_pages(store: &dyn Store, tenant: &Tenant) {
    let all = items(&["a", "b", "c", "d", "e"]);
    store.put(tenant, turn("l", None), all.clone(), items(&["out"])).await.unwrap();
    store.open(tenant, conversation("l"), all).await.unwrap();
    for thread in [of_turn("l"), of_conversation("l")] {
        for (after, limit, descending, wanted, has_more) in [
            (None, 2, false, &["a", "b"][..], true),
            (Some("b"), 2, false, &["c", "d"], true),
            (Some("d"), 2, false, &["e"], false),
            (Some("c"), 2, false, &["d", "e"], false),
            (Some("e"), 2, false, &[], false),
            (None, 5, false, &["a", "b", "c", "d", "e"], false),
            (None, 2, true, &["e", "d"], true),
            (Some("d"), 2, true, &["c", "b"], true),
            (Some("b"), 9, true, &["a"], false),
        ] {
            let page = store.items(tenant, &thread, page(after, limit, descending), NOW).await;
            let page = page.unwrap();
            assert_eq!((names(&page.items), page.has_more), (wanted.to_vec(), has_more));
        }
        let unknown = store.items(tenant, &thread, page(Some("x"), 2, false), NOW).await;
        assert_eq!(unknown.err(), Some(StoreError::NotFound(What::Item)));
    }
}

async fn a_conversation_is_kept_and_deleted(store: &dyn Store, tenant: &Tenant) {
    let put = Conversation { metadata: r#"{"a":"b"}"#.to_owned(), ..conversation("c") };
    store.open(tenant, put.clone(), items(&["a"])).await.unwrap();
    assert_eq!(store.conversation(tenant, &id("c"), NOW).await.unwrap(), put);
    store.set_metadata(tenant, &id("c"), "{}".to_owned(), NOW).await.unwrap();
    assert_eq!(store.conversation(tenant, &id("c"), NOW).await.unwrap(), conversation("c"));
    store.delete(tenant, &of_conversation("c"), NOW).await.unwrap();
    nothing_is_found(store, tenant, "c").await;
    let gone = store.item(tenant, None, &id("a"), NOW).await;
    assert_eq!(gone, Err(StoreError::NotFound(What::Item)));
    // The name is free again.
    store.open(tenant, conversation("c"), Vec::new()).await.unwrap();
    assert_eq!(held(store, tenant, "c").await, [""; 0]);
}

async fn items_are_appended_and_removed(store: &dyn Store, tenant: &Tenant) {
    let c = &id("c");
    store.open(tenant, conversation("c"), items(&["a"])).await.unwrap();
    store.append(tenant, c, items(&["b", "c"]), NOW).await.unwrap();
    store.remove_item(tenant, c, &id("b"), NOW).await.unwrap();
    store.append(tenant, c, items(&["d"]), NOW).await.unwrap();
    store.append(tenant, c, Vec::new(), NOW).await.unwrap();
    assert_eq!(held(store, tenant, "c").await, ["a", "c", "d"]);
    let twice = store.remove_item(tenant, c, &id("b"), NOW).await;
    assert_eq!(twice, Err(StoreError::NotFound(What::Item)));
    // Two at once: each stays in one piece.
    let both = tokio::join!(store.append(tenant, c, items(&["x1", "x2"]), NOW), async {
        store.append(tenant, c, items(&["y1", "y2"]), NOW).await
    });
    assert_eq!(both, (Ok(()), Ok(())));
    let held = held(store, tenant, "c").await;
    let places = |name: &str| held.iter().position(|held| held == name).unwrap();
    assert_eq!(held.len(), 7);
    assert_eq!((places("x1") + 1, places("y1") + 1), (places("x2"), places("y2")));
}

async fn a_turn_joins_its_conversation_when_it_ends_well(store: &dyn Store, tenant: &Tenant) {
    let mortal = Conversation { expires_at: 1_500, ..conversation("c") };
    store.open(tenant, mortal, items(&["a"])).await.unwrap();
    let in_it = |turn| Turn { conversation: Some(id("c")), ..turn };
    let whole = in_it(turn("whole", None));
    store.put(tenant, whole, items(&["b"]), items(&["c"])).await.unwrap();
    assert_eq!(held(store, tenant, "c").await, ["a", "b", "c"]);
    for (name, status, joined) in [
        ("failed", "failed", &["a", "b", "c"][..]),
        ("cancelled", "cancelled", &["a", "b", "c"]),
        ("cut", "incomplete", &["a", "b", "c", "cut-in", "cut-out"]),
        ("well", "completed", &["a", "b", "c", "cut-in", "cut-out", "well-in", "well-out"]),
    ] {
        let input = items(&[&format!("{name}-in")]);
        store.put(tenant, in_it(open_turn(name)), input, Vec::new()).await.unwrap();
        let output = format!("{name}-out");
        store.update(tenant, &id(name), update(status, &[&output])).await.unwrap();
        assert_eq!(held(store, tenant, "c").await, joined);
    }
    let expires_at = store.conversation(tenant, &id("c"), NOW).await.unwrap().expires_at;
    assert_eq!(expires_at, 2_000, "it lives as long as its last turn");
}

async fn a_turn_without_its_conversation_leaves_nothing(store: &dyn Store, tenant: &Tenant) {
    let lost = Turn { conversation: Some(id("c")), ..turn("it", None) };
    let put = store.put(tenant, lost, items(&["it"]), Vec::new()).await;
    assert_eq!(put, Err(StoreError::NotFound(What::Conversation)));
    nothing_is_found(store, tenant, "it").await;
    let open = Turn { conversation: Some(id("c")), ..open_turn("open") };
    store.put(tenant, open.clone(), items(&["i"]), Vec::new()).await.unwrap();
    let ended = store.update(tenant, &id("open"), update("completed", &["o"])).await;
    assert_eq!(ended, Err(StoreError::NotFound(What::Conversation)));
    assert_eq!(store.turn(tenant, &id("open"), NOW).await.unwrap(), open);
    let history = store.history(tenant, &of_turn("open"), WIDE, NOW).await;
    assert_eq!(history, Err(StoreError::Conflict(What::Response)), "its output is not there yet");
    let page = Page { after: None, limit: 9, descending: false };
    let input = store.items(tenant, &of_turn("open"), page, NOW).await.unwrap();
    assert_eq!(names(&input.items), ["i"]);
}

async fn an_item_is_found_wherever_it_is(store: &dyn Store, tenant: &Tenant) {
    store.put(tenant, turn("r1", None), items(&["in"]), items(&["out"])).await.unwrap();
    store.open(tenant, conversation("c"), items(&["said"])).await.unwrap();
    for name in ["in", "out", "said"] {
        let found = store.item(tenant, None, &id(name), NOW).await.unwrap();
        assert_eq!(vec![found], items(&[name]));
    }
    let there = store.item(tenant, Some(&id("c")), &id("said"), NOW).await.unwrap();
    assert_eq!(vec![there], items(&["said"]));
    let elsewhere = store.item(tenant, Some(&id("c")), &id("in"), NOW).await;
    assert_eq!(elsewhere, Err(StoreError::NotFound(What::Item)));
    let newer = Turn { created_at: 600, ..turn("r2", None) };
    let changed = StoredItem { id: id("in"), json: "{}".to_owned() };
    store.put(tenant, newer, vec![changed.clone()], Vec::new()).await.unwrap();
    assert_eq!(store.item(tenant, None, &id("in"), NOW).await.unwrap(), changed);
}

fn events(sequences: std::ops::Range<i64>) -> Vec<StoredEvent> {
    sequences.map(|sequence| StoredEvent { sequence, json: format!("[{sequence}]") }).collect()
}

async fn events_are_read_after_a_number(store: &dyn Store, tenant: &Tenant) {
    let r = &id("r");
    store.put(tenant, open_turn("r"), Vec::new(), Vec::new()).await.unwrap();
    store.append_events(tenant, r, events(0..3)).await.unwrap();
    store.append_events(tenant, r, events(3..12)).await.unwrap();
    let taken = store.append_events(tenant, r, events(11..14)).await;
    assert_eq!(taken, Err(StoreError::Conflict(What::Event)));
    for (after, limit, wanted) in
        [(None, 100, 0..12), (Some(0), 100, 1..12), (Some(1), 3, 2..5), (Some(11), 100, 12..12)]
    {
        let page = store.events(tenant, r, after, limit, NOW).await.unwrap();
        assert_eq!((page.status, page.events), (TurnStatus::Queued, events(wanted)));
    }
}

async fn events_end_with_their_response(store: &dyn Store, tenant: &Tenant) {
    let r = &id("r");
    store.put(tenant, open_turn("r"), Vec::new(), Vec::new()).await.unwrap();
    store.append_events(tenant, r, events(0..2)).await.unwrap();
    store.update(tenant, r, update("cancelled", &[])).await.unwrap();
    let late = store.append_events(tenant, r, events(2..3)).await;
    assert_eq!(late, Err(StoreError::Conflict(What::Response)));
    let page = store.events(tenant, r, None, 10, NOW).await.unwrap();
    assert_eq!((page.status, page.events), (TurnStatus::Cancelled, events(0..2)));
    store.delete(tenant, &of_turn("r"), NOW).await.unwrap();
    store.put(tenant, open_turn("r"), Vec::new(), Vec::new()).await.unwrap();
    let page = store.events(tenant, r, None, 10, NOW).await.unwrap();
    assert_eq!(page.events, events(0..0));
}

async fn a_dead_owner_leaves_orphans(store: &dyn Store, tenant: &Tenant) {
    let owned = |name, owner| Turn { owner: Some(id(owner)), ..open_turn(name) };
    store.renew(&id("first"), 1_010).await.unwrap();
    store.renew(&id("second"), 1_010).await.unwrap();
    store.put(tenant, owned("r1", "first"), Vec::new(), Vec::new()).await.unwrap();
    store.put(tenant, owned("r2", "second"), Vec::new(), Vec::new()).await.unwrap();
    store.put(tenant, turn("ended", None), Vec::new(), Vec::new()).await.unwrap();
    // Cases before this one left orphans of their own.
    let orphans = async |now| {
        let all = store.orphans(now, 1000).await.unwrap();
        let own = all.into_iter().filter(|(owner, _)| owner == tenant);
        own.map(|(_, turn)| turn).collect::<Vec<_>>()
    };
    assert_eq!(orphans(1_009).await, []);
    store.renew(&id("first"), 1_020).await.unwrap();
    assert_eq!(orphans(1_010).await, [owned("r2", "second")]);
    store.update(tenant, &id("r2"), update("failed", &[])).await.unwrap();
    assert_eq!(orphans(1_010).await, []);
    store.renew(&id("first"), 0).await.unwrap();
    assert_eq!(orphans(1_010).await, [owned("r1", "first")]);
    assert!(store.orphans(1_010, 1).await.unwrap().len() == 1);
}

async fn a_full_store_writes_nothing(store: &dyn Store, tenant: &Tenant) {
    let large = |names: &[&str]| {
        let json = format!("\"{}\"", "x".repeat(TENANT_BYTES as usize / 4));
        names.iter().map(|name| StoredItem { id: id(name), json: json.clone() }).collect()
    };
    let full = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::Full(_))), "{result:?}");
    };
    store.open(tenant, conversation("c"), Vec::new()).await.unwrap();
    store.put(tenant, open_turn("open"), Vec::new(), Vec::new()).await.unwrap();
    store.put(tenant, turn("r", None), large(&["a", "b", "c"]), Vec::new()).await.unwrap();
    full(store.put(tenant, turn("it", None), large(&["it"]), Vec::new()).await);
    full(store.open(tenant, conversation("it"), large(&["it"])).await);
    nothing_is_found(store, tenant, "it").await;
    full(store.append(tenant, &id("c"), large(&["it"]), NOW).await);
    assert_eq!(held(store, tenant, "c").await, [""; 0]);
    let ended = Update { output: large(&["it"]), ..update("completed", &[]) };
    full(store.update(tenant, &id("open"), ended.clone()).await);
    let json = "x".repeat(TENANT_BYTES as usize);
    full(store.append_events(tenant, &id("open"), vec![StoredEvent { sequence: 0, json }]).await);
    assert_eq!(store.turn(tenant, &id("open"), NOW).await.unwrap(), open_turn("open"));
    // Another tenant's share is its own.
    let other = Tenant::new(id("a-tenant-with-room"));
    store.put(&other, turn("r", None), large(&["a"]), Vec::new()).await.unwrap();
    // What is deleted or removed makes room, each time anew.
    for _ in 0..5 {
        store.delete(tenant, &of_turn("r"), NOW).await.unwrap();
        store.append(tenant, &id("c"), large(&["a", "b", "c"]), NOW).await.unwrap();
        full(store.put(tenant, turn("r", None), large(&["a", "b"]), Vec::new()).await);
        store.remove_item(tenant, &id("c"), &id("a"), NOW).await.unwrap();
        store.remove_item(tenant, &id("c"), &id("b"), NOW).await.unwrap();
        store.remove_item(tenant, &id("c"), &id("c"), NOW).await.unwrap();
        store.put(tenant, turn("r", None), large(&["a", "b", "c"]), Vec::new()).await.unwrap();
    }
    store.delete(tenant, &of_turn("r"), NOW).await.unwrap();
    store.update(tenant, &id("open"), ended).await.unwrap();
}

async fn a_write_that_nobody_waits_for_is_whole_or_not_there(store: &dyn Store, tenant: &Tenant) {
    let all = items(&["a", "b", "c", "d"]);
    for looks in 0..10 {
        let name = format!("r{looks}");
        let mut put = store.put(tenant, turn(&name, None), all.clone(), Vec::new());
        for _ in 0..looks {
            let look = poll_fn(|context| Poll::Ready(put.as_mut().poll(context).is_ready()));
            if look.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(put);
        match store.history(tenant, &of_turn(&name), WIDE, NOW).await {
            Ok(history) => assert_eq!(history, all),
            Err(error) => assert_eq!(error, StoreError::NotFound(What::Response)),
        }
    }
}

async fn any_text_comes_back(store: &dyn Store, tenant: &Tenant) {
    let odd = r#"{"a":"' -- $1 ?1 \u0000 \ud83d \" é 🦀","n":1e400}"#.to_owned();
    let put = Turn { response: odd.clone(), ..turn("r", None) };
    let item = StoredItem { id: id("i"), json: odd.clone() };
    store.put(tenant, put.clone(), vec![item.clone()], Vec::new()).await.unwrap();
    assert_eq!(store.turn(tenant, &id("r"), NOW).await.unwrap(), put);
    assert_eq!(store.item(tenant, None, &id("i"), NOW).await.unwrap(), item);
    let open = Conversation { metadata: odd, ..conversation("c") };
    store.open(tenant, open.clone(), Vec::new()).await.unwrap();
    assert_eq!(store.conversation(tenant, &id("c"), NOW).await.unwrap(), open);
}
