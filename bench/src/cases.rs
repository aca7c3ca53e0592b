//! What is measured: a table of cases. A request is shaped like an agent's; a stream is 50 chunks
//! of 4 tokens unless it says otherwise.

use std::time::Duration;

use crate::dialogue::{CHUNKS, History, Shape, TURN_BYTES};
use crate::leave::Leave;
use crate::load::Work;
use crate::peers::{
    BEFORE_MOCK, CODEX_RELAY, DIRECT, HAPROXY, LATIMER, LITELLM, MOCK, NGINX, PASSING, POSTGRES,
    RECORDING, RESPONSES_PROXY,
};

/// A case, and who takes part.
#[derive(Debug)]
pub struct Case {
    /// What it is called in tables and by `--only`.
    pub name: &'static str,
    /// What is measured.
    pub kind: Kind,
    /// Who takes part, where installed.
    pub peers: &'static [&'static str],
    /// How many rounds are enough, where a round takes long.
    pub rounds: usize,
}

/// The ways to measure.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// What work costs: CPU, memory, times.
    Load(Work),
    /// The program itself: its size, its start, its memory when idle.
    Start,
    /// Writes to the client's socket.
    Writes(Work),
    /// How soon the backend is let go when its client leaves.
    Leave(Leave),
    /// `latimer report` over a large recording, as a file with this end and with these options.
    Report(&'static str, &'static [&'static str]),
}

/// Streams at full speed, requests of 64 KB.
pub const STREAM: &str = "stream 64 KB";
/// The same, requests of 1 KB.
pub const STREAM_1_KB: &str = "stream 1 KB";
/// The same, requests of 1 MB.
pub const STREAM_1_MB: &str = "stream 1 MB";
/// The same of the bench's own upstream and of Latimer's mock, each alone and behind a gateway.
pub const BACKENDS: &str = "backends 64 KB";
/// One chunk a millisecond.
pub const PACED: &str = "paced 64 KB";
/// Not streamed.
pub const WHOLE: &str = "whole 64 KB";
/// Not streamed, requests of 1 KB.
pub const WHOLE_1_KB: &str = "whole 1 KB";
/// One connection, so that times are those of the peer.
pub const FIRST: &str = "first event";
/// A thousand streams at once that take four seconds, asked for with 1 KB.
pub const SLOW: &str = "slow streams 1 KB";
/// The same, asked for with 64 KB.
pub const SLOW_64_KB: &str = "slow streams 64 KB";
/// Socket writes.
pub const WRITES: &str = "socket writes";
/// The program.
pub const PROGRAM: &str = "program";
/// A question after one item, which the client sends.
pub const TURN_1: &str = "turn on 1 item, sent";
/// The same, which the gateway has.
pub const TURN_1_NAMED: &str = "turn on 1 item, named";
/// A question after 20 items, which the client sends.
pub const TURN_20: &str = "turn on 20 items, sent";
/// The same, which the gateway has.
pub const TURN_20_NAMED: &str = "turn on 20 items, named";
/// A question after 200 items, which the client sends.
pub const TURN_200: &str = "turn on 200 items, sent";
/// The same, which the gateway has.
pub const TURN_200_NAMED: &str = "turn on 200 items, named";
/// The client leaves before the answer has begun.
pub const LEAVE_WAITING: &str = "leave while nothing has come";
/// The client leaves while the backend is silent.
pub const LEAVE_SILENT: &str = "leave while nothing comes";
/// The client leaves while chunks come.
pub const LEAVE_TALKING: &str = "leave while chunks come";
/// The report as Markdown: sessions, and all that was said.
pub const REPORT: &str = "report";
/// The same without sessions.
pub const REPORT_LOG: &str = "report, the log alone";
/// The report as a page.
pub const REPORT_PAGE: &str = "report as a page";
/// The report as JSON.
pub const REPORT_DATA: &str = "report as data";

const ALL: &[&str] = &[NGINX, HAPROXY, LATIMER, CODEX_RELAY, RESPONSES_PROXY, LITELLM];
const FAST: &[&str] = &[NGINX, HAPROXY, LATIMER, CODEX_RELAY, RESPONSES_PROXY];
const WITH_BACKENDS: &[&str] = &[DIRECT, MOCK, LATIMER, BEFORE_MOCK];
const KEEPERS: &[&str] = &[LATIMER, POSTGRES];
const FAST_WITH_DIRECT: &[&str] =
    &[DIRECT, NGINX, HAPROXY, LATIMER, PASSING, CODEX_RELAY, RESPONSES_PROXY];
const ALL_OURS: &[&str] =
    &[NGINX, HAPROXY, LATIMER, RECORDING, PASSING, CODEX_RELAY, RESPONSES_PROXY, LITELLM];
const WITH_DIRECT: &[&str] =
    &[DIRECT, NGINX, HAPROXY, LATIMER, RECORDING, PASSING, CODEX_RELAY, RESPONSES_PROXY, LITELLM];

const KB: usize = 1 << 10;
const ANY: usize = usize::MAX;

const fn work(request_bytes: usize, connections: usize, requests: usize) -> Work {
    let shape = Shape::stream(request_bytes, CHUNKS);
    Work { shape, pace: None, connections, requests }
}

const fn paced(mut work: Work, chunks: usize, pace: Duration) -> Work {
    work.shape.chunks = chunks;
    work.pace = Some(pace);
    work
}

const fn whole(mut work: Work) -> Work {
    work.shape.stream = false;
    work
}

const fn slow(request_bytes: usize) -> Work {
    paced(work(request_bytes, 1_000, 1_000), 200, Duration::from_millis(20))
}

const fn load(name: &'static str, work: Work, peers: &'static [&'static str]) -> Case {
    Case { name, kind: Kind::Load(work), peers, rounds: ANY }
}

/// A question after so many turns of three items each.
const fn turns(turns: usize, history: History) -> Work {
    let shape = Shape::stream(turns * TURN_BYTES, CHUNKS).with(history);
    Work { shape, pace: None, connections: 1, requests: 300 }
}

const HOUR: Duration = Duration::from_secs(3_600);

const fn report(name: &'static str, end: &'static str, options: &'static [&'static str]) -> Case {
    Case { name, kind: Kind::Report(end, options), peers: &[LATIMER], rounds: 3 }
}

const fn leave(name: &'static str, leave: Leave) -> Case {
    Case { name, kind: Kind::Leave(leave), peers: FAST_WITH_DIRECT, rounds: 3 }
}

/// All cases, in the order in which they are measured.
pub const CASES: &[Case] = &[
    Case { name: PROGRAM, kind: Kind::Start, peers: ALL, rounds: ANY },
    load(STREAM_1_KB, work(KB, 32, 2_000), ALL),
    load(STREAM, work(64 * KB, 32, 2_000), WITH_DIRECT),
    load(BACKENDS, work(64 * KB, 32, 2_000), WITH_BACKENDS),
    load(STREAM_1_MB, work(KB * KB, 8, 240), ALL),
    load(WHOLE_1_KB, whole(work(KB, 32, 4_000)), ALL),
    load(WHOLE, whole(work(64 * KB, 32, 4_000)), ALL),
    load(PACED, paced(work(64 * KB, 32, 640), CHUNKS, Duration::from_millis(1)), ALL_OURS),
    load(FIRST, work(64 * KB, 1, 500), WITH_DIRECT),
    Case { rounds: 3, ..load(SLOW, slow(KB), FAST) },
    Case { rounds: 1, ..load(SLOW_64_KB, slow(64 * KB), &[NGINX, HAPROXY, LATIMER]) },
    Case { name: WRITES, kind: Kind::Writes(work(64 * KB, 1, 20)), peers: FAST, rounds: 1 },
    load(TURN_1, turns(0, History::Sent), &[LATIMER]),
    load(TURN_1_NAMED, turns(0, History::Named), KEEPERS),
    load(TURN_20, turns(6, History::Sent), &[LATIMER]),
    load(TURN_20_NAMED, turns(6, History::Named), KEEPERS),
    load(TURN_200, turns(66, History::Sent), &[LATIMER]),
    load(TURN_200_NAMED, turns(66, History::Named), KEEPERS),
    leave(LEAVE_WAITING, Leave { begins: false, pace: HOUR }),
    leave(LEAVE_SILENT, Leave { begins: true, pace: HOUR }),
    leave(LEAVE_TALKING, Leave { begins: true, pace: Duration::from_millis(50) }),
    report(REPORT, "md", &[]),
    report(REPORT_LOG, "md", &["--layout", "seed"]),
    report(REPORT_PAGE, "html", &[]),
    report(REPORT_DATA, "json", &[]),
];

#[cfg(test)]
mod tests {
    use super::CASES;
    use crate::peers;

    #[test]
    fn every_case_names_peers_that_there_are() {
        for name in CASES.iter().flat_map(|case| case.peers) {
            assert!(peers::named(name).is_ok(), "{name}");
        }
    }
}
