//! A panel: logarithmic axes, lines, and a label at the end of each.

use super::svg::{Anchor, Svg};
use crate::table::thousands;

pub(super) struct Panel {
    pub(super) title: String,
    /// Writes a tick of the upright axis.
    pub(super) unit: fn(f64) -> String,
    pub(super) series: Vec<Series>,
}

pub(super) struct Series {
    /// Written at the end of the line; nothing if empty.
    label: String,
    colour: &'static str,
    dashed: bool,
    /// Numbers of memories, and values above 0.
    points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn line(label: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { label: label.to_owned(), colour, dashed: false, points }
    }

    pub(super) fn dashes(label: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { dashed: true, ..Self::line(label, colour, points) }
    }
}

/// The space of a panel beside its axes, for ticks, title and labels.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 168.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 56.0;
/// The least distance of two labels.
const LINE: f64 = 18.0;

const FRAME: &str = "#999999";
const GRID: &str = "#DDDDDD";
const FAINT: &str = "#F0F0F0";

/// Powers of ten around values: the largest below, and the smallest above.
fn decades(values: impl Iterator<Item = f64>) -> Option<(i32, i32)> {
    let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
    if most <= 0.0 {
        return None;
    }
    let (low, high) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    Some((low, high.max(low + 1)))
}

fn values(panel: &Panel) -> impl Iterator<Item = f64> {
    panel.series.iter().flat_map(|series| &series.points).map(|(_, value)| *value)
}

/// The decades that hold the values of both panels.
pub(super) fn common(one: &Panel, other: &Panel) -> (i32, i32) {
    decades(values(one).chain(values(other))).unwrap_or((0, 1))
}

/// The logarithmic scales of a panel.
struct Scales {
    x: (f64, f64),
    y: (f64, f64),
    sizes: (f64, f64),
    values: (f64, f64),
}

impl Scales {
    fn place(&self, size: f64, value: f64) -> (f64, f64) {
        let share = |at: f64, (from, to): (f64, f64)| (at.log10() - from) / (to - from);
        let (x, y) = (share(size, self.sizes), share(value, self.values));
        (self.x.0 + x * (self.x.1 - self.x.0), self.y.1 - y * (self.y.1 - self.y.0))
    }
}

impl Panel {
    /// Draws into a rectangle: its corner, width and height. `sizes` are those of all panels.
    pub(super) fn draw(
        &self,
        svg: &mut Svg,
        (x, y, width, height): (f64, f64, f64, f64),
        sizes: &[f64],
        decades_of_values: Option<(i32, i32)>,
    ) {
        let (low, high) = decades_of_values.or_else(|| decades(values(self))).unwrap_or((0, 1));
        let (from, to) = decades(sizes.iter().copied()).unwrap_or((3, 6));
        let scales = Scales {
            x: (x + LEFT, x + width - RIGHT),
            y: (y + TOP, y + height - BOTTOM),
            sizes: (f64::from(from), f64::from(to)),
            values: (f64::from(low), f64::from(high)),
        };
        svg.heading(x, y + 14.0, &self.title);
        self.axes(svg, &scales, (from, to), (low, high));
        if values(self).next().is_none() {
            let ((left, right), (top, bottom)) = (scales.x, scales.y);
            svg.tick((left + right) / 2.0, (top + bottom) / 2.0, Anchor::Middle, "not measured yet");
        }
        for series in &self.series {
            let points: Vec<_> =
                series.points.iter().map(|&(size, value)| scales.place(size, value)).collect();
            svg.polyline(&points, series.colour, 2.2, if series.dashed { "5 4" } else { "" });
            points
                .iter()
                .for_each(|&point| svg.dot(point, if series.dashed { 2.6 } else { 3.8 }, series.colour));
        }
        self.labels(svg, &scales);
    }

    fn axes(&self, svg: &mut Svg, scales: &Scales, (from, to): (i32, i32), (low, high): (i32, i32)) {
        let ((left, right), (top, bottom)) = (scales.x, scales.y);
        for power in low..=high {
            let decade = 10_f64.powi(power);
            if power < high {
                for step in 2..10 {
                    let (_, at) = scales.place(1.0, decade * f64::from(step));
                    svg.rule((left, at), (right, at), FAINT, 0.8);
                }
            }
            let (_, at) = scales.place(1.0, decade);
            svg.rule((left, at), (right, at), GRID, 1.0);
            svg.tick(left - 8.0, at + 4.5, Anchor::End, &(self.unit)(decade));
        }
        for power in from..=to {
            let size = 10_f64.powi(power);
            let (at, _) = scales.place(size, 1.0);
            svg.rule((at, top), (at, bottom), GRID, 1.0);
            svg.tick(at, bottom + 19.0, Anchor::Middle, &thousands(size as usize));
        }
        svg.tick((left + right) / 2.0, bottom + 40.0, Anchor::Middle, "memories");
        svg.polyline(&[(left, top), (left, bottom), (right, bottom)], FRAME, 1.2, "");
    }

    /// Right of the axes, at the height of the line's end where there is space, else near it, with a thin
    /// line to it.
    fn labels(&self, svg: &mut Svg, scales: &Scales) {
        let mut labels: Vec<(f64, (f64, f64), &Series)> = self
            .series
            .iter()
            .filter(|series| !series.label.is_empty())
            .filter_map(|series| {
                let &(size, value) = series.points.last()?;
                let end = scales.place(size, value);
                Some((end.1, end, series))
            })
            .collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut heights: Vec<f64> = labels.iter().map(|label| label.0).collect();
        spread(&mut heights, scales.y);
        let right = scales.x.1;
        for (height, (_, end, series)) in heights.into_iter().zip(labels) {
            svg.polyline(&[(end.0 + 5.0, end.1), (right + 10.0, height)], series.colour, 0.8, "1.5 2.5");
            svg.label(right + 14.0, height + 4.8, series.colour, &series.label);
        }
    }
}

/// Moves heights apart, which are in order, until each has its line, and keeps them between the two ends.
fn spread(heights: &mut [f64], (top, bottom): (f64, f64)) {
    for at in 0..heights.len() {
        let least = at.checked_sub(1).map_or(top, |before| heights[before] + LINE);
        heights[at] = heights[at].max(least);
    }
    let mut most = bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(most);
        most = *height - LINE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_hold_all_values() {
        assert_eq!(decades([0.05, 30.0].into_iter()), Some((-2, 2)));
        assert_eq!(decades([10.0].into_iter()), Some((1, 2)));
        assert_eq!(decades(std::iter::empty()), None);
    }

    #[test]
    fn labels_keep_their_distance_and_stay_in_the_panel() {
        let mut heights = [10.0, 12.0, 14.0, 99.0, 100.0];
        spread(&mut heights, (0.0, 100.0));
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{heights:?}");
        assert!(heights[4] <= 100.0);
    }
}
