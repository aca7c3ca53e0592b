//! What is left of a recording when the process is killed, when several write one file, and when the
//! disk takes nothing more: with the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{Listening, ask, latimer, text};
use latimer_probe::record::exchange::{Unreadable, read};

const JSON: &str = "content-type: application/json\r\n";
/// How often the processes are killed, and how many write one file.
const ROUNDS: usize = 10;
const PROCESSES: usize = 2;
const CLIENTS: usize = 4;
/// After how many whole answers, in all, they are killed.
const ANSWERS: usize = 40;

/// What a recording holds: how often each input was recorded, how many exchanges are said to be lost,
/// and the lines that are neither.
#[derive(Default)]
struct Recorded {
    inputs: HashMap<String, usize>,
    lost: u64,
    torn: usize,
    unreadable: Vec<String>,
}

fn recorded(folder: &Path) -> Recorded {
    let mut all = Recorded::default();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let bytes = match file.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl") => std::fs::read(&file).unwrap(),
            Some("zst") => zstd::decode_all(&*std::fs::read(&file).unwrap()).unwrap(),
            _ => continue,
        };
        for line in read(&bytes) {
            match line {
                Ok(exchange) => {
                    let latimer_probe::record::exchange::Payload::Json(body) =
                        exchange.request.body
                    else {
                        panic!("no JSON body")
                    };
                    let input = body.root().member_text("input").unwrap();
                    *all.inputs.entry(input.into_owned()).or_default() += 1;
                }
                Err(Unreadable::Incident { incident, .. }) => {
                    all.lost += incident.lost;
                    all.torn += usize::from(incident.torn && incident.cut_bytes == 0);
                }
                Err(error) => all.unreadable.push(error.to_string()),
            }
        }
    }
    all
}

