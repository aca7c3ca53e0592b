//! What was measured, as data: series of figures, one value a round, and what went wrong or was not
//! measured. Medians, spreads and verdicts are derived from it, never stored alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// A kind of figure, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// CPU time per request, in milliseconds.
    CpuMs,
    /// Requests per second.
    Rate,
    /// Events per second.
    EventRate,
    /// Median time to the first text, in milliseconds.
    FirstP50Ms,
    /// The time to the first text that 99 of 100 do not pass.
    FirstP99Ms,
    /// Median time between two arrivals in a paced stream, in milliseconds.
    GapP50Ms,
    /// The gap that 99 of 100 do not pass.
    GapP99Ms,
    /// The most memory that was resident at one time, in megabytes.
    ResidentMb,
    /// From the start of the process to its first answer, in milliseconds.
    StartMs,
    /// The size of the program, in megabytes.
    ProgramMb,
    /// Writes to the client's socket per answer.
    Writes,
    /// Median time from a client's leaving until its backend is let go, in milliseconds.
    LeftP50Ms,
    /// The time that 99 of 100 do not pass.
    LeftP99Ms,
    /// Gigabytes per second.
    GbPerS,
}

impl Figure {
    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Figure::CpuMs => "CPU, ms a request",
            Figure::Rate => "requests a second",
            Figure::EventRate => "events a second",
            Figure::FirstP50Ms => "first text p50, ms",
            Figure::FirstP99Ms => "first text p99, ms",
            Figure::GapP50Ms => "gap p50, ms",
            Figure::GapP99Ms => "gap p99, ms",
            Figure::ResidentMb => "resident, MB",
            Figure::StartMs => "start to first answer, ms",
            Figure::ProgramMb => "program, MB",
            Figure::Writes => "writes an answer",
            Figure::LeftP50Ms => "let go after p50, ms",
            Figure::LeftP99Ms => "let go after p99, ms",
            Figure::GbPerS => "GB a second",
        }
    }
}

/// One figure of one peer in one case, round by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The case's name.
    pub case: String,
    /// The peer's name.
    pub peer: String,
    /// What was measured.
    pub figure: Figure,
    /// A value for each round.
    pub values: Vec<f64>,
}

/// The answers of one peer in one case, all of which were checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The case's name.
    pub case: String,
    /// The peer's name.
    pub peer: String,
    /// How many there were.
    pub answers: usize,
    /// What was wrong with those that were not right, and how often.
    pub faults: BTreeMap<String, usize>,
}

/// Everything one run found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// The day, as `2026-11-20`.
    pub day: String,
    /// The commit that was measured.
    pub commit: String,
    /// The command that repeats the run.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// How, a sentence each.
    pub method: Vec<String>,
    /// The figures.
    pub series: Vec<Series>,
    /// The answers, and what was wrong with them.
    pub checked: Vec<Checked>,
    /// What was not measured, and why.
    pub missing: Vec<String>,
}

impl Results {
    /// Adds a value of a further round.
    pub fn add(&mut self, case: &str, peer: &str, figure: Figure, value: f64) {
        let same = |series: &&mut Series| {
            series.case == case && series.peer == peer && series.figure == figure
        };
        match self.series.iter_mut().find(same) {
            Some(series) => series.values.push(value),
            None => {
                let (case, peer) = (case.to_owned(), peer.to_owned());
                self.series.push(Series { case, peer, figure, values: vec![value] });
            }
        }
    }

    /// Adds further answers, and what was wrong with them.
    pub fn check<'a>(
        &mut self,
        case: &str,
        peer: &str,
        answers: usize,
        faults: impl Iterator<Item = (&'a str, usize)>,
    ) {
        let same = |checked: &Checked| checked.case == case && checked.peer == peer;
        let at = self.checked.iter().position(same).unwrap_or_else(|| {
            let (case, peer) = (case.to_owned(), peer.to_owned());
            self.checked.push(Checked { case, peer, ..Checked::default() });
            self.checked.len() - 1
        });
        if let Some(checked) = self.checked.get_mut(at) {
            checked.answers += answers;
            for (fault, count) in faults {
                *checked.faults.entry(fault.to_owned()).or_default() += count;
            }
        }
    }

    /// Says, once, what is not measured and why.
    pub fn miss(&mut self, what: String) {
        if !self.missing.contains(&what) {
            eprintln!("  not measured: {what}");
            self.missing.push(what);
        }
    }

    /// The values of one figure, round by round; empty when it was not measured.
    pub fn values(&self, case: &str, peer: &str, figure: Figure) -> &[f64] {
        let mut same = self
            .series
            .iter()
            .filter(|series| series.case == case && series.peer == peer && series.figure == figure);
        same.next().map_or(&[], |series| &series.values)
    }

