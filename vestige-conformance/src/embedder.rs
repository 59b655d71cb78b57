use vestige_traits::{Embedder, EmbedderResult, ModelSignature};

use super::random::SplitMix64;

/// An embedder for tests: each word and each run of three of its letters is hashed to a component.
///
/// Texts that share words or parts of words are near each other; nothing else
/// is, so this is no embedder for use. It needs no file, gives the same
/// vectors everywhere, and holds the contract of [`Embedder`]. It tells
/// documents from queries no more than a model without prefixes does.
#[derive(Clone, Debug)]
pub struct HashEmbedder {
    signature: ModelSignature,
    seed: u64,
}

impl HashEmbedder {
    /// An embedder of `dimension` components. Another `seed` is another model.
    ///
    /// # Panics
    ///
    /// If `dimension` is not 1 to [`MAX_DIMENSION`](vestige_traits::limits::MAX_DIMENSION).
    pub fn new(dimension: usize, seed: u64) -> Self {
        assert!(
            (1..=vestige_traits::limits::MAX_DIMENSION).contains(&dimension),
            "no model has {dimension} dimensions"
        );
        // There are no files to hash: the parameters are the whole model.
        let mut digits = SplitMix64(seed ^ (dimension as u64).rotate_left(32));
        let hash = (0..4).map(|_| format!("{:016x}", digits.next())).collect();
        let name = format!("vestige-test/hash-{dimension}-{seed}");
        Self { signature: ModelSignature { name, dimension, hash }, seed }
    }

    /// The vector of a text; none if it has no word.
    fn embed(&self, text: &str) -> Option<Vec<f32>> {
        let mut vector = vec![0.0_f64; self.signature.dimension];
        let mut first = None;
        let text = text.to_lowercase();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let (at, sign) = self.place(word);
            first.get_or_insert(at);
            vector[at] += sign;
            let letters: Vec<char> = [' '].into_iter().chain(word.chars()).chain([' ']).collect();
            for gram in letters.windows(3) {
                let (at, sign) = self.place(&gram.iter().collect::<String>());
                vector[at] += 0.5 * sign;
            }
        }
        let first = first?;
        // The parts may cancel each other out, and a vector must point somewhere.
        if vector.iter().all(|component| *component == 0.0) {
            vector[first] = 1.0;
        }
        let norm = vector.iter().map(|component| component * component).sum::<f64>().sqrt();
        Some(vector.into_iter().map(|component| (component / norm) as f32).collect())
    }

    /// The component of a feature, and the sign with which it counts.
    fn place(&self, feature: &str) -> (usize, f64) {
        // FNV-1a (Fowler, Noll and Vo), mixed once more because its low bits are weak.
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = feature.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.seed, fnv);
        let mixed = SplitMix64(hash).next();
        let at = (mixed >> 1) % self.signature.dimension as u64;
        (at as usize, if mixed & 1 == 0 { 1.0 } else { -1.0 })
    }
}

impl Embedder for HashEmbedder {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        Ok(self.embed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestige_traits::backend::cosine_similarity;

    fn embed(embedder: &HashEmbedder, text: &str) -> Vec<f32> {
        embedder.embed(text).unwrap()
    }

    #[test]
    fn vectors_have_unit_length_and_depend_on_the_text_alone() {
        let embedder = HashEmbedder::new(64, 1);
        let vector = embed(&embedder, "The red lamp");
        assert_eq!(vector.len(), 64);
        let norm: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
        assert!((norm - 1.0).abs() < 1e-6);
        assert_eq!(vector, embed(&HashEmbedder::new(64, 1), "the RED lamp!"));
    }

    #[test]
    fn texts_that_share_words_are_nearer() {
        let embedder = HashEmbedder::new(256, 1);
        let lamp = embed(&embedder, "the red lamp");
        let near = cosine_similarity(&lamp, &embed(&embedder, "two red lamps"));
        let far = cosine_similarity(&lamp, &embed(&embedder, "quarterly budget"));
        assert!(near > 0.4 && far < 0.2, "{near} {far}");
    }

    #[test]
    fn each_seed_and_dimension_is_a_model_of_its_own() {
        let signatures = [(64, 1), (64, 2), (65, 1)].map(|(d, s)| HashEmbedder::new(d, s).signature);
        for signature in &signatures {
            assert!(signature.validate().is_ok());
        }
        assert_ne!(signatures[0].hash, signatures[1].hash);
        assert_ne!(signatures[0].hash, signatures[2].hash);
    }

    #[test]
    fn one_dimension_never_gives_a_zero_vector() {
        let embedder = HashEmbedder::new(1, 7);
        for n in 0..500 {
            assert_eq!(embed(&embedder, &format!("word{n}"))[0].abs(), 1.0);
        }
        assert_eq!(embedder.embed(" ?! "), None);
    }
}
