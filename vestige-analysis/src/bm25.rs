//! The score of a term.

/// Okapi BM25 with the square of the inverse document frequency.
///
/// Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with Lucene's
/// inverse document frequency, which is above zero for every term. The square stands for a weight of the term
/// in the question beside that in the document, as in the vector space model (Salton and Buckley,
/// "Term-weighting approaches in automatic text retrieval", 1988): a question as people ask it has more words
/// than it is about. Memories are short, and a word that comes twice in one says little more than a word that
/// comes once: so k1 is low.
#[derive(Clone, Copy, Debug)]
pub struct Bm25 {
    /// How many documents there are.
    pub documents: u64,
    /// The mean of their lengths, in terms.
    pub mean_length: f64,
}

impl Bm25 {
    /// Saturation of the term frequency.
    pub const K1: f64 = 0.4;
    /// Weight of the document's length.
    pub const B: f64 = 0.75;
    /// How much the number of passages of a text takes from its score.
    pub const CHANCES: f64 = 0.05;
    /// The least inverse document frequency: a term that every document holds still finds them.
    pub const MIN_IDF: f64 = 1e-3;

    /// The inverse document frequency of a term that stands in `n` documents: `ln(1 + (N - n + 0.5) / (n +
    /// 0.5))`.
    pub fn idf(&self, n: u64) -> f64 {
        let (total, n) = (self.documents as f64, n as f64);
        (1.0 + (total - n + 0.5).max(0.0) / (n + 0.5)).ln().max(Self::MIN_IDF)
    }

    /// What a term adds to the score of a document of `length` terms in which it has `frequency`.
    pub fn term_score(&self, idf: f64, frequency: f64, length: f64) -> f64 {
        let saturation = frequency + Self::K1 * (1.0 - Self::B + Self::B * length / self.mean_length);
        idf * idf * (frequency * (Self::K1 + 1.0) / saturation)
    }

    /// The score of a memory of that many passages, by the score of its best one: `best / (1 + CHANCES × ln
    /// passages)`.
    ///
    /// The maximum of many draws is high by chance, and grows about with the logarithm of their number
    /// (Gumbel, "Statistics of Extremes", 1958). A memory of one passage has the score of that passage.
    pub fn memory_score(best: f64, passages: usize) -> f64 {
        best / (1.0 + Self::CHANCES * (passages.max(1) as f64).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bm25_prefers_rare_terms_and_short_documents() {
        let bm25 = Bm25 { documents: 100, mean_length: 10.0 };
        assert!(bm25.idf(1) > bm25.idf(10));
        assert!(bm25.idf(80) > bm25.idf(100));
        assert!(bm25.idf(100) > Bm25::MIN_IDF);
        assert_eq!(Bm25 { documents: 100_000, mean_length: 10.0 }.idf(100_000), Bm25::MIN_IDF);
        assert!(bm25.term_score(1.0, 1.0, 5.0) > bm25.term_score(1.0, 1.0, 20.0));
    }

    #[test]
    fn of_equal_passages_that_of_the_longer_memory_counts_less() {
        let score = |passages| Bm25::memory_score(7.0, passages);
        assert_eq!([score(0), score(1)], [7.0, 7.0]);
        assert!((score(20) - 7.0 / 1.149_786_613_677_699_6).abs() < 1e-12, "{}", score(20));
        assert!((2..=1024).all(|passages| score(passages) < score(passages - 1)));
    }
}