fn request(input: &str) -> String {
    format!(r#"{{"model":"m","input":"{input}","stream":true}}"#)
}

/// Whoever has got its answer whole finds it in the file, whenever the process is killed.
#[test]
fn what_was_answered_is_recorded_whenever_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("latimer.toml");
    let text = "record = 'kept'\n[recorder]\nstrict = true\nsegment_bytes = 60000\n";
    std::fs::write(&config, text).unwrap();
    let answered = Arc::new(Mutex::new(Vec::new()));
    for round in 0..ROUNDS {
        let start = |_| {
            let mut command = latimer(folder.path());
            Listening::start(
                command.args(["-q", "serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config),
            )
        };
        let mut processes: Vec<_> = (0..PROCESSES).map(start).collect();
        let whole = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let address = processes[client % PROCESSES].address.clone();
                let (answered, whole) = (Arc::clone(&answered), Arc::clone(&whole));
                std::thread::spawn(move || {
                    for number in 0.. {
                        let input = format!("{round}-{client}-{number}");
                        let answer = std::panic::catch_unwind(|| {
                            ask(&address, JSON, "/v1/responses", &request(&input))
                        });
                        match answer {
                            Ok(answer) if answer.contains("event: response.completed\n") => {
                                answered.lock().unwrap().push(input);
                                whole.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        while whole.load(Ordering::Relaxed) < ANSWERS {
            std::thread::yield_now();
        }
        for process in &mut processes {
            process.child.kill().unwrap();
            process.child.wait().unwrap();
        }
        clients.into_iter().for_each(|client| client.join().unwrap());
    }
    let recorded = recorded(&folder.path().join("kept"));
    let answered = answered.lock().unwrap();
    assert!(answered.len() >= ROUNDS * ANSWERS);
    for input in answered.iter() {
        assert_eq!(recorded.inputs.get(input), Some(&1), "{input}");
    }
    assert_eq!(recorded.unreadable.len(), recorded.torn, "{:?}", recorded.unreadable);
    assert_eq!(recorded.lost, 0);
}

/// Sends a request of which a line takes some 15 KB, which is answered whatever becomes of the line.
fn send(address: &str, number: usize) {
    let input = format!("{number} {}", "long ".repeat(200));
    let answer = ask(address, JSON, "/v1/responses", &request(&input));
    assert!(answer.contains("event: response.completed\n"), "{answer}");
}

/// Each exchange is in the recording once, or counted as lost.
fn all_are_accounted_for(recorded: &Recorded, sent: usize) {
    assert!(recorded.lost > 0, "there is too much room for this test");
    assert_eq!(recorded.inputs.len() as u64 + recorded.lost, sent as u64);
    assert!(recorded.inputs.values().all(|times| *times == 1));
}

/// A file that may not grow stands for a full disk: the writes fail in the middle of a line. The limit
/// (256 KiB) is some 17 lines.
#[test]
fn a_file_that_may_not_grow_stops_no_traffic_and_what_it_took_is_counted() {
    const SENT: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_latimer");
    command.current_dir(folder.path()).args(["-c", "ulimit -f 512; exec \"$0\" \"$@\"", binary]);
    let mut serving = Listening::start(command.args(["-q", "serve", "--listen", "127.0.0.1:0"]));
    let address = serving.address.clone();
    (0..SENT).for_each(|number| send(&address, number));
    let kept = folder.path().join("latimer");
    let full = kept.join("traffic.jsonl");
    // Each is written or lost before the file is moved away; what is lost is said on stderr.
    let (mut said, mut lost) = (String::new(), 0);
    while std::fs::read_to_string(&full).unwrap().matches('\n').count() + lost < SENT {
        said.clear();
        assert!(serving.stderr.read_line(&mut said).unwrap() > 0, "it ended");
        let count = said.split("lost=").nth(1).and_then(|rest| rest.split(' ').next());
        lost = count.and_then(|count| count.parse().ok()).unwrap_or(lost);
    }
    std::fs::rename(&full, kept.join("full.jsonl")).unwrap();
    send(&address, SENT);
    let (code, _) = serving.stop();
    assert_eq!(code, Some(0));
    all_are_accounted_for(&recorded(&kept), SENT + 1);
}

/// Gives a program, in namespaces of its own, a file system of 1 MiB in the folder `latimer`.
const ON_A_SMALL_DISK: &[&str] = &[
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs -o size=1m small latimer && exec \"$0\" \"$@\"",
];

/// Takes all the room that is left, and gives none of it back.
fn fill(disk: &Path) -> std::path::PathBuf {
    let path = disk.join("filler");
    let mut filler = std::fs::File::create(&path).unwrap();
    while filler.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    path
}

#[test]
fn a_full_disk_stops_no_traffic_and_what_it_took_is_counted_in_the_report() {
    const SENT: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("latimer")).unwrap();
    // An answer ends when its line is written, or is known to be lost.
    std::fs::write(folder.path().join("latimer.toml"), "[recorder]\nstrict = true\n").unwrap();
    let small = |program: &str| {
        let mut command = Command::new("unshare");
        command.current_dir(folder.path()).args(ON_A_SMALL_DISK).arg(program);
        command
    };
    if !small("true").output().is_ok_and(|probe| probe.status.success()) {
        return println!("skipped: no program may have a user and mount namespace of its own here");
    }
    let mut command = small(env!("CARGO_BIN_EXE_latimer"));
    command.args(["-q", "serve", "--listen", "127.0.0.1:0", "--config", "latimer.toml"]);
    let serving = Listening::start(&mut command);
    let address = serving.address.clone();
    // The disk as the program sees it.
    let disk = format!("/proc/{}/root{}/latimer", serving.child.id(), folder.path().display());
    let disk = Path::new(&disk);

    send(&address, 0);
    let filler = fill(disk);
    (1..SENT).for_each(|number| send(&address, number));
    std::fs::remove_file(&filler).unwrap();
    send(&address, SENT);
    let recorded = recorded(disk);
    all_are_accounted_for(&recorded, SENT + 1);

    let report = |arguments: &[&str]| {
        let output = latimer(folder.path()).arg("report").arg(disk).args(arguments).output();
        output.unwrap()
    };
    let told = text(&report(&[]).stdout);
    let lost = format!("**Not recorded:** {} exchanges were lost", recorded.lost);
    assert!(told.lines().any(|line| line == lost), "{told}");
    fill(disk);
    for name in ["report.md", "report.html", "report.csv"] {
        let path = disk.join(name);
        let refused = report(&["-o", path.to_str().unwrap()]);
        assert!(!refused.status.success(), "{name}");
        let said = text(&refused.stderr);
        let wanted = format!("cannot write the report {}", path.display());
        assert!(said.contains(&wanted) && said.contains("No space left on device"), "{said}");
    }
    send(&address, SENT + 1);
    assert_eq!(serving.stop().0, Some(0));
}
