//! What moved between two runs. A figure moved when its medians lie further apart than the rounds of
//! either run; everything else is noise, and of single rounds nothing can be said.

use crate::results::{Results, Series, Spread, shown};
use crate::table::markdown;
use crate::targets::TARGETS;

/// What moved, in words and tables.
pub fn compare(old: &Results, new: &Results) -> String {
    let mut text = format!("From {} ({}) to {} ({}).\n", old.commit, old.day, new.commit, new.day);
    if old.machine != new.machine {
        text.push_str("The machines differ: only ratios can be compared.\n");
    }
    let (targets, still) = split(TARGETS.iter().filter_map(|target| {
        let (before, after) = (target.standing(old), target.standing(new));
        Some((format!("{} ({})", target.name, before.unit), before.measured?, after.measured?))
    }));
    text.push_str(&section("Targets", &targets, still));
    let (series, still) = split(new.series.iter().filter_map(|series| {
        let Series { case, peer, figure, values } = series;
        let before = Spread::of(old.values(case, peer, *figure))?;
        Some((format!("{case}, {peer}: {}", figure.name()), before, Spread::of(values)?))
    }));
    text.push_str(&section("Figures", &series, still));
    text
}

/// A figure's name, and what it was before and after.
type Pair = (String, Spread, Spread);

/// The rows of what moved, and how many did not.
fn split(pairs: impl Iterator<Item = Pair>) -> (Vec<Vec<String>>, usize) {
    let (moved, still): (Vec<Pair>, Vec<Pair>) =
        pairs.partition(|(_, before, after)| before.is_apart_from(after));
    let row = |(name, before, after): Pair| {
        let change = (after.median / before.median - 1.0) * 100.0;
        let noise = [before, after].iter().filter_map(Spread::noise).fold(0.0, f64::max) * 100.0;
        let cells = [shown(before.median), shown(after.median)];
        let [before, after] = cells;
        vec![name, before, after, format!("{change:+.0} %"), format!("{noise:.0} %")]
    };
    (moved.into_iter().map(row).collect(), still.len())
}

fn section(name: &str, moved: &[Vec<String>], still: usize) -> String {
    let head =
        format!("\n{name}: {} moved, {still} did not by more than the noise.\n", moved.len());
    match moved {
        [] => head,
        rows => format!("{head}\n{}", markdown(&["", "before", "after", "change", "noise"], rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::cases::STREAM;
    use crate::peers::{LATIMER, NGINX};
    use crate::results::{Figure, Results, tests::empty};

    fn run(ours: [f64; 2]) -> Results {
        let mut results = empty();
        for value in ours {
            results.add(STREAM, LATIMER, Figure::CpuMs, value);
            results.add(STREAM, NGINX, Figure::CpuMs, 0.1);
        }
        results
    }

    #[test]
    fn what_lies_within_the_rounds_did_not_move() {
        let said = compare(&run([0.2, 0.3]), &run([0.25, 0.35]));
        assert!(said.contains("Targets: 0 moved, 1 did not"), "{said}");
        assert!(said.contains("Figures: 0 moved, 2 did not"), "{said}");
    }

    #[test]
    fn what_lies_apart_moved() {
        let said = compare(&run([0.2, 0.2]), &run([0.1, 0.1]));
        assert!(said.contains("Targets: 1 moved, 0 did not"), "{said}");
        let row = "| stream 64 KB, latimer: CPU, ms a request |  0.200 | 0.100 |  -50 % |   0 % |";
        assert!(said.contains(row), "{said}");
    }
}
