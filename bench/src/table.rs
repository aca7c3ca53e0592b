//! Tables, as Markdown that can be read as it is: what was measured, peer by peer.

use crate::cases::{
    BACKENDS, CASES, FIRST, LEAVE_SILENT, LEAVE_TALKING, LEAVE_WAITING, PACED, PROGRAM, REPORT,
    REPORT_DATA, REPORT_LOG, REPORT_PAGE, SLOW, SLOW_64_KB, TURN_1, TURN_1_NAMED, TURN_20,
    TURN_20_NAMED, TURN_200, TURN_200_NAMED, WRITES,
};
use crate::peers::{NGINX, PEERS};
use crate::results::{Figure, Results, Spread, shown};

/// Rows below a head; the first column stands left, the others right.
pub fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let wide = |text: &String| text.chars().count();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
            cells.map(wide).max().unwrap_or(0).max(3)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().enumerate().map(|(column, &width)| {
        if column == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
    });
    let rule = format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
    let rows: String = rows.iter().map(line).collect();
    line(&head) + &rule + &rows
}

/// What a case is mainly measured for; the rest stands in the JSON.
fn figures(case: &str) -> &'static [Figure] {
    match case {
        PROGRAM => &[Figure::ProgramMb, Figure::StartMs, Figure::ResidentMb],
        FIRST => &[Figure::FirstP50Ms, Figure::FirstP99Ms],
        TURN_1 | TURN_1_NAMED | TURN_20 | TURN_20_NAMED | TURN_200 | TURN_200_NAMED => {
            &[Figure::FirstP50Ms, Figure::CpuMs]
        }
        PACED => &[Figure::CpuMs, Figure::GapP99Ms],
        SLOW | SLOW_64_KB => &[Figure::CpuMs, Figure::ResidentMb, Figure::GapP99Ms],
        WRITES => &[Figure::Writes],
        LEAVE_WAITING | LEAVE_SILENT | LEAVE_TALKING => &[Figure::LeftP50Ms, Figure::LeftP99Ms],
        BACKENDS => &[Figure::CpuMs, Figure::Rate, Figure::EventRate],
        REPORT | REPORT_LOG | REPORT_PAGE | REPORT_DATA => &[Figure::GbPerS, Figure::ResidentMb],
        _ => &[Figure::CpuMs],
    }
}

/// The one table of a run: a column for everybody who took part, in brackets how many times nginx's
/// figure it is, and at the end how far the rounds of one figure lie apart at most.
pub fn of_results(results: &Results) -> String {
    let took_part = |name: &&str| results.series.iter().any(|series| series.peer == *name);
    let peers: Vec<&str> = PEERS.iter().map(|peer| peer.name).filter(took_part).collect();
    let mut rows = Vec::new();
    for case in CASES {
        for figure in figures(case.name) {
            rows.extend(row(results, case.name, *figure, &peers));
        }
    }
    let head: Vec<&str> = [&["case"], peers.as_slice(), &["noise"]].concat();
    markdown(&head, &rows)
}

/// A row, if anybody was measured.
fn row(results: &Results, case: &str, figure: Figure, peers: &[&str]) -> Option<Vec<String>> {
    let of = |peer: &str| Spread::of(results.values(case, peer, figure));
    let spreads: Vec<Option<Spread>> = peers.iter().map(|peer| of(peer)).collect();
    if spreads.iter().all(Option::is_none) {
        return None;
    }
    let noise = spreads.iter().flatten().filter_map(Spread::noise).max_by(f64::total_cmp);
    let floor = of(NGINX).map(|floor| floor.median);
    let cell = |spread: &Option<Spread>| match (spread, floor) {
        (None, _) => String::new(),
        (Some(spread), Some(floor)) if floor > 0.0 => {
            format!("{} ({:.1})", shown(spread.median), spread.median / floor)
        }
        (Some(spread), _) => shown(spread.median),
    };
    let first = format!("{case}: {}", figure.name());
    let noise = noise.map_or("–".to_owned(), |noise| format!("{:.0} %", noise * 100.0));
    Some([first].into_iter().chain(spreads.iter().map(cell)).chain([noise]).collect())
}

#[cfg(test)]
mod tests {
    use super::{markdown, of_results};
    use crate::cases::STREAM;
    use crate::peers::{LATIMER, NGINX};
    use crate::results::{Figure, tests::empty};

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [vec!["first".to_owned(), "×".to_owned()]];
        let expected = "| a     | four |\n|-------|-----:|\n| first |    × |\n";
        assert_eq!(markdown(&["a", "four"], &rows), expected);
    }

    #[test]
    fn a_figure_stands_beside_its_ratio_to_nginx() {
        let mut results = empty();
        for round in [1.0, 1.1, 1.2] {
            results.add(STREAM, NGINX, Figure::CpuMs, round / 10.0);
            results.add(STREAM, LATIMER, Figure::CpuMs, round / 5.0);
        }
        let table = of_results(&results);
        assert!(
            table.contains(
                "| stream 64 KB: CPU, ms a request | 0.110 (1.0) | 0.220 (2.0) |  18 % |"
            ),
            "{table}"
        );
    }
}
