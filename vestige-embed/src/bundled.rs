//! The bundled model: tokenise, look each token's vector up, add them, normalise.

mod table;
mod wordpiece;

use std::fmt;
use std::sync::OnceLock;

use vestige_traits::{Embedder, EmbedderResult, ModelSignature};

use self::table::{DIMENSION, Table};
use self::wordpiece::{Token, WordPiece};

const NAME: &str = "vestige-static-256-v1";

static TABLE: &[u8] = include_bytes!("../models/vestige-static-256-v1/table.bin");
static VOCABULARY: &str = include_str!("../models/vestige-static-256-v1/vocab.txt");

/// How the code in this module turns a text into a vector, in words.
///
/// It is hashed into the signature beside the files. A change of what the code does to a text must change
/// this line too, so that old and new vectors do not mix.
#[cfg_attr(not(test), expect(dead_code, reason = "HASH covers it, and only the test computes HASH"))]
const PREPARATION: &str = "first 65536 bytes; BERT uncased WordPiece without special tokens, unknown words \
                           skipped; sum of scaled rows; unit length (L2)";

/// BLAKE3 over [`TABLE`], [`VOCABULARY`] and [`PREPARATION`], each preceded by its length as a little-endian
/// u64.
///
/// Written down, so that opening the model does not read 8 MB; a test computes it again.
const HASH: &str = "19d9fc8bbbb75da239b4420ca59849b021a060f0dbd24059928b3f2178fddecf";

/// Bytes of a text that are looked at: about 11,000 English words.
///
/// Their sum says what a long text is about, and a hostile text costs a few milliseconds at most.
const WINDOW: usize = 1 << 16;

/// The model that ships inside this crate: 256 dimensions, English, no file and no native library needed.
///
/// Every token of the vocabulary has one fixed vector, and a text's vector is
/// their weighted sum at unit length: word order and context play no part. That
/// makes a sentence cost one to two microseconds, and the same text give the same
/// bits on every machine.
///
/// A text is read up to its first 65,536 bytes. Case, accents and punctuation
/// make no difference. A text without any known word (empty, punctuation,
/// emoji, most other scripts) has no vector; a text of common words alone, such as
/// "what is it", has one, since there is nothing better to compare it by.
///
/// Opening costs about a millisecond the first time in a process and nothing
/// after that; the value is a reference and can be copied freely.
///
/// ```
/// use vestige_embed::StaticEmbedder;
///
/// let model = StaticEmbedder::bundled();
/// let stored = model.embed("The deploy failed because the disk was full").unwrap();
/// let near = model.embed("no storage space left for the release").unwrap();
/// let far = model.embed("Mara is allergic to peanuts").unwrap();
///
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
/// assert!(dot(&stored, &near) > dot(&stored, &far));
/// assert_eq!(model.embed("🎉"), None);
/// ```
#[derive(Clone, Copy)]
pub struct StaticEmbedder(&'static Model);

struct Model {
    signature: ModelSignature,
    tokenizer: WordPiece<'static>,
    table: Table<'static>,
}

impl StaticEmbedder {
    /// The bundled model.
    #[must_use]
    pub fn bundled() -> Self {
        static MODEL: OnceLock<Model> = OnceLock::new();
        Self(MODEL.get_or_init(|| Model {
            signature: ModelSignature { name: NAME.to_owned(), dimension: DIMENSION, hash: HASH.to_owned() },
            tokenizer: WordPiece::new(VOCABULARY.lines()),
            table: Table::new(TABLE),
        }))
    }

    /// The vector of a text, for callers outside of async code; `None` if the model knows no word of it.
    ///
    /// Documents and queries are embedded alike.
    #[must_use]
    pub fn embed(&self, text: &str) -> Option<Vec<f32>> {
        let Model { tokenizer, table, .. } = self.0;
        let mut sum = [0.0; DIMENSION];
        tokenizer.for_each_token(window(text), |token| {
            if let Token::Piece { id, .. } = token {
                table.add(id, &mut sum);
            }
        });
        table::to_unit_length(&mut sum).then(|| sum.to_vec())
    }
}

impl Embedder for StaticEmbedder {
    fn signature(&self) -> &ModelSignature {
        &self.0.signature
    }

    /// Computes on the calling task without a point to yield at: 10,000 sentences take about 20 ms.
    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        Ok(self.embed(text))
    }

    /// A word of the vocabulary is known. Of one that is cut into n pieces, 1/n is known: the pieces of an
    /// unknown word mean something else. Pieces of one character count as unknown, and so do words that have
    /// no pieces. The vocabulary spells most words of other scripts letter by letter, and such words all have
    /// nearly the same vector.
    fn known_share(&self, text: &str) -> f64 {
        let Model { tokenizer, table, .. } = self.0;
        let (mut known, mut all) = (0.0, 0.0);
        tokenizer.for_each_word(window(text), |pieces| {
            let part = 1.0 / pieces.len() as f64;
            for piece in pieces {
                match *piece {
                    Token::Piece { id, single } => {
                        let weight = table.weight(id);
                        all += weight;
                        known += if single { 0.0 } else { part * weight };
                    }
                    Token::Unknown => all += 1.0,
                }
            }
        });
        if all > 0.0 { known / all } else { 0.0 }
    }
}

fn window(text: &str) -> &str {
    &text[..text.floor_char_boundary(WINDOW)]
}

impl fmt::Debug for StaticEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticEmbedder").field(&NAME).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_hash_of_files_and_preparation() {
        let mut hasher = blake3::Hasher::new();
        for part in [TABLE, VOCABULARY.as_bytes(), PREPARATION.as_bytes()] {
            hasher.update(&u64::try_from(part.len()).unwrap().to_le_bytes()).update(part);
        }
        assert_eq!(HASH, hasher.finalize().to_hex().as_str());
        StaticEmbedder::bundled().signature().validate().unwrap();
    }

    #[test]
    fn the_model_card_is_about_this_model() {
        assert!(include_str!("../models/vestige-static-256-v1/MODEL_CARD.md").contains(HASH));
    }

    #[test]
    fn every_token_has_a_row() {
        assert_eq!(TABLE.len(), VOCABULARY.lines().count() * table::ROW_BYTES);
    }
}
