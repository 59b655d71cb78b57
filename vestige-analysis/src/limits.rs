//! How much of a text and of a question is read.

/// How much of a text becomes terms, in characters: all that a memory may have.
pub const MAX_INDEXED_CHARS: usize = 1 << 20;
/// How much of a question becomes terms, in characters.
pub const MAX_QUESTION_CHARS: usize = 100_000;
/// How many places a phrase that is demanded spans. A longer one is demanded in parts, so that it is found in
/// a text of several passages.
pub const MAX_PHRASE_SPAN: u32 = 16;
/// What type and tags may take, in bytes of their terms, to be part of every passage of a long content. Else
/// they are part of the first one.
pub const MAX_LABEL_BYTES: usize = 1024;
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
