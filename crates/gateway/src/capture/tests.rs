//! What becomes of lines on a disk that does not do what it should, and where several write.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use latimer_probe::record::account::Incident;
use latimer_probe::record::exchange::{Unreadable, read};

use super::log::Log;
use super::losses::Losses;
use super::sync::{Sync, Syncer};
use crate::config::{RecorderConfig, SyncPolicy};

fn log(path: &Path, config: &RecorderConfig, sync: Sync) -> Log {
    let syncer = Syncer::start(sync).expect("a thread");
    Log::open(path.to_owned(), config.clone(), Arc::new(Losses::default()), syncer)
        .expect("it can be opened")
}

fn line(number: u64) -> String {
    let request = r#"{"method":"GET","url":"/"}"#;
    format!("{{\"timestamp\":{number}.000,\"request\":{request}}}\n")
}

/// Appends a line, which must be written.
fn append(log: &mut Log, line: &str) {
    assert_eq!(log.append(line.as_bytes()), line.as_bytes());
}

/// What a recording holds, its segments included: numbers of exchanges, and incidents.
fn read_all(folder: &Path) -> (Vec<i64>, Vec<Incident>) {
    let (mut numbers, mut incidents) = (Vec::new(), Vec::new());
    for file in files(folder) {
        let bytes = std::fs::read(&file).expect("a file");
        let bytes = match file.extension().is_some_and(|ending| ending == "zst") {
            true => zstd::decode_all(&*bytes).expect("sound"),
            false if file.extension().is_some_and(|ending| ending == "jsonl") => bytes,
            false => continue,
        };
        for line in read(&bytes) {
            match line {
                Ok(exchange) => numbers.extend(exchange.timestamp_unix_ms.map(|ms| ms / 1000)),
                Err(Unreadable::Incident { incident, .. }) => incidents.push(*incident),
                Err(_) => {}
            }
        }
    }
    numbers.sort_unstable();
    (numbers, incidents)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("the folder");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

#[test]
fn several_writers_and_their_segments_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let config = RecorderConfig { segment_bytes: 1_000, ..RecorderConfig::default() };
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let (path, config) = (path.clone(), config.clone());
            std::thread::spawn(move || {
                let mut log = log(&path, &config, std::fs::File::sync_data);
                (0..250).for_each(|number| append(&mut log, &line(writer * 250 + number)));
                log.finish();
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
    // Whoever opens it next closes what the last ones could not.
    log(&path, &config, std::fs::File::sync_data).finish();
    let (numbers, incidents) = read_all(folder.path());
    assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    assert_eq!(incidents, []);
    let segments = files(folder.path());
    let ending = |ending: &str| {
        let has = |file: &&PathBuf| file.extension().is_some_and(|of| of == ending);
        segments.iter().filter(has).count()
    };
    assert!(ending("zst") >= 40, "{segments:?}");
    assert_eq!((ending("zst"), ending("jsonl")), (ending("index"), 1), "{segments:?}");
}

#[test]
fn a_file_whose_first_line_is_old_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    std::fs::write(&path, line(7)).expect("a file of 1970");
    let config = RecorderConfig { compress: false, ..RecorderConfig::default() };
    for (segment_age_s, closed) in [(0, false), (u64::MAX, false), (86_400, true)] {
        let config = RecorderConfig { segment_age_s, ..config.clone() };
        let mut log = log(&path, &config, std::fs::File::sync_data);
        (8..10).for_each(|number| append(&mut log, &line(number)));
        log.finish();
        let segment = folder.path().join("traffic-7000.jsonl");
        assert_eq!(segment.exists(), closed, "{segment_age_s}");
    }
    let open = std::fs::read_to_string(&path).expect("the open file");
    assert_eq!(open, line(8) + &line(9), "only what came after it was closed");
    assert_eq!(read_all(folder.path()).0, [7, 8, 8, 8, 9, 9, 9]);
}

#[test]
fn the_index_says_where_each_exchange_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let config = RecorderConfig { segment_bytes: 200, ..RecorderConfig::default() };
    let mut log = log(&path, &config, std::fs::File::sync_data);
    (1..=10).for_each(|number| append(&mut log, &line(number)));
    log.finish();
    let mut seen = Vec::new();
    for index in files(folder.path()) {
        let Some(segment) = index.to_str().and_then(|name| name.strip_suffix(".index")) else {
            continue;
        };
        let squeezed = std::fs::read(format!("{segment}.zst")).expect("its segment");
        for entry in std::fs::read_to_string(&index).expect("the index").lines() {
            let entry: latimer_probe::record::index::Entry =
                serde_json::from_str(entry).expect("JSON");
            let frame = zstd::decode_all(&squeezed[entry.frame as usize..]).expect("a frame");
            let at = entry.at_in_frame as usize;
            let found = &frame[at..at + entry.bytes as usize];
            assert_eq!(found, line(entry.timestamp_unix_ms as u64 / 1000).as_bytes());
            seen.push(entry.timestamp_unix_ms / 1000);
        }
    }
    seen.sort_unstable();
    assert!(seen.len() >= 8 && seen.iter().zip(1..).all(|(seen, wanted)| *seen == wanted));
}

