//! Where Latimer wants to be: a table of targets, each measured by a rule over the results of one
//! run. Costs are ratios to nginx, since absolute times move from machine to machine.

use serde::Serialize;

use crate::cases::{
    FIRST, LEAVE_SILENT, LEAVE_TALKING, LEAVE_WAITING, PACED, PROGRAM, REPORT, REPORT_DATA,
    REPORT_LOG, REPORT_PAGE, SLOW, STREAM, STREAM_1_MB, WHOLE, WRITES,
};
use crate::peers::{DIRECT, LATIMER, NGINX, PASSING, RECORDING};
use crate::results::{Figure, Results, Spread, shown};

/// Something to reach.
#[derive(Debug)]
pub struct Target {
    /// What.
    pub name: &'static str,
    /// How it is measured.
    measure: Measure,
    /// What the figure is given in.
    unit: &'static str,
    /// Whether more is better; otherwise less is.
    more_is_better: bool,
    /// What should be reached, where anything is asked for.
    target: Option<f64>,
    /// What would be splendid.
    moonshot: Option<f64>,
}

/// A figure of a peer in a case.
#[derive(Debug, Clone, Copy)]
struct Of(&'static str, &'static str, Figure);

#[derive(Debug)]
enum Measure {
    /// The figure as it is.
    Plain(Of),
    /// The first as a multiple of the second.
    Ratio(Of, Of),
    /// By how many per cent the first is more than the second.
    Percent(Of, Of),
    /// How much the first is more than the second.
    Added(Of, Of),
}

const fn plain(case: &'static str, figure: Figure) -> Measure {
    Measure::Plain(Of(case, LATIMER, figure))
}

const fn cpu(case: &'static str, peer: &'static str, to: &'static str) -> (Of, Of) {
    (Of(case, peer, Figure::CpuMs), Of(case, to, Figure::CpuMs))
}

const fn to_nginx(case: &'static str, peer: &'static str) -> Measure {
    let (ours, floor) = cpu(case, peer, NGINX);
    Measure::Ratio(ours, floor)
}

const fn added(peer: &'static str) -> Measure {
    Measure::Added(Of(FIRST, peer, Figure::FirstP50Ms), Of(FIRST, DIRECT, Figure::FirstP50Ms))
}

const fn target(
    name: &'static str,
    measure: Measure,
    unit: &'static str,
    (target, moonshot): (Option<f64>, Option<f64>),
) -> Target {
    Target { name, measure, unit, more_is_better: false, target, moonshot }
}

const fn at_least(mut of: Target) -> Target {
    of.more_is_better = true;
    of
}

const fn recording_costs() -> Measure {
    let (with, without) = cpu(STREAM, RECORDING, LATIMER);
    Measure::Percent(with, without)
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    target("bridge, stream, 64 KB, full speed", to_nginx(STREAM, LATIMER), "× nginx", (Some(2.0), Some(1.3))),
    target("bridge, stream, paced 1 ms a chunk, 32 at once", to_nginx(PACED, LATIMER), "× nginx", (Some(1.3), Some(1.1))),
    target("bridge, stream, 1 MB request", to_nginx(STREAM_1_MB, LATIMER), "× nginx", (Some(2.0), Some(0.9))),
    target("bridge, whole, 64 KB", to_nginx(WHOLE, LATIMER), "× nginx", (Some(3.0), Some(1.5))),
    target("pass-through, stream, 64 KB", to_nginx(STREAM, PASSING), "× nginx", (Some(1.2), Some(0.8))),
    target("recording switched on: CPU", recording_costs(), "% more", (Some(15.0), Some(5.0))),
    target("added time to first event", added(LATIMER), "ms", (Some(0.15), Some(0.10))),
    target("added time to first event, recording", added(RECORDING), "ms", (Some(0.15), Some(0.10))),
    target("1,000 slow streams: memory", plain(SLOW, Figure::ResidentMb), "MB", (Some(100.0), Some(48.0))),
    target("1,000 slow streams: CPU", to_nginx(SLOW, LATIMER), "× nginx", (Some(1.2), None)),
    target("socket writes for a 50-chunk stream that arrives in one read", plain(WRITES, Figure::Writes), "writes", (Some(5.0), Some(2.0))),
    target("client leaves before the answer: backend let go, p99", plain(LEAVE_WAITING, Figure::LeftP99Ms), "ms", (Some(50.0), Some(1.0))),
    target("client leaves a silent stream: backend let go, p99", plain(LEAVE_SILENT, Figure::LeftP99Ms), "ms", (Some(50.0), Some(1.0))),
    target("client leaves a stream: backend let go, p99", plain(LEAVE_TALKING, Figure::LeftP99Ms), "ms", (Some(50.0), Some(1.0))),
    target("idle memory", plain(PROGRAM, Figure::ResidentMb), "MB", (Some(12.0), Some(8.0))),
    target("start to first answer", plain(PROGRAM, Figure::StartMs), "ms", (Some(10.0), Some(5.0))),
    target("size of the program", plain(PROGRAM, Figure::ProgramMb), "MB", (None, None)),
    at_least(target("report over a large recording", plain(REPORT, Figure::GbPerS), "GB/s", (Some(1.0), Some(2.0)))),
    target("report over a large recording: memory", plain(REPORT, Figure::ResidentMb), "MB", (Some(50.0), None)),
    at_least(target("report without sessions", plain(REPORT_LOG, Figure::GbPerS), "GB/s", (Some(1.0), Some(2.0)))),
    at_least(target("report as a page", plain(REPORT_PAGE, Figure::GbPerS), "GB/s", (Some(1.0), Some(2.0)))),
    target("report as a page: memory", plain(REPORT_PAGE, Figure::ResidentMb), "MB", (Some(50.0), None)),
    at_least(target("report as data", plain(REPORT_DATA, Figure::GbPerS), "GB/s", (Some(1.0), Some(2.0)))),
    target("report as data: memory", plain(REPORT_DATA, Figure::ResidentMb), "MB", (Some(50.0), None)),
];

