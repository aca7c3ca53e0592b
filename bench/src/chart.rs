//! A curve as a picture: both axes logarithmic, since what grows does so over several powers of ten.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::curve::Curve;

const SIZE: (u32, u32) = (800, 480);

/// One for each line; they differ in brightness too.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 90, 160), RGBColor(220, 120, 0), RGBColor(60, 150, 90), RGBColor(120, 60, 140)];

/// How much of an axis stays free beside its outermost points.
const MARGIN: f64 = 1.4;

/// Draws a curve into an SVG file.
///
/// # Errors
/// When there is nothing to draw, or the file cannot be written.
pub fn draw(curve: &Curve, file: &Path) -> Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    // The library's errors borrow the backend.
    drawn(curve, &area).map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn drawn(curve: &Curve, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let points = || curve.lines.iter().flat_map(|line| &line.points);
    let across = range(points().map(|point| point.0)).ok_or("there are no points")?;
    let up = range(points().map(|point| point.1)).ok_or("there are no points")?;
    area.fill(&WHITE).map_err(said)?;
    let mut chart = ChartBuilder::on(area)
        .caption(curve.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(across.log_scale(), up.log_scale())
        .map_err(said)?;
    chart.configure_mesh().x_desc(curve.across).y_desc(curve.up).draw().map_err(said)?;
    for (line, colour) in curve.lines.iter().zip(COLOURS.into_iter().cycle()) {
        let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(series.point_size(4))
            .map_err(said)?
            .label(line.peer)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()
        .map_err(said)?;
    area.present().map_err(said)
}

fn said(error: impl std::error::Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.to_string().into()
}

/// The values with some room on both sides; `None` of no values that a logarithm can show.
fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (low, high) = values
        .filter(|value| *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    (high > 0.0).then(|| low / MARGIN..high * MARGIN)
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::curve::{Curve, Expected, Line};

    #[test]
    fn a_picture_shows_who_and_what() {
        let line = Line { peer: "somebody", points: vec![(1.0, 0.1), (1000.0, 5.0)] };
        let curve = Curve {
            file: "f",
            title: "How it grows",
            across: "streams",
            up: "MB",
            expected: Expected::Linear,
            note: "",
            lines: vec![line],
        };
        let file = std::env::temp_dir().join(format!("chart-{}.svg", std::process::id()));
        draw(&curve, &file).expect("a picture");
        let picture = std::fs::read_to_string(&file).expect("a file");
        std::fs::remove_file(&file).expect("a file");
        for part in ["<svg", "somebody", "How it grows", "streams", "MB"] {
            assert!(picture.contains(part), "{part}");
        }
        assert!(draw(&Curve { lines: Vec::new(), ..curve }, &file).is_err());
    }
}