/// A file that was cut off at each place is opened, by an only writer and beside another.
#[test]
fn a_line_that_was_cut_off_is_taken_away_or_ended_with_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let whole = line(1) + &line(2);
    let open = || log(&path, &RecorderConfig::one_file(), |_| Ok(()));
    for (cut, is_alone) in (1..whole.len()).flat_map(|cut| [(cut, true), (cut, false)]) {
        let begun = &whole[..cut];
        std::fs::write(&path, begun).expect("a file");
        let other = std::fs::File::open(&path).expect("the file");
        if !is_alone {
            other.lock_shared().expect("another writer");
        }
        let mut log = open();
        log.append(line(3).as_bytes());
        log.finish();
        let (numbers, incidents) = read_all(folder.path());
        let before = begun.matches('\n').count();
        // Without its line end a line is whole all the same.
        let whole_at_end = begun.ends_with('}') && whole[cut..].starts_with('\n');
        let kept = before + usize::from(whole_at_end);
        assert_eq!(numbers.len(), kept + 1, "cut at {cut}");
        assert_eq!(numbers.last(), Some(&3));
        let torn = begun.rsplit('\n').next().map_or(0, str::len) as u64;
        let is_cut = is_alone && !whole_at_end && torn > 0;
        let wanted =
            Incident { torn: true, cut_bytes: torn * u64::from(is_cut), ..Incident::default() };
        assert_eq!(incidents, Vec::from_iter((torn > 0).then_some(wanted)), "cut at {cut}");
        let unreadable =
            latimer_probe::record::exchange::read(&std::fs::read(&path).expect("a file"))
                .filter(|line| !matches!(line, Ok(_) | Err(Unreadable::Incident { .. })))
                .count();
        assert_eq!(unreadable, usize::from(!is_alone && !whole_at_end && torn > 0), "cut at {cut}");
    }
    // It is said although nothing is written then, and where the rest is longer than one look.
    let text = line(1) + "{" + &"x".repeat(200_000);
    std::fs::write(&path, text).expect("a file");
    open().finish();
    assert_eq!(read_all(folder.path()).1[0].cut_bytes, 200_001);
}

#[test]
fn what_cannot_be_brought_to_the_disk_is_set_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let config = RecorderConfig { sync: SyncPolicy::Always, ..RecorderConfig::default() };
    let mut log = log(&path, &config, |_| Err(io::Error::other("no luck")));
    log.append(line(1).as_bytes());
    log.append(line(2).as_bytes());
    log.finish();
    let (numbers, incidents) = read_all(folder.path());
    assert_eq!(numbers, [1, 2]);
    let suspect = incidents[0].suspect.as_deref().expect("a name");
    assert!(suspect.ends_with("-suspect.jsonl"), "{suspect}");
    assert_eq!(incidents[0].reason.as_deref(), Some("no luck"));
    let open = std::fs::read_to_string(&path).expect("the open file");
    assert!(open.contains("\"timestamp\":2.000") && !open.contains("\"timestamp\":1.000"));
}

#[test]
fn what_was_lost_is_said_as_soon_as_it_can_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let mut log = log(&path, &RecorderConfig::default(), std::fs::File::sync_data);
    log.append(line(1).as_bytes());
    std::fs::remove_dir_all(folder.path()).expect("the folder goes");
    std::fs::write(folder.path(), "in the way").expect("a file");
    log.append(line(2).as_bytes());
    log.append(line(3).as_bytes());
    std::fs::remove_file(folder.path()).expect("the way is free");
    log.rest();
    log.append(line(4).as_bytes());
    log.finish();
    let (numbers, incidents) = read_all(folder.path());
    assert_eq!(numbers, [4]);
    assert_eq!(incidents.iter().map(|incident| incident.lost).collect::<Vec<_>>(), [2]);
    assert!(incidents[0].since_unix_ms.is_some() && incidents[0].reason.is_some());
}
