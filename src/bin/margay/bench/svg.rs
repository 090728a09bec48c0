// SPDX-License-Identifier: MIT OR Apache-2.0
//! The percentiles of the round trip as a picture.
//!
//! To the right each step is ten times rarer (50, 90, 99, 99.9, 99.99 %), upwards each line is ten times slower.

use super::Run;
use super::stats::PERCENTILES;
use crate::units;
use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (900, 540);
/// Far apart in hue and in lightness, so that they can be told apart in grey too.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 90, 181),
    RGBColor(120, 120, 120),
    RGBColor(220, 130, 0),
    RGBColor(180, 30, 60),
    RGBColor(0, 130, 110),
    RGBColor(110, 60, 160),
    RGBColor(60, 40, 20),
];
const LEFT: f64 = 50.0;
const RIGHT: f64 = 99.99;
/// Points per line.
const STEPS: u32 = 200;

/// An axis with its own marks and labels.
struct Axis {
    range: Range<f64>,
    marks: Vec<f64>,
    label: fn(f64) -> String,
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

/// The picture as text of an SVG file.
pub fn draw(run: &Run) -> Result<String> {
    let mut text = String::new();
    paint(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), run)?;
    Ok(text)
}

/// How rare what lies beyond a percentile is: 1 for one in ten, 2 for one in a hundred.
fn rarity(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

fn percentile_of(rarity: f64) -> f64 {
    100.0 * (1.0 - 10_f64.powf(-rarity))
}

fn paint(area: &DrawingArea<SVGBackend<'_>, Shift>, run: &Run) -> Result<()> {
    let lines: Vec<_> = run
        .suite
        .timed
        .iter()
        .zip(COLOURS)
        .filter_map(|((title, key), colour)| Some((*title, colour, points(run.get(key)?))))
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    let all = lines.iter().flat_map(|(_, _, points)| points.iter().map(|point| point.1));
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)));
    let slowest_median = lines.iter().map(|(_, _, points)| points[0].1).fold(f64::MIN, f64::max);
    // Whole decades, so that each has its line and its label, and room for the legend above the lines.
    let high = high.max(slowest_median + 1.2);
    let (low, high) = if low > high { (2.0, 5.0) } else { (low.floor(), high.ceil().max(low.floor() + 1.0)) };
    area.fill(&WHITE)?;
    let decades = (low as i32..=high as i32).map(f64::from).collect();
    let time = Axis {
        range: low..high,
        marks: decades,
        label: |y| units::time(10_f64.powf(y)).replace(".00", "").replace(".0", ""),
    };
    let marks = PERCENTILES.map(rarity).to_vec();
    let rare = Axis {
        range: rarity(LEFT)..rarity(RIGHT),
        marks,
        label: |x| format!("{:.2}", percentile_of(x)).trim_end_matches('0').trim_end_matches('.').to_owned(),
    };
    let title = format!("Round trip of 64 B between two processes: {}", run.machine.processor);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(80)
        .build_cartesian_2d(rare, time)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(215, 215, 215))
        .x_desc("percentile of round trips, each timed by itself")
        .y_desc("time")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    for (title, colour, points) in lines {
        let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(3)))?;
        line.label(title).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 24, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(215, 215, 215))
        .legend_area_size(32)
        .label_font(("sans-serif", 15))
        .draw()?;
    area.present()?;
    Ok(())
}

fn points(series: &super::Series) -> Vec<(f64, f64)> {
    let (left, right) = (rarity(LEFT), rarity(RIGHT));
    (0..=STEPS)
        .map(|step| left + (right - left) * f64::from(step) / f64::from(STEPS))
        .map_while(|x| Some((x, (series.percentile(percentile_of(x))?.max(1) as f64).log10())))
        .collect()
}
