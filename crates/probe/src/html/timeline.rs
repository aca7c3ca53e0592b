//! A session along time, as an SVG: a row for each exchange, with the wait for its first event, its
//! stream, the longest gap in it, and the tools that ran before it. In: a session. Out: a picture with
//! a scale; nothing where no times are known.

use super::element::Html;
use crate::summary::{Facts, SessionSummary};
use crate::words::{counted, duration};

/// The most rows; of longer sessions the last are drawn.
const ROWS_MAX: usize = 120;
/// Sizes, in units of the picture.
const WIDTH: f64 = 1000.0;
const LABEL_WIDTH: f64 = 46.0;
const ROW_HEIGHT: f64 = 16.0;
const BAR_HEIGHT: f64 = 10.0;
const SCALE_HEIGHT: f64 = 22.0;
/// The narrowest bar that is seen.
const BAR_MIN: f64 = 2.0;
/// In how many parts the scale is divided.
const MARKS: u32 = 5;

/// Where times lie in the picture.
struct Scale {
    from_us: i64,
    span_us: i64,
}

impl Scale {
    fn x(&self, us: i64) -> f64 {
        let share = (us - self.from_us) as f64 / self.span_us as f64;
        LABEL_WIDTH + share.clamp(0.0, 1.0) * (WIDTH - LABEL_WIDTH)
    }
}

/// Writes the timeline of a session.
pub(super) fn write(page: &mut Html<'_>, session: &SessionSummary) {
    let all = session.turns.iter().flat_map(|turn| &turn.exchanges);
    let timed: Vec<(&Facts, i64)> =
        all.filter_map(|facts| Some((facts, facts.at_unix_ms?.saturating_mul(1000)))).collect();
    let left_out = timed.len().saturating_sub(ROWS_MAX);
    let rows = timed.get(left_out..).unwrap_or_default();
    let end = |(facts, at): &(&Facts, i64)| {
        at.saturating_add(facts.times.duration_us.unwrap_or_default() as i64)
    };
    let begin = |(facts, at): &(&Facts, i64)| {
        at.saturating_sub(facts.times.tools_us.unwrap_or_default() as i64)
    };
    let (Some(from_us), Some(to_us)) = (rows.iter().map(begin).min(), rows.iter().map(end).max())
    else {
        return;
    };
    let scale = Scale { from_us, span_us: (to_us - from_us).max(1) };
    let height = rows.len() as f64 * ROW_HEIGHT + SCALE_HEIGHT;
    page.element("figure", &[("class", "wide")], |page| {
        let view = format!("0 0 {WIDTH} {height}");
        let label = format!(
            "Timeline of {} over {}",
            counted(rows.len() as u64, "exchange"),
            duration((to_us - from_us).max(0) as u64)
        );
        let attributes = [("viewBox", view.as_str()), ("role", "group"), ("aria-label", &label)];
        page.element("svg", &attributes, |page| {
            write_scale(page, &scale, height);
            for ((facts, at), row) in rows.iter().zip(0..) {
                write_row(page, &scale, facts, *at, f64::from(row) * ROW_HEIGHT + SCALE_HEIGHT);
            }
        });
        page.element("figcaption", &[], |page| {
            for (class, name) in [
                ("tools", "tools run"),
                ("wait", "until the first event"),
                ("stream", "answer"),
                ("gap", "longest gap"),
            ] {
                page.with("span", &[("class", &format!("key {class}"))], name);
            }
            if left_out > 0 {
                page.text(&format!(" {left_out} exchanges before these are not drawn."));
            }
        });
    });
    page.markup("\n");
}

fn write_scale(page: &mut Html<'_>, scale: &Scale, height: f64) {
    for mark in 0..=MARKS {
        let us = scale.span_us as f64 * f64::from(mark) / f64::from(MARKS);
        let x = format!("{:.1}", scale.x(scale.from_us + us as i64));
        let attributes = [
            ("x1", x.as_str()),
            ("x2", &x),
            ("y1", "16"),
            ("y2", &format!("{height}")),
            ("class", "mark"),
        ];
        page.element("line", &attributes, |_| {});
        let anchor = match mark {
            0 => "start",
            MARKS => "end",
            _ => "middle",
        };
        let attributes = [("x", x.as_str()), ("y", "12"), ("text-anchor", anchor)];
        page.with("text", &attributes, &duration(us as u64));
    }
}

fn write_row(page: &mut Html<'_>, scale: &Scale, facts: &Facts, at: i64, y: f64) {
    let times = &facts.times;
    let us = |time: Option<u64>| time.map(|time| at.saturating_add(time as i64));
    let end = us(times.duration_us).unwrap_or(at);
    let answered = us(times.first_event_us.or(times.first_byte_us)).unwrap_or(end);
    let gap = us(times.longest_gap_at_us).zip(times.longest_gap_us);
    let bars = [
        ("tools", times.tools_us.map(|took| (at.saturating_sub(took as i64), at))),
        ("wait", Some((at, answered))),
        ("stream", (end > answered).then_some((answered, end))),
        ("gap", gap.map(|(from, took)| (from, from.saturating_add(took as i64)))),
    ];
    let link = format!("#x{}", facts.number);
    page.element("a", &[("href", &link)], |page| {
        page.with("title", &[], &tooltip(facts));
        let baseline = format!("{:.1}", y + BAR_HEIGHT);
        page.with("text", &[("x", "0"), ("y", &baseline)], &facts.number.to_string());
        for (class, bar) in bars {
            let Some((from, to)) = bar else { continue };
            let class = match facts.outcome.is_error() && class != "tools" {
                true => format!("{class} bad"),
                false => class.to_owned(),
            };
            let width = (scale.x(to) - scale.x(from)).max(BAR_MIN);
            let x = scale.x(from).min(WIDTH - width);
            let [x, y, width, height] = [x, y + 1.0, width, BAR_HEIGHT].map(|n| format!("{n:.1}"));
            let attributes = [
                ("x", x.as_str()),
                ("y", &y),
                ("width", &width),
                ("height", &height),
                ("class", &class),
            ];
            page.element("rect", &attributes, |_| {});
        }
    });
    page.markup("\n");
}

fn tooltip(facts: &Facts) -> String {
    let known = facts.times.named();
    let known =
        known.into_iter().filter_map(|(name, us)| Some(format!(", {name} {}", duration(us?))));
    format!("{}: {}{}", facts.number, facts.outcome.name(), known.collect::<String>())
}
