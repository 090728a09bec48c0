// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run as a picture: the percentiles of the round trip, and above them what is drawn as bars.
//!
//! Of the percentiles, to the right each step is ten times rarer (50, 90, 99, 99.9, 99.99 %), upwards each line is ten times slower.

use super::Run;
use super::stats::PERCENTILES;
use crate::units;
use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (900, 540);
const BARS_HEIGHT: u32 = 400;
/// What a group of bars leaves free of its place, and a bar of its own.
const BETWEEN: f64 = 0.2;
const GAP: f64 = 0.01;
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
    label: Box<dyn Fn(f64) -> String>,
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
    let has_bars = !run.suite.bars.is_empty();
    let height = if !has_bars {
        SIZE.1
    } else if run.suite.timed.is_empty() {
        BARS_HEIGHT
    } else {
        BARS_HEIGHT + SIZE.1
    };
    {
        let area = SVGBackend::with_string(&mut text, (SIZE.0, height)).into_drawing_area();
        area.fill(&WHITE)?;
        if has_bars {
            let (upper, lower) = area.split_vertically(BARS_HEIGHT);
            paint_bars(&upper, run)?;
            if height > BARS_HEIGHT {
                paint(&lower, run)?;
            }
        } else {
            paint(&area, run)?;
        }
        area.present()?;
    }
    Ok(text)
}

/// The time of one message, group by group.
fn paint_bars(area: &DrawingArea<SVGBackend<'_>, Shift>, run: &Run) -> Result<()> {
    let (groups, bars) = (run.suite.groups, run.suite.bars);
    let median = |key: &str| run.get(key).map_or(0.0, super::Series::median);
    let highest = bars.iter().flat_map(|(_, keys)| *keys).map(|key| median(key)).fold(1.0, f64::max);
    // About five lines, at whole steps of 1, 2 or 5 times a power of ten.
    let power = 10_f64.powf((highest / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| highest / step <= 6.0)
        .unwrap_or(highest);
    let lines = (1..=10).find(|&lines| f64::from(lines) * step >= highest * 1.25).unwrap_or(10);
    let time = Axis {
        range: 0.0..f64::from(lines) * step,
        marks: (0..=lines).map(|line| f64::from(line) * step).collect(),
        label: Box::new(
            |y| if y == 0.0 { "0".to_owned() } else { units::time(y).replace(".00", "").replace(".0", "") },
        ),
    };
    let places = Axis {
        range: 0.0..groups.len() as f64,
        marks: (0..groups.len()).map(|group| group as f64 + 0.5).collect(),
        label: Box::new(move |x| {
            groups
                .iter()
                .enumerate()
                .find(|(group, _)| x - *group as f64 <= 1.0)
                .map_or("", |(_, name)| name)
                .to_owned()
        }),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("Time per datagram: {}", run.machine.processor), ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(80)
        .build_cartesian_2d(places, time)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(215, 215, 215))
        .y_desc("time")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    let width = (1.0 - BETWEEN) / bars.len() as f64;
    for (index, ((title, keys), colour)) in bars.iter().zip(COLOURS).enumerate() {
        let boxes = keys.iter().enumerate().map(|(group, key)| {
            let left = group as f64 + BETWEEN / 2.0 + index as f64 * width;
            Rectangle::new([(left + GAP, 0.0), (left + width - GAP, median(key))], colour.filled())
        });
        let drawn = chart.draw_series(boxes)?;
        drawn.label(*title).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 24, y + 5)], colour.filled()));
    }
    legend(&mut chart)
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
    let decades = (low as i32..=high as i32).map(f64::from).collect();
    let time = Axis {
        range: low..high,
        marks: decades,
        label: Box::new(|y| units::time(10_f64.powf(y)).replace(".00", "").replace(".0", "")),
    };
    let marks = PERCENTILES.map(rarity).to_vec();
    let rare = Axis {
        range: rarity(LEFT)..rarity(RIGHT),
        marks,
        label: Box::new(|x| format!("{:.2}", percentile_of(x)).trim_end_matches('0').trim_end_matches('.').to_owned()),
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
    legend(&mut chart)
}

fn legend<'a, 'b: 'a>(chart: &mut ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>) -> Result<()> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(215, 215, 215))
        .legend_area_size(32)
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}

fn points(series: &super::Series) -> Vec<(f64, f64)> {
    let (left, right) = (rarity(LEFT), rarity(RIGHT));
    (0..=STEPS)
        .map(|step| left + (right - left) * f64::from(step) / f64::from(STEPS))
        .map_while(|x| Some((x, (series.percentile(percentile_of(x))?.max(1) as f64).log10())))
        .collect()
}
