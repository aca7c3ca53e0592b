//! The store in a file, and its bad days.

use std::path::{Path, PathBuf};
use std::time::Duration;

use latimer_store::{Sqlite, SqliteOptions, Store, StoreError, StoredItem, Thread};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::conformance::{self, NOW, WIDE, id, items, tenant, turn};

fn options() -> SqliteOptions {
    SqliteOptions { tenant_bytes: conformance::TENANT_BYTES, ..SqliteOptions::default() }
}

/// A file with some turns in it, that nobody has open.
async fn file(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("state.sqlite");
    let store = Sqlite::open(&path, options()).unwrap();
    for at in 0..50 {
        let name = format!("r{at}");
        let long = StoredItem { id: id(&name), json: format!("\"{}\"", "x".repeat(500)) };
        store.put(&tenant("t"), turn(&name, None), vec![long], Vec::new()).await.unwrap();
    }
    path
}

async fn holds(store: &dyn Store, name: &str) -> bool {
    store.history(&tenant("t"), &Thread::Turn(id(name)), WIDE, NOW).await.is_ok()
}

#[tokio::test]
async fn conforms() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path().join("state.sqlite"), options()).unwrap();
    conformance::hold(&store).await;
}

#[tokio::test]
async fn a_new_file_is_empty_until_it_is_used_by_all_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let store = Sqlite::open(&path, options()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    let used = (0..8).map(async |at| {
        let name = format!("r{at}");
        assert!(!holds(&store, &name).await);
        store.put(&tenant("t"), turn(&name, None), items(&["i"]), Vec::new()).await.unwrap();
        assert!(holds(&store, &name).await);
    });
    futures_util::future::join_all(used).await;
}

#[tokio::test]
async fn what_is_acknowledged_survives_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory).await;
    let store = Sqlite::open(&path, options()).unwrap();
    store.put(&tenant("t"), turn("last", None), items(&["i"]), Vec::new()).await.unwrap();
    // What a killed process leaves: the files as they are now, nothing tidied up.
    let left = directory.path().join("left.sqlite");
    for suffix in ["", "-wal"] {
        std::fs::copy(beside(&path, suffix), beside(&left, suffix)).unwrap();
    }
    let again = Sqlite::open(&left, options()).unwrap();
    assert!(holds(&again, "last").await && holds(&again, "r0").await);
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn two_processes_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory).await;
    let [one, other] = [(); 2].map(|()| Sqlite::open(&path, options()).unwrap());
    one.put(&tenant("t"), turn("a", None), items(&["a"]), Vec::new()).await.unwrap();
    other.put(&tenant("t"), turn("b", Some("a")), items(&["b"]), Vec::new()).await.unwrap();
    let history = one.history(&tenant("t"), &Thread::Turn(id("b")), WIDE, NOW).await;
    assert_eq!(history.unwrap(), items(&["a", "b"]));
}

#[tokio::test]
async fn one_that_is_locked_is_busy() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory).await;
    let options = SqliteOptions {
        lock_wait: Duration::from_millis(200),
        queue_wait: Duration::from_millis(100),
        queue: 1,
        ..options()
    };
    let store = Sqlite::open(&path, options.clone()).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let tenant = tenant("t");
    let put = |name| store.put(&tenant, turn(name, None), Vec::new(), Vec::new());
    // One waits for the lock, one for the first, and one may not wait at all.
    let (a, b, c) = tokio::join!(put("a"), put("b"), put("c"));
    for result in [a, b, c] {
        assert!(matches!(result, Err(StoreError::Busy(_))), "{result:?}");
    }
    assert!(holds(&store, "r0").await, "who reads does not wait for who writes");
    let opened = Sqlite::open(&path, options).err();
    assert!(matches!(opened, Some(StoreError::Busy(_))), "{opened:?}");
    other.execute_batch("COMMIT").unwrap();
    for name in ["a", "b", "c"] {
        put(name).await.unwrap();
    }
}

type Damage = fn(&mut Vec<u8>);

/// What can happen to a file, by name.
const DAMAGES: &[(&str, Damage)] = &[
    ("a header of noise", |bytes| bytes[..100].fill(0xa5)),
    ("pages of noise", |bytes| bytes[4096..5 * 4096].fill(0xa5)),
    ("a page of zeros", |bytes| bytes[8 * 4096..9 * 4096].fill(0)),
    ("half of it is missing", |bytes| bytes.truncate(bytes.len() / 2)),
    ("a text", |bytes| *bytes = b"not a database at all, whatever its name says".to_vec()),
];

#[tokio::test]
async fn one_that_is_damaged_is_refused_and_left_alone() {
    for (what, damage) in DAMAGES {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory).await;
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let refused = Sqlite::open(&path, options()).err();
        let Some(StoreError::Corrupt(text)) = refused else { panic!("{what}: {refused:?}") };
        assert!(text.contains(&path.display().to_string()), "{what}: {text}");
        assert!(text.contains(".recover") && text.contains("move it away"), "{what}: {text}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}");
    }
}

#[tokio::test]
async fn one_of_another_program_or_version_is_refused() {
    for (sql, said) in [
        ("PRAGMA user_version = 99", "newer version"),
        ("PRAGMA application_id = 7", "another program"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory).await;
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let refused = Sqlite::open(&path, options()).err();
        let Some(StoreError::Refused(text)) = refused else { panic!("{sql}: {refused:?}") };
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn one_that_is_full_writes_nothing_and_reads_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory).await;
    let file_bytes = std::fs::metadata(&path).unwrap().len() + 64 * 1024;
    let store = Sqlite::open(&path, SqliteOptions { file_bytes, ..options() }).unwrap();
    let large =
        |name: &str| vec![StoredItem { id: id(name), json: format!("\"{}\"", "x".repeat(20_000)) }];
    let tenant = tenant("t");
    let mut written = Vec::new();
    let full = loop {
        let name = format!("large{}", written.len());
        match store.put(&tenant, turn(&name, None), large(&name), Vec::new()).await {
            Ok(()) => written.push(name),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert!(!written.is_empty() && written.len() < 4, "{written:?}");
    assert!(holds(&store, "r0").await && holds(&store, &written[0]).await);
    assert!(!holds(&store, &format!("large{}", written.len())).await);
    // What is deleted makes room.
    store.delete(&tenant, &Thread::Turn(id(&written[0])), NOW).await.unwrap();
    store.put(&tenant, turn("after", None), large("after"), Vec::new()).await.unwrap();
}

#[tokio::test]
async fn one_that_cannot_be_opened_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let gone = Sqlite::open(directory.path().join("no/such/place"), options()).err();
    assert!(matches!(gone, Some(StoreError::Gone(_))), "{gone:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite");
    let store = Sqlite::open(&path, options()).unwrap();
    store.put(&tenant("t"), turn("r", None), items(&["i"]), Vec::new()).await.unwrap();
    for suffix in ["", "-wal"] {
        let mode = std::fs::metadata(beside(&path, suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}
