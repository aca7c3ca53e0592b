//! What a terminal is told and a pipe is not: how far the reading of recordings is; and what neither is
//! done by the texts in them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::pty::{self, OpenptFlags};

/// The bar moves at most every 100 ms; what has been waited for this long is due.
const DUE_AFTER: Duration = Duration::from_millis(150);
/// Rows of so many exchanges are more than a pipe holds, so that the program has to wait for its reader.
const EXCHANGES: usize = 8_000;

fn recording(folder: &Path) -> PathBuf {
    let path = folder.join("traffic.jsonl");
    let exchange = "{\"timestamp\":1,\"request\":{\"method\":\"GET\",\"url\":\"/v1/models\",\
                    \"headers\":{\"user-agent\":\"a program that asks for models again and again\",\
                    \"accept\":\"application/json\"}}}\n";
    fs::write(&path, exchange.repeat(EXCHANGES)).unwrap();
    path
}

/// Reports a recording twice over as a table. The second time begins when a bar is due: the program
/// cannot get there before the first rows are read. Gives what came by `stderr`, if that is a pipe.
fn report_slowly(stderr: Stdio) -> Vec<u8> {
    let here = tempfile::tempdir().unwrap();
    let recording = recording(here.path());
    let mut child = Command::new(env!("CARGO_BIN_EXE_latimer"))
        .args(["report", "--format", "csv"])
        .args([&recording, &recording])
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut rows = child.stdout.take().unwrap();
    let mut first = [0; 1];
    rows.read_exact(&mut first).unwrap();
    thread::sleep(DUE_AFTER);
    let mut rest = String::new();
    rows.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.lines().count(), 2 * EXCHANGES + 1);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stderr
}

/// A terminal for a program to write to, and all that comes on it until nobody has it open any more.
fn terminal() -> (Stdio, JoinHandle<String>) {
    let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    pty::grantpt(&terminal).unwrap();
    pty::unlockpt(&terminal).unwrap();
    let name = pty::ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let noctty = OFlags::NOCTTY.bits() as i32;
    let end = File::options().read(true).write(true).custom_flags(noctty).open(name).unwrap();
    let shown = thread::spawn(move || {
        let mut shown = Vec::new();
        // Linux says with an error that it is the end.
        let _ = File::from(terminal).read_to_end(&mut shown);
        String::from_utf8(shown).unwrap()
    });
    (end.into(), shown)
}

#[test]
fn a_terminal_is_told_how_far_the_reading_is() {
    let (stderr, shown) = terminal();
    report_slowly(stderr);
    let shown = shown.join().unwrap();

    let mut lines = shown.strip_prefix('\r').unwrap().split('\r');
    assert_eq!(lines.next_back(), Some("\x1b[K"), "it is wiped off in the end: {shown:?}");
    let percents: Vec<usize> = lines
        .map(|line| {
            let (bar, said) = line.split_once(' ').unwrap();
            let (percent, said) = said.split_once(" %  ").unwrap();
            let percent = percent.trim().parse().unwrap();
            assert_eq!(bar, "█".repeat(percent / 4) + &"░".repeat(25 - percent / 4));
            assert!(said.ends_with(" of 2 MiB"), "{said}");
            percent
        })
        .collect();
    assert!(percents.is_sorted() && percents.iter().any(|percent| *percent >= 50), "{shown:?}");
}

#[test]
fn what_is_no_terminal_is_told_nothing() {
    assert_eq!(report_slowly(Stdio::piped()), b"");
}

const HOSTILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../probe/fixtures/summary/hostile.jsonl");

/// Nothing but text, line ends and tabs.
fn is_only_seen(shown: &str) -> bool {
    let moves = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}');
    !shown.contains(|c| moves(c) || turns(c))
}

#[test]
fn no_text_of_a_recording_does_anything_to_a_terminal() {
    let cases = [
        (vec!["report", HOSTILE], "␛[2J"),
        (vec!["report", HOSTILE, "--format", "csv"], "␛[2J"),
        (vec!["report", HOSTILE, "--format", "json"], "\\u001b[2J"),
        (vec!["check", HOSTILE], "␛[2J"),
    ];
    for (arguments, escape) in cases {
        let (stdout, shown) = terminal();
        let mut command = Command::new(env!("CARGO_BIN_EXE_latimer"));
        assert!(command.args(&arguments).stdout(stdout).status().unwrap().code().is_some());
        // The terminal is open as long as the command has it.
        drop(command);
        let shown = shown.join().unwrap().replace("\r\n", "\n");
        assert!(shown.contains(escape) && is_only_seen(&shown), "{arguments:?}: {shown:?}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_latimer"));
    let refused = command.args(["report", "--diff", "", "", HOSTILE]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("␛[2J") && is_only_seen(&said), "{said:?}");
}

#[test]
fn a_pipe_gets_every_byte() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latimer"));
    let printed = command.args(["report", HOSTILE, "--format", "csv"]).output().unwrap().stdout;
    let written = Path::new(HOSTILE).with_extension("csv");
    assert_eq!(String::from_utf8(printed).unwrap(), fs::read_to_string(written).unwrap());
}
