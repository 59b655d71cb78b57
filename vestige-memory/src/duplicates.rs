//! Whether a text says what a memory says already.

use std::sync::OnceLock;

use uuid::Uuid;
use vestige_traits::analysis::Analyzer;
use vestige_traits::backend::cosine_similarity;
use vestige_traits::{Embedder, MemoryRecord, MemoryStore, SearchQuery, SearchResult, limits};

use crate::embedding::KNOWN_SHARE;
use crate::error::MemoryResult;
use crate::memory::Memory;
use crate::resemblance::Sketch;
use crate::wording::Wording;
use crate::words::words;

/// How many of the nearest memories are looked at first; more, as long as all of them are near and of other
/// code bases.
const LOOKED_AT: usize = 10;
/// The resemblance that texts with near vectors need besides. Unrelated sentences reach 0.3.
const SHARED_WORDS: f64 = 0.5;
/// The same for texts of more than about forty words. Paragraphs about one subject have near vectors, and up
/// to 0.6 of their runs of letters in common.
const SHARED_WORDS_OF_LONG: f64 = 0.7;
/// The resemblance from which on texts that the model does not know are near duplicates. Statements in the
/// same frame, such as "Ada prefers tea" and "Bob prefers tea", lie between 0.7 and 0.9.
const SAME_WORDS: f64 = 0.8;
/// The same for texts of more than about forty words. Long texts of one language have most runs of letters in
/// common, whatever they say: pages of Thai reach 0.77.
const SAME_WORDS_OF_LONG: f64 = 0.9;
/// How many words of such a text are looked for.
const ASKED_WORDS: usize = 16;
/// More than the error of a cosine similarity that was computed in single precision.
const ROUGH: f32 = 1e-3;

/// A memory that says nearly the same as a new text, or the same of something else.
///
/// "Port 5433" and "port 5434" are as near to each other as a repetition. [`wording`](Self::wording) names
/// the words in which they differ. Whether the new text repeats the memory, corrects it, or stands beside it
/// is for an agent or a person to judge.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NearDuplicate {
    /// The memory's id.
    pub id: Uuid,
    /// How alike the texts are, at most 1: the mean of their cosine similarity and of their resemblance,
    /// which is the share of short runs of letters that they have in common. Where the model does not know
    /// the words, the resemblance alone.
    pub similarity: f64,
    /// The memory's text.
    pub content: String,
    /// How the words of the two texts compare.
    pub wording: Wording,
}

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// The nearest memory to `record`, if it is a near duplicate: one of the store, or of `others`, which are
    /// about to be stored.
    ///
    /// Of a near duplicate the model knows at least 0.4 ([`Embedder::known_share`]), as of the text itself.
    /// Their cosine similarity is at least
    /// [`near_duplicate_similarity`](crate::MemoryBuilder::near_duplicate_similarity), and they share half of
    /// their wording. Where the model knows less, or there is no vector, the texts are compared by their
    /// words alone, and share eight tenths. Of texts with more than about forty words more is asked for.
    ///
    /// Both memories can hold in the same place: their code base is the same, or one of them has none. Of
    /// equally near ones the lowest id is taken. [`remember`](Self::remember) asks this for every text.
    ///
    /// # Errors
    ///
    /// [`ModelMismatch`](vestige_traits::MemoryStoreError::ModelMismatch) if the vector is of another model
    /// than the store's, and those of the store.
    pub async fn nearest(
        &self,
        record: &MemoryRecord,
        others: &[MemoryRecord],
    ) -> MemoryResult<Option<NearDuplicate>> {
        let profiles: Vec<Profile> = others.iter().map(|other| self.profile(other)).collect();
        self.nearest_of(record, &self.profile(record), others, &profiles).await
    }

    /// [`nearest`](Self::nearest), where the profiles are known.
    ///
    /// Each of the `others` costs a product of two vectors or the beginning of two sketches, and no
    /// allocation unless it is near.
    pub(crate) async fn nearest_of(
        &self,
        record: &MemoryRecord,
        profile: &Profile,
        others: &[MemoryRecord],
        profiles: &[Profile],
    ) -> MemoryResult<Option<NearDuplicate>> {
        let new = (record, profile);
        let stored = self.nearest_stored(new).await?;
        let stored = stored.iter().filter_map(|(hit, similarity)| Some((&hit.record, (*similarity)?)));
        let others = others.iter().zip(profiles).filter(|(other, _)| same_place(record, other));
        let others =
            others.filter_map(|(other, theirs)| Some((other, self.similarity(new, (other, theirs))?)));
        let nearest = stored
            .filter(|(other, _)| same_place(record, other))
            .chain(others)
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.id.cmp(&a.0.id)));
        Ok(nearest.map(|(other, similarity)| NearDuplicate {
            id: other.id,
            similarity,
            content: other.content.clone(),
            wording: Wording::of(&record.content, &other.content),
        }))
    }

    /// What [`nearest_of`](Self::nearest_of) compares a memory by.
    pub(crate) fn profile(&self, record: &MemoryRecord) -> Profile {
        let vector = record.embedding.as_deref().unwrap_or_default();
        let known = !vector.is_empty() && self.embedder().known_share(&record.content) >= KNOWN_SHARE;
        Profile { known, length: dot(vector, vector).sqrt(), sketch: OnceLock::new() }
    }

    /// The memories of the store that are nearest to a text, each with its similarity if it is a near
    /// duplicate: enough of them that one of the same place is among them if there is one.
    async fn nearest_stored(
        &self,
        new: (&MemoryRecord, &Profile),
    ) -> MemoryResult<Vec<(SearchResult, Option<f64>)>> {
        let Some(query) = question(new) else { return Ok(Vec::new()) };
        let mut limit = LOOKED_AT;
        loop {
            let hits = self.store().search(&query.clone().limit(limit).sessions(false)).await?;
            let judged = hits.into_iter().map(|hit| {
                let similarity = self.similarity(new, (&hit.record, &self.profile(&hit.record)));
                (hit, similarity)
            });
            let judged: Vec<_> = judged.collect();
            let elsewhere = |(hit, similarity): &(SearchResult, Option<f64>)| {
                similarity.is_some() && !same_place(new.0, &hit.record)
            };
            if judged.len() < limit || limit == limits::MAX_LIMIT || !judged.iter().all(elsewhere) {
                return Ok(judged);
            }
            limit = (limit * 10).min(limits::MAX_LIMIT);
        }
    }

    /// How alike two memories are, if they are near duplicates.
    fn similarity(&self, one: (&MemoryRecord, &Profile), other: (&MemoryRecord, &Profile)) -> Option<f64> {
        if !(one.1.known && other.1.known) {
            let (one, other) = (one.sketch(), other.sketch());
            let least = if one.is_sample() && other.is_sample() { SAME_WORDS_OF_LONG } else { SAME_WORDS };
            return one.resemblance(other, least);
        }
        let (a, b) = (one.0.embedding.as_deref()?, other.0.embedding.as_deref()?);
        let least = self.near_duplicate_similarity();
        if a.len() != b.len() || dot(a, b) / (one.1.length * other.1.length) < least as f32 - ROUGH {
            return None;
        }
        let cosine = cosine_similarity(a, b);
        if cosine < least {
            return None;
        }
        let (one, other) = (one.sketch(), other.sketch());
        let least = if one.is_sample() && other.is_sample() { SHARED_WORDS_OF_LONG } else { SHARED_WORDS };
        let resemblance = one.resemblance(other, least)?;
        Some(f64::midpoint(cosine.min(1.0), resemblance))
    }
}