/// What would reach what is missed: the measured reason, and the way.
pub const REACH: &[(&str, &str)] = &[
    ("bridge, stream, 64 KB, full speed", REQUEST),
    ("bridge, stream, 1 MB request", REQUEST),
    ("bridge, whole, 64 KB", REQUEST),
    (
        "bridge, stream, paced 1 ms a chunk, 32 at once",
        "of 0.42 ms the system takes 0.28, for one read and one write of a socket a chunk, as much as all of nginx costs; the request and the translation take 0.03 each, and the rest, 1.7 µs a chunk, is the library that speaks HTTP, the runtime below it, and memory: chunks that are written as they are read, without a body and a buffer in between",
    ),
    (
        "recording switched on: CPU",
        "of a line of 91 KB, the seal (SHA-256, with the processor's instructions for it) takes 45 µs, which is two fifths of an exchange that is not recorded; making the line 23, writing it to the system 22 and to the disk 8, the search for secrets 17, and closing files 31 (zstd 14, reading and removing what was written 12, the index 5). Space laid out before it is written would save 6 (measured); two seals made at once might save 20, by what the instructions take (not measured), but each holds the one before: only fewer bytes would do, a request told by what is new since the one before, and a body that the line's seal holds by a digest made once",
    ),
    (
        "idle memory",
        "it is the program's own code as far as it is touched, and the system's libraries: a smaller program",
    ),
    (
        "pass-through, stream, 64 KB",
        "it lies within the noise of the target; the same as for the stream of 64 KB that is not translated",
    ),
    (
        "added time to first event",
        "the request is translated before it is sent: see the stream of 64 KB",
    ),
    ("added time to first event, recording", "the same"),
    ("1,000 slow streams: CPU", "one chunk a wake-up; the same as for the paced stream"),
    (
        "report over a large recording",
        "of 1.7 s, in which two cores do 1.5 s of work in the program and 0.85 s in the system, the last 0.3 copy what was written: the text is nearly as long as the recording, and is written twice, because its head is known last. Without that copy, and with a third less work on texts, it would be met. Room that the file system makes in front of what is written (`FALLOC_FL_INSERT_RANGE`) costs more: all of it goes to the disk first, which took 0.6 s",
    ),
    ("report without sessions", "the same: of 1.25 s the copy takes 0.3"),
    (
        "report as a page",
        "of 3.9 million instructions for an exchange of 200 KB, the judge takes 0.9: an answer that is read once for the judge and for what is told of it",
    ),
    ("report as data", "the same"),
    (
        "report over a large recording: memory",
        "what is known of 5,000 exchanges is a third of it: keeping less of each",
    ),
    ("report as a page: memory", "the same"),
    ("report as data: memory", "the same"),
];

const REQUEST: &str = "to lower a request of 64 KB takes 574,000 instructions: the walk that checks its text and notes where values are takes 225,000, finding members by these notes 70,000, allocations 40,000, and the rest is what is written: one pass that writes while it reads, without the views in between";

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Beyond what was hoped for.
    Moonshot,
    /// Reached.
    Met,
    /// Not reached.
    Missed,
    /// Nothing was asked for.
    NoTarget,
    /// Nothing is known.
    NotMeasured,
}

