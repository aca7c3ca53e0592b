//! A curve: a figure of several peers over something that grows, what it is expected to look like,
//! and whether it does.

use crate::results::shown;
use crate::table::markdown;

/// What a curve should look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The same everywhere.
    Flat,
    /// A share that is always there, and one that grows evenly.
    Linear,
}

/// A figure over something that grows.
#[derive(Debug)]
pub struct Curve {
    /// The name of its file.
    pub file: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What grows.
    pub across: &'static str,
    /// What was measured.
    pub up: &'static str,
    /// What it should look like.
    pub expected: Expected,
    /// Why it may look otherwise.
    pub note: &'static str,
    /// A line for each peer.
    pub lines: Vec<Line>,
}

/// The points of one peer.
#[derive(Debug)]
pub struct Line {
    /// Who.
    pub peer: &'static str,
    /// What grows, and what was measured there; in the order in which it grows.
    pub points: Vec<(f64, f64)>,
}

/// How much higher than its lowest point a flat curve may rise.
const FLAT: f64 = 1.5;

/// How far a point of a linear curve may lie from the line, as a share of what was measured.
const LINEAR: f64 = 0.25;

/// A straight line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// What is always there.
    pub base: f64,
    /// What each unit adds.
    pub slope: f64,
}

impl Fit {
    /// The line with the smallest squares of relative errors, so that small values count as much as
    /// large ones; `None` of fewer than two different points.
    pub fn of(points: &[(f64, f64)]) -> Option<Fit> {
        let sum = |each: fn(f64, f64) -> f64| -> f64 {
            points.iter().map(|&(x, y)| each(x, y) / (y * y)).sum()
        };
        let (one, x, y) = (sum(|_, _| 1.0), sum(|x, _| x), sum(|_, y| y));
        let (xx, xy) = (sum(|x, _| x * x), sum(|x, y| x * y));
        let determinant = one * xx - x * x;
        if determinant.abs() <= f64::EPSILON * one * xx || !determinant.is_finite() {
            return None;
        }
        let slope = (one * xy - x * y) / determinant;
        Some(Fit { base: (y - slope * x) / one, slope })
    }

    fn at(&self, x: f64) -> f64 {
        self.base + self.slope * x
    }
}

impl Line {
    /// Whether it looks as expected, in a sentence.
    pub fn verdict(&self, expected: Expected) -> String {
        let Line { peer, points } = self;
        match expected {
            Expected::Flat => {
                let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
                let ends = points.iter().min_by(by_height).zip(points.iter().max_by(by_height));
                let Some((low, high)) = ends else { return format!("{peer}: not measured.") };
                let is = if high.1 <= low.1 * FLAT { "flat" } else { "**not flat**" };
                let (x_low, x_high) = (low.0, high.0);
                format!(
                    "{peer}: {is}, from {} at {x_low} to {} at {x_high}.",
                    shown(low.1),
                    shown(high.1)
                )
            }
            Expected::Linear => {
                let Some(fit) = Fit::of(points) else { return format!("{peer}: not measured.") };
                let off = |&(x, y): &(f64, f64)| (fit.at(x) - y).abs() / y;
                let by_distance = |a: &&(f64, f64), b: &&(f64, f64)| off(a).total_cmp(&off(b));
                let line = format!("{} + {} each", shown(fit.base), shown(fit.slope));
                match points.iter().max_by(by_distance) {
                    Some(point) if off(point) > LINEAR => format!(
                        "{peer}: **not linear**; {line} would be {} at {}, where {} was measured.",
                        shown(fit.at(point.0)),
                        point.0,
                        shown(point.1)
                    ),
                    _ => format!("{peer}: linear, {line}."),
                }
            }
        }
    }
}

impl Curve {
    /// Picture, table and verdicts.
    pub fn markdown(&self) -> String {
        let (wanted, file) =
            (if self.expected == Expected::Flat { "flat" } else { "linear" }, self.file);
        let verdicts: String =
            self.lines.iter().map(|line| format!("- {}\n", line.verdict(self.expected))).collect();
        let Curve { title, note, .. } = self;
        format!(
            "## {title}\n\nExpected to be {wanted}. {note}\n\n![{title}]({file}.svg)\n\n{}\n{verdicts}",
            self.table()
        )
    }

    fn table(&self) -> String {
        let mut places: Vec<f64> =
            self.lines.iter().flat_map(|line| &line.points).map(|p| p.0).collect();
        places.sort_unstable_by(f64::total_cmp);
        places.dedup();
        let row = |place: &f64| {
            let at = |line: &Line| {
                let point = line.points.iter().find(|point| point.0 == *place);
                point.map_or(String::new(), |point| shown(point.1))
            };
            [place.to_string()].into_iter().chain(self.lines.iter().map(at)).collect()
        };
        let rows: Vec<Vec<String>> = places.iter().map(row).collect();
        let head: Vec<String> = [format!("{} → {}", self.across, self.up)]
            .into_iter()
            .chain(self.lines.iter().map(|line| line.peer.to_owned()))
            .collect();
        markdown(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Fit, Line};

    #[test]
    fn a_straight_line_is_found() {
        let points: Vec<_> = [1.0, 10.0, 10_000.0].map(|x| (x, 3.0 + 0.5 * x)).to_vec();
        let fit = Fit::of(&points).expect("a line");
        assert!((fit.base - 3.0).abs() < 1e-6 && (fit.slope - 0.5).abs() < 1e-9, "{fit:?}");
        assert_eq!(Fit::of(&[(1.0, 1.0)]), None);
        assert_eq!(Fit::of(&[]), None);
    }

    #[test]
    fn what_bends_is_named() {
        let said = |points: &[(f64, f64)], expected| {
            Line { peer: "p", points: points.to_vec() }.verdict(expected)
        };
        let square: Vec<_> = [1.0, 10.0, 100.0, 1000.0].map(|x| (x, x * x)).to_vec();
        assert!(said(&square, Expected::Linear).starts_with("p: **not linear**"));
        assert!(said(&[(1.0, 2.0), (2.0, 4.0)], Expected::Linear).starts_with("p: linear"));
        assert!(said(&[(1.0, 2.0), (9.0, 2.2)], Expected::Flat).starts_with("p: flat"));
        assert_eq!(
            said(&[(1.0, 2.0), (9.0, 4.0)], Expected::Flat),
            "p: **not flat**, from 2.00 at 1 to 4.00 at 9."
        );
    }
}
