#![doc = include_str!("../README.md")]
//!
//! ## The way of a text
//!
//! A text passes through these modules, each of which knows those before it only:
//!
//! 1. `fold` and `script`: one form for all spellings of a character, and what a character is to a word.
//! 2. `stems` and `language`: the stems of a word, which `memo` keeps for the next time, and the function
//!    words and letters that tell a language.
//! 3. `token` and `segment`: the text as a row of words, runs of scripts without spaces, and symbols.
//! 4. `compound`: the parts and wholes of words as code has them.
//! 5. `forms`: the terms of each, with what they count in a question.
//! 6. `memory` and `question`: those of a memory and of a question, whose phrases and exclusions `web_query`
//!    reads. `bm25` weighs them.
//!
//! `passages` splits a long text into what is searched by itself. `asks` tells a question by its end.
//! `limits` bounds what is read.
#![forbid(unsafe_code)]

pub mod limits;

mod analyzer;
mod asks;
mod bm25;
mod compound;
mod document;
mod fingerprint;
mod fold;
mod forms;
mod hash;
mod language;
mod memo;
mod memory;
mod passages;
mod query;
mod question;
mod script;
mod segment;
mod stems;
mod term;
#[cfg(test)]
mod tests;
mod token;
mod web_query;

pub use analyzer::Analyzer;
pub use asks::{QUESTION_TAIL, asks};
pub use bm25::Bm25;
pub use document::{AnalyzedDocument, FIELD_WEIGHTS, MAX_PLACES, MAX_POSITION, MAX_TERM_BYTES};
pub use passages::{MAX_PASSAGES, PASSAGE_WORDS};
pub use query::{AnalyzedQuery, QueryTerm};
pub use term::{MAX_WORD_BYTES, Phrase, Term};
pub use web_query::WebQuery;
