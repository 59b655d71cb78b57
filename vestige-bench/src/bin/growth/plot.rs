//! The results as a picture: four panels, both axes logarithmic.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::data::{Data, Kind, Row, Store};

mod panel;
mod svg;

use panel::{Panel, Series};
use svg::Svg;

/// The picture's size, in units that are pixels at its natural size.
const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 990.0;
/// Pixels for each unit, for screens of high density.
const DENSITY: f32 = 2.0;

/// Colours that people who see colours differently tell apart (Okabe and Ito, 2008).
const BLUE: &str = "#0072B2";
const VERMILLION: &str = "#D55E00";
const GREEN: &str = "#008563";
const PURPLE: &str = "#B0578D";

/// Draws what there is; nothing where there is nothing.
pub(crate) fn write(data: &Data, path: &Path) -> Result<()> {
    if data.rows().next().is_none() {
        return Ok(());
    }
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
    fonts.load_font_data(notosans::BOLD_TTF.to_vec());
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(&picture(data), &options)?;
    let mut pixels = Pixmap::new((WIDTH as f32 * DENSITY) as u32, (HEIGHT as f32 * DENSITY) as u32)
        .context("no memory for the plot")?;
    resvg::render(&tree, Transform::from_scale(DENSITY, DENSITY), &mut pixels.as_mut());
    let png = pixels.encode_png()?;
    std::fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))
}

/// The picture as SVG.
fn picture(data: &Data) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.title(24.0, 38.0, "How cost grows with the number of memories");
    svg.text(24.0, 62.0, "Both axes are logarithmic. Latency: lines are medians, dashes 99th percentiles.");
    let panels =
        [latencies(data, Store::Sqlite), latencies(data, Store::Postgres), sizes(data), durations(data)];
    // Side by side, the two stores are compared by their height.
    let shared = panel::common(&panels[0], &panels[1]);
    let sizes: Vec<f64> = data.rows().map(|row| row.memories as f64).collect();
    let [left, right, upper, lower] = [24.0, 612.0, 84.0, 520.0];
    for (panel, (x, y), values) in [
        (&panels[0], (left, upper), Some(shared)),
        (&panels[1], (right, upper), Some(shared)),
        (&panels[2], (left, lower), None),
        (&panels[3], (right, lower), None),
    ] {
        panel.draw(&mut svg, (x, y, 564.0, 410.0), &sizes, values);
    }
    svg.small(24.0, HEIGHT - 20.0, &source(data));
    svg.finish()
}

/// Where the figures are from, in a line.
fn source(data: &Data) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for row in data.rows() {
        for part in [&row.machine, &row.versions, &row.date] {
            if !parts.contains(&part.as_str()) {
                parts.push(part);
            }
        }
    }
    parts.join(" · ")
}

fn points(data: &Data, store: Store, value: impl Fn(&Row) -> Option<f64>) -> Vec<(f64, f64)> {
    let rows = data.rows().filter(|row| row.store == store);
    // There is no place for zero on a logarithmic axis.
    rows.filter_map(|row| Some((row.memories as f64, value(row).filter(|value| *value > 0.0)?))).collect()
}

fn latencies(data: &Data, store: Store) -> Panel {
    let mut series = Vec::new();
    for (kind, colour) in Kind::ALL.into_iter().zip([GREEN, BLUE, VERMILLION, PURPLE]) {
        let of = |pick: fn(&crate::data::Latency) -> f64| {
            points(data, store, move |row| row.measured.search.get(&kind).map(pick))
        };
        series.push(Series::line(kind.name(), colour, of(|latency| latency.p50_ms)));
        series.push(Series::dashes("", colour, of(|latency| latency.p99_ms)));
    }
    Panel { title: format!("Latency, {}", store.name()), unit: milliseconds, series }
}

fn sizes(data: &Data) -> Panel {
    let of = |store, value: fn(&Row) -> Option<u64>| {
        points(data, store, move |row| value(row).map(|bytes| bytes as f64))
    };
    let series = vec![
        Series::line("SQLite: disk", BLUE, of(Store::Sqlite, |row| Some(row.disk_bytes))),
        Series::dashes(
            "SQLite: private memory",
            BLUE,
            of(Store::Sqlite, |row| Some(row.measured.private_bytes)),
        ),
        Series::line("PostgreSQL: disk", VERMILLION, of(Store::Postgres, |row| Some(row.disk_bytes))),
        Series::dashes(
            "PostgreSQL: buffers",
            VERMILLION,
            of(Store::Postgres, |row| row.measured.resident_bytes),
        ),
    ];
    Panel { title: "Disk and memory".to_owned(), unit: bytes, series }
}

fn durations(data: &Data) -> Panel {
    let of = |store, value: fn(&Row) -> f64| points(data, store, move |row| Some(value(row)));
    let series = vec![
        Series::line("SQLite: fill", BLUE, of(Store::Sqlite, |row| row.fill_s * 1e3)),
        Series::dashes("SQLite: open", BLUE, of(Store::Sqlite, |row| row.measured.open_ms)),
        Series::line("PostgreSQL: fill", VERMILLION, of(Store::Postgres, |row| row.fill_s * 1e3)),
        Series::line("PostgreSQL: index", PURPLE, of(Store::Postgres, |row| row.index_s * 1e3)),
        Series::dashes("PostgreSQL: open", VERMILLION, of(Store::Postgres, |row| row.measured.open_ms)),
    ];
    Panel {
        title: "Time to fill, to index, and to open until the first answer".to_owned(),
        unit: milliseconds,
        series,
    }
}

/// A tick of an axis of milliseconds.
fn milliseconds(value: f64) -> String {
    match value {
        short if short < 0.9 => format!("{} µs", short * 1e3),
        short if short < 900.0 => format!("{short} ms"),
        long => format!("{} s", crate::table::thousands((long / 1e3).round() as usize)),
    }
}

/// A tick of an axis of bytes.
fn bytes(value: f64) -> String {
    match value {
        few if few < 0.9e3 => format!("{few} B"),
        few if few < 0.9e6 => format!("{} kB", few / 1e3),
        many if many < 0.9e9 => format!("{} MB", many / 1e6),
        many => format!("{} GB", many / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::row;

    #[test]
    fn the_plot_is_a_png_with_text_in_it() {
        let home = tempfile::TempDir::new().unwrap();
        let path = home.path().join("growth.png");
        let mut data = Data::default();
        for (store, memories) in [(Store::Sqlite, 1000), (Store::Sqlite, 100_000), (Store::Postgres, 1000)] {
            data.put(row(store, memories));
        }
        write(&data, &path).unwrap();
        let png = std::fs::read(&path).unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let picture = picture(&data);
        for text in ["Latency, SQLite", "100,000", "hybrid", "10 ms", "a machine"] {
            assert!(picture.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn without_results_there_is_no_plot() {
        let home = tempfile::TempDir::new().unwrap();
        let path = home.path().join("growth.png");
        write(&Data::default(), &path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn ticks_have_the_unit_that_suits_them() {
        assert_eq!(
            [0.01, 1.0, 100.0, 1e3, 1e6].map(milliseconds),
            ["10 µs", "1 ms", "100 ms", "1 s", "1,000 s"]
        );
        assert_eq!([1e5, 1e6, 1e10].map(bytes), ["100 kB", "1 MB", "10 GB"]);
    }
}
