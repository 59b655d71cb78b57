//! The results, and the file that keeps them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Keyword,
    Vector,
    Hybrid,
    /// By meaning, with a filter that 1 % of the memories pass.
    Filtered,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Keyword, Self::Vector, Self::Hybrid, Self::Filtered];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Vector => "vector",
            Self::Hybrid => "hybrid",
            Self::Filtered => "vector, 1 % filter",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The share of the ten nearest that were found, where only the vectors decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recall: Option<f64>,
}

/// What is measured in a process that opens the filled store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// From opening or connecting to the first answer of a hybrid search.
    pub(crate) open_ms: f64,
    pub(crate) search: BTreeMap<Kind, Latency>,
    /// SQLite: of the process, by the store. PostgreSQL: of the server's process that searches.
    pub(crate) private_bytes: u64,
    /// SQLite: with the pages of the file that it has mapped. PostgreSQL: with the shared buffers that hold
    /// the database, where the server can tell.
    pub(crate) resident_bytes: Option<u64>,
}

/// The results of a store of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) store: Store,
    pub(crate) memories: usize,
    pub(crate) dimension: usize,
    pub(crate) texts: String,
    /// Of each kind.
    pub(crate) questions: usize,
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) versions: String,
    /// For all batches of 1,000.
    pub(crate) fill_s: f64,
    /// For what a bulk load leaves for its end: on PostgreSQL the graph of vectors.
    pub(crate) index_s: f64,
    pub(crate) disk_bytes: u64,
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

/// Rows by store and size.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Data(BTreeMap<(Store, usize), Row>);

impl Data {
    /// What the file has; nothing where there is none yet.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let rows: Vec<Row> =
            serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        let mut data = Self::default();
        rows.into_iter().for_each(|row| data.put(row));
        Ok(data)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let rows: Vec<&Row> = self.rows().collect();
        let text = serde_json::to_string_pretty(&rows)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes a row in, in place of an older one of the same store and size.
    pub(crate) fn put(&mut self, row: Row) {
        self.0.insert((row.store, row.memories), row);
    }

    /// By store, the smallest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.values()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(store: Store, memories: usize) -> Row {
        let latency = |p50_ms| Latency { p50_ms, p99_ms: 3.0 * p50_ms, recall: None };
        let search = Kind::ALL.into_iter().zip([0.1, 0.2, 0.4, 0.1]);
        Row {
            store,
            memories,
            dimension: 384,
            texts: "generated texts".to_owned(),
            questions: 10,
            date: "2026-01-02".to_owned(),
            machine: "a machine".to_owned(),
            versions: "Vestige 0.1.0".to_owned(),
            fill_s: 0.1,
            index_s: 0.2,
            disk_bytes: 1_000_000,
            measured: Measured {
                open_ms: 5.0,
                search: search.map(|(kind, p50)| (kind, latency(p50 * memories as f64 / 1e3))).collect(),
                private_bytes: 500_000,
                resident_bytes: Some(800_000),
            },
        }
    }

    #[test]
    fn parts_are_joined_and_a_size_measured_again_replaces_what_was_there() {
        let home = tempfile::TempDir::new().unwrap();
        let path = home.path().join("growth.json");
        let mut data = Data::read(&path).unwrap();
        data.put(row(Store::Postgres, 1000));
        data.write(&path).unwrap();
        let mut data = Data::read(&path).unwrap();
        data.put(row(Store::Sqlite, 10_000));
        data.put(Row { fill_s: 9.0, ..row(Store::Postgres, 1000) });
        data.write(&path).unwrap();
        let joined = Data::read(&path).unwrap();
        assert_eq!(joined, data);
        let kept: Vec<_> = joined.rows().map(|row| (row.store, row.memories, row.fill_s)).collect();
        assert_eq!(kept, [(Store::Sqlite, 10_000, 0.1), (Store::Postgres, 1000, 9.0)]);
    }
}