/// What a memory is compared by. Made once for each memory of a call.
pub(crate) struct Profile {
    /// Whether the model knows enough of the text that its vector says something.
    known: bool,
    /// The length (L2) of the vector.
    length: f32,
    /// Made where it is needed.
    sketch: OnceLock<Sketch>,
}

trait Sketched {
    fn sketch(&self) -> &Sketch;
}

impl Sketched for (&MemoryRecord, &Profile) {
    fn sketch(&self) -> &Sketch {
        self.1.sketch.get_or_init(|| Sketch::new(&self.0.content))
    }
}

/// What finds the near duplicates of a text. None if it has neither a vector nor a word.
fn question((record, profile): (&MemoryRecord, &Profile)) -> Option<SearchQuery> {
    let vector = record.embedding.clone();
    if profile.known {
        return vector.map(SearchQuery::embedding);
    }
    // A passage is found by its words, and those of a whole long text are spread over many.
    let passage = &Analyzer::default().passages(&record.content)[0];
    let asked = words(&record.content[passage.clone()]);
    // Long words are rare. They hold no sign that a query would take for an operator.
    let mut asked: Vec<_> = asked.filter(|word| word.text.contains(char::is_alphanumeric)).collect();
    asked.sort_by(|a, b| a.folded.cmp(&b.folded));
    asked.dedup_by(|a, b| a.folded == b.folded);
    asked.sort_by_key(|word| std::cmp::Reverse(word.text.chars().count()));
    let asked: Vec<&str> = asked.iter().take(ASKED_WORDS).map(|word| word.text).collect();
    match vector {
        Some(vector) => Some(SearchQuery::hybrid(asked.join(" "), vector)),
        None => (!asked.is_empty()).then(|| SearchQuery::text(asked.join(" "))),
    }
}

/// The product of two vectors in single precision, in eight running sums that fit a processor's registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// What holds in one code base says nothing of another; what has no code base holds everywhere.
fn same_place(one: &MemoryRecord, other: &MemoryRecord) -> bool {
    one.codebase.is_none() || other.codebase.is_none() || one.codebase == other.codebase
}