    /// Reads a run that was written earlier.
    ///
    /// # Errors
    /// When it is not there, or not what a run writes.
    pub fn read(path: &Path) -> Result<Results> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a result of this bench", path.display()))
    }
}

/// A median, and how far the rounds lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle value.
    pub median: f64,
    /// The lowest round.
    pub low: f64,
    /// The highest round.
    pub high: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

impl Spread {
    /// Of the values of some rounds; `None` of none.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (sorted.first()?, sorted.last()?);
        let upper = sorted.get(sorted.len() / 2)?;
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        let (median, rounds) = ((upper + lower) / 2.0, values.len());
        Some(Spread { median, low: *low, high: *high, rounds })
    }

    /// The noise: how far the rounds lie apart, as a share of the median. One round does not say.
    pub fn noise(&self) -> Option<f64> {
        let says = self.rounds > 1 && self.median != 0.0;
        says.then(|| (self.high - self.low) / self.median.abs())
    }

    /// Whether the medians lie further apart than the rounds of either, which single rounds do not
    /// say.
    pub fn is_apart_from(&self, other: &Spread) -> bool {
        let noise = (self.high - self.low).max(other.high - other.low);
        self.rounds > 1 && other.rounds > 1 && (self.median - other.median).abs() > noise
    }
}

/// The value that `percent` of the sorted values do not pass.
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied()
}

/// A figure with three digits that say something.
pub fn shown(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let before_point = value.abs().log10().floor() as i32 + 1;
    format!("{value:.*}", usize::try_from(3 - before_point).unwrap_or(0))
}

#[cfg(test)]
pub mod tests {
    use super::{Figure, Machine, Results, Spread, percentile, shown};

    /// Results of a run in which nothing was measured yet.
    pub fn empty() -> Results {
        Results {
            day: "2026-11-20".to_owned(),
            commit: "abc".to_owned(),
            command: "cargo xtask bench".to_owned(),
            machine: Machine { processor: "p".to_owned(), cores: 2, kernel: "k".to_owned() },
            method: vec!["As it is.".to_owned()],
            series: Vec::new(),
            checked: Vec::new(),
            missing: Vec::new(),
        }
    }

    #[test]
    fn a_median_stands_between_the_rounds() {
        let spread = Spread::of(&[4.0, 1.0, 2.0]).expect("values");
        assert_eq!(spread, Spread { median: 2.0, low: 1.0, high: 4.0, rounds: 3 });
        assert_eq!(spread.noise(), Some(1.5));
        assert_eq!(Spread::of(&[1.0]).and_then(|spread| spread.noise()), None);
        assert_eq!(Spread::of(&[1.0, 3.0]).map(|spread| spread.median), Some(2.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn what_the_noise_covers_is_not_apart() {
        let spread = |low, high| Spread { median: low, low, high, rounds: 2 };
        assert!(spread(1.0, 2.0).is_apart_from(&spread(2.1, 3.0)));
        assert!(spread(2.1, 3.0).is_apart_from(&spread(1.0, 2.0)));
        assert!(!spread(1.0, 2.0).is_apart_from(&spread(2.0, 3.0)));
        let single = Spread { rounds: 1, ..spread(9.0, 9.0) };
        assert!(!spread(1.0, 2.0).is_apart_from(&single));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (0..200).collect();
        assert_eq!(percentile(&values, 50), Some(100));
        assert_eq!(percentile(&values, 100), Some(199));
        assert_eq!(percentile::<u32>(&[], 50), None);
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!([0.05123, 1.234, 12.34].map(shown), ["0.0512", "1.23", "12.3"]);
        assert_eq!([-0.25, 0.0, 1234.4].map(shown), ["-0.250", "0", "1234"]);
    }

    #[test]
    fn rounds_of_one_figure_are_one_series() {
        let mut results = empty();
        results.add("case", "peer", Figure::CpuMs, 1.0);
        results.add("case", "peer", Figure::CpuMs, 2.0);
        results.add("case", "peer", Figure::Rate, 3.0);
        assert_eq!(results.values("case", "peer", Figure::CpuMs), [1.0, 2.0]);
        assert!(results.values("case", "nobody", Figure::CpuMs).is_empty());
    }

    #[test]
    fn answers_of_further_rounds_are_added() {
        let mut results = empty();
        results.check("case", "peer", 10, [("late", 1)].into_iter());
        results.check("case", "peer", 10, [("late", 2), ("odd", 1)].into_iter());
        results.check("case", "other", 5, [].into_iter());
        let counts: Vec<_> = results.checked.iter().map(|c| (c.answers, c.faults.len())).collect();
        assert_eq!(counts, [(20, 2), (5, 0)]);
        assert_eq!(results.checked[0].faults["late"], 3);
    }
}
