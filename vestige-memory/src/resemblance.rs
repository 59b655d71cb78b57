//! How much of their wording two texts share.

use crate::words::{Spacing, words};

/// How many features of a text are kept: all of a text of about 40 words.
const KEPT: usize = 256;
/// Bytes of a text that are looked at, as many as the bundled model of `vestige-embed` reads.
const WINDOW: usize = 1 << 16;

/// A sample of the features of a text: all of a short one, and of a longer one those with the least hashes.
///
/// A feature is a run of three letters within a word, with the spaces around it; two syllables; or one or two
/// characters where words are not separated by spaces. So a word counts by its length, and an ending
/// less than a stem. Two samples estimate how many features the texts share (Broder, "On the resemblance and
/// containment of documents", 1997), and tell it exactly where both are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Ascending, each once.
    hashes: Vec<u64>,
    /// Whether there were more.
    cut: bool,
}

impl Sketch {
    /// In time O(n log n) of the text, of which the first 64 KiB are read.
    pub(crate) fn new(text: &str) -> Self {
        let mut hashes = Vec::new();
        let mut letters = Vec::new();
        for word in words(&text[..text.floor_char_boundary(WINDOW)]) {
            let (run, spaces) = match word.spacing {
                Spacing::Letters => (3, " "),
                Spacing::Syllables => (2, " "),
                Spacing::None => (2, ""),
            };
            letters.clear();
            letters.extend(spaces.chars().chain(word.folded.chars()).chain(spaces.chars()));
            hashes.extend(letters.windows(run).map(hash));
            if word.spacing == Spacing::None {
                hashes.extend(letters.chunks(1).map(hash));
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        let cut = hashes.len() > KEPT;
        hashes.truncate(KEPT);
        Self { hashes, cut }
    }

    /// Whether the text has more features than the sample.
    pub(crate) fn is_sample(&self) -> bool {
        self.cut
    }

    /// The share of features that two texts have in common, by Dice: 2 |A ∩ B| / (|A| + |B|). None below
    /// `least`, which for most texts is known after few of their features.
    pub(crate) fn resemblance(&self, other: &Self, least: f64) -> Option<f64> {
        let cut = self.cut || other.cut;
        let sizes = self.hashes.len() + other.hashes.len();
        // Of features that are cut, the first ones of both together are a sample.
        let looked_at = if cut { KEPT } else { sizes };
        // In both, and in one of them.
        let (mut both, mut one) = (0, 0);
        // A little more, since a product of this kind may be rounded down.
        let most_in_one = (1.0 - least) * if cut { 2.0 * KEPT as f64 } else { sizes as f64 } + 1e-6;
        let (mut a, mut b) = (self.hashes.iter().peekable(), other.hashes.iter().peekable());
        while both + one < looked_at {
            match (a.peek(), b.peek()) {
                (None, None) => break,
                (Some(x), Some(y)) if x == y => {
                    both += 1;
                    a.next();
                    b.next();
                }
                (Some(x), Some(y)) if x > y => {
                    one += 1;
                    b.next();
                }
                (None, Some(_)) => {
                    one += 1;
                    b.next();
                }
                (Some(_), _) => {
                    one += 1;
                    a.next();
                }
            }
            if one as f64 > most_in_one {
                return None;
            }
        }
        let share = 2.0 * both as f64 / (2 * both + one).max(1) as f64;
        (share > 0.0 && share >= least).then_some(share)
    }
}

/// FNV-1a over characters, mixed once more (the finalizer of SplitMix64), since samples need every bit.
fn hash(letters: &[char]) -> u64 {
    let fnv = |hash: u64, c: &char| (hash ^ u64::from(*c)).wrapping_mul(0x0100_0000_01b3);
    let hash = letters.iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resemblance(a: &str, b: &str) -> f64 {
        Sketch::new(a).resemblance(&Sketch::new(b), 0.0).unwrap_or(0.0)
    }

    #[test]
    fn texts_resemble_each_other_by_the_words_that_they_share() {
        assert_eq!(resemblance("Every night the job runs.", "the job RUNS every night"), 1.0);
        assert_eq!(resemblance("abc", "xyz"), 0.0);
        assert_eq!(resemblance("", ""), 0.0);
        // " not ", "on" in both: 5 and 2 of 3 + 2.
        assert!((resemblance("on not", "on") - 2.0 * 2.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn a_share_at_the_limit_is_not_below_it() {
        let (a, b) = (Sketch::new("发票服务需要 Java 21。"), Sketch::new("Java 21 是发票服务所需要的。"));
        assert_eq!(a.resemblance(&b, 0.8), Some(0.8));
    }

    #[test]
    fn a_sample_estimates_what_long_texts_share() {
        // Ideographs: each is a feature, and so is each pair.
        let text = |characters: std::ops::Range<u32>| -> String {
            characters.filter_map(|n| char::from_u32(0x4e00 + n)).collect()
        };
        for shared in [500, 1000, 1500] {
            let measured = resemblance(&text(0..2000), &text(2000 - shared..4000 - shared));
            let expected = f64::from(shared) / 2000.0;
            assert!((measured - expected).abs() < 0.1, "{measured} for {expected}");
        }
    }

    proptest! {
        #[test]
        fn what_stops_early_answers_what_the_whole_comparison_answers(
            a in "[a-e不允许 ]{0,400}", b in "[a-e不允许 ]{0,400}", least in 0.0..1.0
        ) {
            let whole = resemblance(&a, &b);
            let stopped = Sketch::new(&a).resemblance(&Sketch::new(&b), least);
            prop_assert_eq!(stopped, (whole > 0.0 && whole >= least).then_some(whole));
        }
    }
}
