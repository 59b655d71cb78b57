//! The results as Markdown.

use std::fmt::Write;

use crate::data::{Data, Kind, Row};

pub(crate) fn markdown(data: &Data) -> String {
    let mut text = String::from(
        "| store | memories | keyword | vector | hybrid | vector, 1 % filter | recall@10 | private | resident | disk | fill | index | open |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in data.rows() {
        text += &line(row);
    }
    text += "\nLatency: median / 99th percentile, in ms. Recall: without and with the filter.\n";
    for (from, which) in origins(data) {
        // A String takes every write.
        let _ = write!(text, "\n- {which}: {from}");
    }
    text
}

fn line(row: &Row) -> String {
    let measured = &row.measured;
    let mut text = format!("| {} | {} |", row.store.name(), thousands(row.memories));
    for kind in Kind::ALL {
        let _ = match measured.search.get(&kind) {
            Some(latency) => write!(text, " {:.2} / {:.2} |", latency.p50_ms, latency.p99_ms),
            None => write!(text, " |"),
        };
    }
    let recall = |kind| measured.search.get(&kind).and_then(|latency| latency.recall);
    let _ = match (recall(Kind::Vector), recall(Kind::Filtered)) {
        (Some(plain), Some(filtered)) => write!(text, " {plain:.3} / {filtered:.3} |"),
        _ => write!(text, " |"),
    };
    let resident = measured.resident_bytes.map_or(String::new(), megabytes);
    let _ = writeln!(
        text,
        " {} | {resident} | {} | {} | {} | {} |",
        megabytes(measured.private_bytes),
        megabytes(row.disk_bytes),
        seconds(row.fill_s),
        seconds(row.index_s),
        seconds(measured.open_ms / 1e3),
    );
    text
}

/// Under which circumstances rows were measured, each once, and which rows these are.
fn origins(data: &Data) -> Vec<(String, String)> {
    let mut origins: Vec<(String, String)> = Vec::new();
    for row in data.rows() {
        let from = format!(
            "{}, {}; {}, {} dimensions, {} questions of each kind; {}",
            row.date, row.machine, row.versions, row.dimension, row.questions, row.texts
        );
        let size = thousands(row.memories);
        let alike =
            |(known, which): &&mut (String, String)| *known == from && which.starts_with(row.store.name());
        match origins.iter_mut().find(alike) {
            Some((_, which)) => *which += &format!(" · {size}"),
            None => origins.push((from, format!("{} {size}", row.store.name()))),
        }
    }
    origins
}

fn megabytes(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes < 100.0 => format!("{megabytes:.1} MB"),
        megabytes => format!("{} MB", thousands(megabytes.round() as usize)),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 0.1 => format!("{:.1} ms", short * 1e3),
        short if short < 1.0 => format!("{:.0} ms", short * 1e3),
        long if long < 100.0 => format!("{long:.1} s"),
        long => format!("{long:.0} s"),
    }
}

/// A number with a comma after every three digits.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Store;
    use crate::data::tests::row;

    #[test]
    fn numbers_have_their_units() {
        assert_eq!([1, 1000, 1_234_567].map(thousands), ["1", "1,000", "1,234,567"]);
        assert_eq!([400_000, 2_697_000_000].map(megabytes), ["0.4 MB", "2,697 MB"]);
        assert_eq!([0.0123, 0.5, 12.3, 456.0].map(seconds), ["12.3 ms", "500 ms", "12.3 s", "456 s"]);
    }

    #[test]
    fn each_row_is_a_line_and_like_circumstances_are_named_once() {
        let mut data = Data::default();
        for (store, memories) in [(Store::Sqlite, 1000), (Store::Sqlite, 10_000), (Store::Postgres, 1000)] {
            data.put(row(store, memories));
        }
        let text = markdown(&data);
        assert!(
            text.contains("| SQLite | 1,000 | 0.10 / 0.30 | 0.20 / 0.60 | 0.40 / 1.20 | 0.10 / 0.30 |"),
            "{text}"
        );
        assert!(text.contains("- SQLite 1,000 · 10,000: 2026-01-02"), "{text}");
    }
}
