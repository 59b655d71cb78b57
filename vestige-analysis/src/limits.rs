//! How much of a text and of a question is read.

/// How much of a text becomes terms, in characters. A store keeps the rest of a memory, and no word finds it.
pub const MAX_INDEXED_CHARS: usize = 100_000;
/// Bytes of all phrases of a question's text, and of all its exclusions. A tsquery of PostgreSQL holds a
/// megabyte, each constraint is written there three times, and a character may become eleven times as long
/// when it is normalised.
pub const MAX_PHRASE_BYTES: usize = 8 << 10;
/// How many terms of a query are looked for, the rarest ones; and how many of its phrases and exclusions, the
/// first ones.
pub const MAX_QUERY_TERMS: usize = 64;
/// How many different words of a query are read, and how many terms they make. Of those that occur the
/// rarest [`MAX_QUERY_TERMS`] count.
pub const MAX_ANALYZED_TERMS: usize = 4096;
