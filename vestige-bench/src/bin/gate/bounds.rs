//! What each ratio may be at most, and why.

/// What is divided by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ratio {
    VectorToBits,
    VectorToInt8,
    FilteredToUnfiltered,
    FilteredHybridToUnfiltered,
    KeywordToFts5,
    HybridToFts5,
    SqliteSessions,
    SqliteIngest,
    SqliteOpen,
    #[cfg(feature = "postgres")]
    PostgresVector,
    #[cfg(feature = "postgres")]
    PostgresHybrid,
    #[cfg(feature = "postgres")]
    PostgresSessions,
    #[cfg(feature = "postgres")]
    PostgresIngest,
    #[cfg(feature = "postgres")]
    PostgresOpen,
}

pub(crate) struct Bound {
    /// Ours and the floor, in words.
    pub(crate) what: &'static str,
    /// Beyond this the gate fails.
    pub(crate) most: f64,
    /// Why the bound is not lower.
    pub(crate) why: &'static str,
    /// Where to look when it is beyond.
    pub(crate) look: &'static str,
}

impl Ratio {
    /// The table of bounds, for 20,000 memories of 384 dimensions. Each is what was measured on a quiet
    /// machine with about half of it more: a processor with other caches gives other ratios, and a change
    /// that doubles a cost is still found.
    pub(crate) fn bound(self) -> Bound {
        match self {
            Self::VectorToBits => Bound {
                what: "SQLite: vector search / one pass over the signs in all sketches",
                most: 13.0,
                why: "the pass is 960 kB and takes some 15 µs, no more than handing over to the store's thread does",
                look: "vestige-sqlite/src/vector: estimate, scan/slices, vectors/nearest; the rows that are scored exactly",
            },
            Self::VectorToInt8 => Bound {
                what: "SQLite: vector search / one pass over the codes, int8",
                most: 2.0,
                why: "sketches are there to read an eighth of the codes",
                look: "vestige-sqlite/src/vector/estimate.rs: whether the sketches still rule codes out",
            },
            Self::FilteredToUnfiltered => Bound {
                what: "SQLite: vector search, 1 % pass the filter / without a filter",
                most: 1.0,
                why: "a filter leaves less to look at, and must never cost more than it saves",
                look: "vestige-sqlite/src/filter.rs, and what vector/vectors/nearest.rs does with the admitted rows",
            },
            Self::FilteredHybridToUnfiltered => Bound {
                what: "SQLite: hybrid search, 10 % pass the filter / without a filter",
                most: 0.8,
                why: "the vectors of a filter that is asked for again are gathered, and a tenth is there to be read",
                look: "vestige-sqlite/src/vector/filtered.rs",
            },
            Self::KeywordToFts5 => Bound {
                what: "SQLite: keyword search / the bare FTS5 statement",
                most: 0.7,
                why: "terms that were asked for before are scored in memory; those that were not are read once",
                look: "vestige-sqlite/src/keyword.rs, and the rows that are fetched in search.rs",
            },
            Self::HybridToFts5 => Bound {
                what: "SQLite: hybrid search / the bare FTS5 statement",
                most: 1.9,
                why: "the words cost less than the statement, and the vector leg comes on top",
                look: "vestige-sqlite/src/search/hybrid.rs: how many rows are scored exactly; keyword/postings.rs",
            },
            Self::SqliteSessions => Bound {
                what: "SQLite: hybrid search, every memory in a session / the same without lending",
                most: 1.3,
                why: "fifty results instead of ten are scored exactly, and the places of nodes are kept in memory",
                look: "vestige-sqlite/src/search/sessions.rs, and how many rows search/hybrid.rs reads",
            },
            Self::SqliteIngest => Bound {
                what: "SQLite: batches of 1,000 / bare INSERTs with FTS5 by triggers",
                most: 1.6,
                why: "codes of vectors, journal and checks come on top; the aim is 0.7 of the rate, 1.43 times the time",
                look: "vestige-sqlite/src/records.rs and keyword.rs",
            },
            Self::SqliteOpen => Bound {
                what: "SQLite: open to the first answer / reading all codes by a bare statement",
                most: 1.3,
                why: "all codes are read; sketches are not made for one question",
                look: "vestige-sqlite/src/vector/index.rs",
            },
            #[cfg(feature = "postgres")]
            Self::PostgresVector => Bound {
                what: "PostgreSQL: vector search / the bare statement with pgvector's defaults",
                most: 9.0,
                why: "a look five times as deep into the graph for a recall of 0.99, a transaction with settings, whole rows",
                look: "vestige-postgres/src/search.rs and sql/search.sql; its plan by `explain`",
            },
            #[cfg(feature = "postgres")]
            Self::PostgresHybrid => Bound {
                what: "PostgreSQL: hybrid search / reciprocal rank fusion by ts_rank_cd in one statement",
                most: 2.6,
                why: "BM25 over counted words instead of ts_rank_cd, deeper legs, and whole memories instead of ids",
                look: "vestige-postgres/src/sql/search.sql; its plan by `explain`",
            },
            #[cfg(feature = "postgres")]
            Self::PostgresSessions => Bound {
                what: "PostgreSQL: hybrid search, every memory in a session / the same without lending",
                most: 1.3,
                why: "fifty whole memories instead of ten, and a second statement for those around them",
                look: "vestige-postgres/src/lending.rs, sql/neighbours.sql and sql/around.sql",
            },
            #[cfg(feature = "postgres")]
            Self::PostgresIngest => Bound {
                what: "PostgreSQL: a batch / raw COPY into the same table and indexes",
                most: 2.0,
                why: "half of the rate of COPY is the aim; both fill the same indexes, which takes the longest",
                look: "vestige-postgres/src/copy.rs and records.rs",
            },
            #[cfg(feature = "postgres")]
            Self::PostgresOpen => Bound {
                what: "PostgreSQL: connect to the first answer / connect and the bare statement",
                most: 4.0,
                why: "migrations and the registered model are looked at, and the store's first statements prepared",
                look: "vestige-postgres/src/pool.rs and migrations.rs",
            },
        }
    }
}