impl Verdict {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Moonshot => "met, moonshot",
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::NoTarget => "–",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// A target held against a run.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// What.
    pub name: &'static str,
    /// What it is measured in.
    pub unit: &'static str,
    /// What was measured.
    pub measured: Option<Spread>,
    /// What was asked for.
    pub target: Option<f64>,
    /// What would be splendid.
    pub moonshot: Option<f64>,
    /// How it stands.
    pub verdict: Verdict,
    #[serde(skip)]
    more_is_better: bool,
}

impl Target {
    /// How it stands in a run.
    pub fn standing(&self, results: &Results) -> Standing {
        let measured = Spread::of(&self.measure.values(results));
        Standing {
            name: self.name,
            unit: self.unit,
            measured,
            target: self.target,
            moonshot: self.moonshot,
            verdict: self.verdict(measured),
            more_is_better: self.more_is_better,
        }
    }

    fn verdict(&self, measured: Option<Spread>) -> Verdict {
        let Some(spread) = measured else { return Verdict::NotMeasured };
        let reaches = |bound: f64| match self.more_is_better {
            true => spread.median >= bound,
            false => spread.median <= bound,
        };
        match (self.target, self.moonshot) {
            (_, Some(moonshot)) if reaches(moonshot) => Verdict::Moonshot,
            (Some(target), _) if reaches(target) => Verdict::Met,
            (Some(_), _) => Verdict::Missed,
            (None, _) => Verdict::NoTarget,
        }
    }
}

impl Measure {
    /// Round by round.
    fn values(&self, results: &Results) -> Vec<f64> {
        let values = |of: &Of| results.values(of.0, of.1, of.2).to_vec();
        let both = |first: &Of, second: &Of, each: fn(f64, f64) -> f64| {
            values(first).into_iter().zip(values(second)).map(|(a, b)| each(a, b)).collect()
        };
        match self {
            Measure::Plain(of) => values(of),
            Measure::Ratio(of, to) => both(of, to, |a, b| a / b),
            Measure::Percent(of, to) => both(of, to, |a, b| (a / b - 1.0) * 100.0),
            Measure::Added(of, to) => both(of, to, |a, b| a - b),
        }
    }
}

/// The targets as rows: what, measured, noise, target, moonshot, how it stands.
pub fn rows(results: &Results) -> Vec<Vec<String>> {
    let standings = TARGETS.iter().map(|target| target.standing(results));
    standings.map(|standing| standing.row()).collect()
}

/// The head of these rows.
pub const HEAD: [&str; 5] = ["what", "measured (rounds)", "target", "moonshot", ""];

impl Standing {
    fn row(&self) -> Vec<String> {
        let sign = if self.more_is_better { "≥" } else { "≤" };
        let bound = |bound: Option<f64>| {
            bound.map_or("–".to_owned(), |bound| format!("{sign} {bound} {}", self.unit))
        };
        let measured = self.measured.map_or("–".to_owned(), |spread| {
            let Spread { median, low, high, .. } = spread;
            let rounds = match low == high {
                true => String::new(),
                false => format!(" ({} to {})", shown(low), shown(high)),
            };
            format!("{} {}{rounds}", shown(median), self.unit)
        });
        vec![
            self.name.to_owned(),
            measured,
            bound(self.target),
            bound(self.moonshot),
            self.verdict.name().to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, LATIMER, NGINX, PROGRAM, REPORT, STREAM, TARGETS, Verdict};
    use crate::results::tests::empty;

    #[test]
    fn what_is_missed_is_a_target() {
        for (name, _) in super::REACH {
            assert!(super::TARGETS.iter().any(|target| target.name == *name), "{name}");
        }
    }

    #[test]
    fn a_target_is_held_against_the_median_of_the_rounds() {
        let mut results = empty();
        for (ours, floor) in [(0.1, 0.1), (0.3, 0.2), (0.9, 0.3)] {
            results.add(STREAM, LATIMER, Figure::CpuMs, ours);
            results.add(STREAM, NGINX, Figure::CpuMs, floor);
        }
        results.add(PROGRAM, LATIMER, Figure::StartMs, 11.0);
        results.add(PROGRAM, LATIMER, Figure::ProgramMb, 5.0);
        results.add(REPORT, LATIMER, Figure::GbPerS, 2.5);
        let standing = |name: &str| {
            let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
            target.standing(&results)
        };
        let bridge = standing("bridge, stream, 64 KB, full speed");
        assert!((bridge.measured.expect("a figure").median - 1.5).abs() < 1e-9);
        assert_eq!(bridge.verdict, Verdict::Met);
        assert_eq!(standing("start to first answer").verdict, Verdict::Missed);
        assert_eq!(standing("size of the program").verdict, Verdict::NoTarget);
        assert_eq!(standing("report over a large recording").verdict, Verdict::Moonshot);
        assert_eq!(standing("bridge, whole, 64 KB").verdict, Verdict::NotMeasured);
    }
}
