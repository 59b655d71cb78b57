//! Seeded data for timing, where no real set is at hand.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Unit vectors in clusters, as real embeddings lie: a question has near neighbours.
#[derive(Debug)]
pub struct ClusteredVectors {
    rng: StdRng,
    centers: Vec<Vec<f32>>,
}

impl ClusteredVectors {
    /// Vectors of `dimension` around 500 centers; the same seed gives the same vectors.
    pub fn new(dimension: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let centers = (0..500).map(|_| (0..dimension).map(|_| normal(&mut rng)).collect()).collect();
        Self { rng, centers }
    }

    /// The next vector, of length 1.
    pub fn next_vector(&mut self) -> Vec<f32> {
        let center = self.rng.random_range(0..self.centers.len());
        let mut vector: Vec<f32> =
            self.centers[center].iter().map(|&x| x + 0.7 * normal(&mut self.rng)).collect();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    }
}

/// A standard normal number (Box and Muller, 1958).
fn normal(rng: &mut StdRng) -> f32 {
    let (u, v): (f32, f32) = (rng.random_range(f32::EPSILON..1.0), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// With so many left out, the most frequent word is in 3 % of texts of a dozen words, as in WordNet's.
const STOP_WORDS: u32 = 50;

/// Texts of words as natural language has them: the r-th most frequent one with a frequency of 1/r (Zipf,
/// 1935), but without the most frequent, which are stop words there and would count as any other word here.
#[derive(Debug)]
pub struct ZipfTexts {
    rng: StdRng,
    /// Sums of the frequencies so far.
    sums: Vec<f64>,
}

impl ZipfTexts {
    /// Texts over 50,000 words; the same seed gives the same texts.
    pub fn new(seed: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=50_000).map(|rank| {
            sum += 1.0 / f64::from(STOP_WORDS + rank);
            sum
        });
        Self { rng: StdRng::seed_from_u64(seed), sums: sums.collect() }
    }

    /// The next text, of `words` words.
    pub fn next_text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words).map(|_| self.next_word()).collect();
        words.join(" ")
    }

    fn next_word(&mut self) -> String {
        let at = self.rng.random_range(0.0..self.sums[self.sums.len() - 1]);
        let mut rank = self.sums.partition_point(|&sum| sum <= at);
        // Syllables, so that a word is no stop word and no stemmer shortens it.
        let mut word = String::from("z");
        loop {
            word.push(char::from(b"bdfgklmnprtvz"[rank % 13]));
            word.push(char::from(b"aiou"[rank / 13 % 4]));
            rank /= 52;
            if rank == 0 {
                word.push('k');
                return word;
            }
        }
    }
}

/// Texts of the words of other texts, as often as those have them and as long as those are.
///
/// The words of a text are drawn one by one, so that a question finds in twice as many texts twice as many
/// that hold a word of it, as in a set that has grown.
#[derive(Debug)]
pub struct DrawnTexts {
    rng: StdRng,
    words: Vec<String>,
    lengths: Vec<usize>,
}

impl DrawnTexts {
    /// Texts after these; the same texts and seed give the same texts.
    pub fn new<'a>(like: impl IntoIterator<Item = &'a str>, seed: u64) -> Self {
        let (mut words, mut lengths) = (Vec::new(), Vec::new());
        for text in like {
            let before = words.len();
            words.extend(text.split_whitespace().map(str::to_owned));
            lengths.push(words.len() - before);
        }
        Self { rng: StdRng::seed_from_u64(seed), words, lengths }
    }

    /// The next text; nothing where there are no words to draw from.
    pub fn next_text(&mut self) -> Option<String> {
        if self.words.is_empty() {
            return None;
        }
        let length = self.lengths[self.rng.random_range(0..self.lengths.len())].max(1);
        let words: Vec<&str> =
            (0..length).map(|_| self.words[self.rng.random_range(0..self.words.len())].as_str()).collect();
        Some(words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_texts_have_the_words_and_the_lengths_of_the_others() {
        let mut drawn = DrawnTexts::new(["a a a b", "c d"], 1);
        let texts: Vec<String> = (0..400).filter_map(|_| drawn.next_text()).collect();
        assert_eq!(texts.len(), 400);
        let words: Vec<&str> = texts.iter().flat_map(|text| text.split(' ')).collect();
        let of =
            |wanted: &str| words.iter().filter(|word| **word == wanted).count() as f64 / words.len() as f64;
        assert!((of("a") - 0.5).abs() < 0.1 && (of("d") - 1.0 / 6.0).abs() < 0.1, "{} {}", of("a"), of("d"));
        assert!(texts.iter().all(|text| matches!(text.split(' ').count(), 2 | 4)));
        assert_eq!(DrawnTexts::new(["a a a b", "c d"], 1).next_text(), texts.first().cloned());
        assert_eq!(DrawnTexts::new([" "], 1).next_text(), None);
    }
}
