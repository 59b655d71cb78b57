//! From the network's vectors to one vector for each token.
//!
//! 1. A token's vector is what it adds to an empty text: [CLS] token [SEP] minus [CLS] [SEP].
//! 2. One least-squares map makes a second table, in which the weighted mean of a text's tokens comes near
//!    the network's vector of the text.
//! 3. Each table is turned onto its principal axes and its strong axes are damped; the two stand side by
//!    side.
//! 4. Each row goes to unit length times a weight that falls with the token's frequency.
//! 5. PCA keeps 256 dimensions.

use crate::matrix::{Matrix, add, count};

const DIMENSIONS: usize = 256;
/// Ids below are special and unused tokens: no text has them.
const FIRST_CHARACTER: usize = 999;
/// Ids from here on are words and pieces of words, the frequent ones first; before them stand single
/// characters.
const FIRST_WORD: usize = 1996;
/// The weight of a token of probability p is a / (a + p): Arora, Liang and Ma,
/// "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017.
const WEIGHT_A: f64 = 1e-3;
/// The probability that a single character is taken for.
const CHARACTER_PROBABILITY: f64 = 5e-3;
/// What a dimension is divided by: its standard deviation to this power.
const DAMPING: f64 = 0.5;
/// The fitted table's share beside the plain one's 1.
const FITTED_SHARE: f64 = 0.7;
/// Ridge, as a share of the mean diagonal.
const RIDGE: f64 = 1e-3;

/// One row for each token, zeros for those without meaning; and the share of variance that the map explains.
pub(crate) fn distil(
    vocabulary: &[String],
    tokens: &Matrix,
    nothing: &[f64],
    texts: &[Vec<u32>],
    embedded: &Matrix,
) -> (Matrix, f64) {
    let weights = weights(vocabulary.len());
    let plain = tokens.clone().minus(nothing);
    let means = text_means(&plain.clone().scaled_rows(&weights), texts);
    let (map, fit) = least_squares(&means, &embedded.clone().minus(&embedded.mean()));
    let fitted = plain.times(&map);

    let mut both = damped(&plain, 1.0).beside(&damped(&fitted, FITTED_SHARE));
    for (row, (token, weight)) in both.rows_mut().zip(vocabulary.iter().zip(&weights)) {
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        let factor = if is_punctuation(token) { 0.0 } else { weight / length };
        row.iter_mut().for_each(|x| *x *= factor);
    }
    let words = both.rows_from(FIRST_WORD);
    let axes = words.transposed_times(&words).eigenvectors().first_columns(DIMENSIONS);
    let mut vectors = both.times(&axes);
    vectors.rows_mut().take(FIRST_CHARACTER).for_each(|row| row.fill(0.0));
    (vectors, fit)
}

/// By Zipf's law: the vocabulary is in order of frequency from [`FIRST_WORD`] on.
fn weights(tokens: usize) -> Vec<f64> {
    let harmonic: f64 = (1..=tokens - FIRST_WORD).map(|rank| 1.0 / count(rank)).sum();
    let probability = |id: usize| match id.checked_sub(FIRST_WORD) {
        Some(rank) => 1.0 / (count(rank + 1) * harmonic),
        None => CHARACTER_PROBABILITY,
    };
    (0..tokens).map(|id| WEIGHT_A / (WEIGHT_A + probability(id))).collect()
}

/// The mean of each text's tokens.
fn text_means(table: &Matrix, texts: &[Vec<u32>]) -> Matrix {
    let mut means = Matrix::zeros(texts.len(), table.columns());
    for (mean, text) in means.rows_mut().zip(texts) {
        for row in text.iter().filter_map(|&id| usize::try_from(id).ok()) {
            add(mean, 1.0 / count(text.len()), table.row(row));
        }
    }
    means
}

/// The map by which the inputs come nearest the targets, and the share of the targets' squares it explains.
fn least_squares(inputs: &Matrix, targets: &Matrix) -> (Matrix, f64) {
    let mut gram = inputs.transposed_times(inputs);
    let trace: f64 = (0..gram.columns()).map(|i| gram.row(i)[i]).sum();
    let ridge = RIDGE * trace / count(gram.columns());
    for i in 0..gram.columns() {
        gram.row_mut(i)[i] += ridge;
    }
    let map = gram
        .solve(&inputs.transposed_times(targets))
        .expect("a Gram matrix with a ridge is positive definite");
    let mut missed = inputs.times(&map);
    missed.rows_mut().zip(targets.rows()).for_each(|(missed, target)| add(missed, -1.0, target));
    (map, 1.0 - missed.squares() / targets.squares())
}

/// Turned onto the principal axes of the words, the strong axes damped, the words' rows of mean square length
/// `share`².
fn damped(table: &Matrix, share: f64) -> Matrix {
    let words = table.rows_from(FIRST_WORD);
    let mut turned = table.times(&words.transposed_times(&words).eigenvectors());
    let words = turned.rows_from(FIRST_WORD);
    let mean = words.mean();
    let mut deviations = vec![0.0; mean.len()];
    for row in words.rows() {
        for (deviation, (x, mean)) in deviations.iter_mut().zip(row.iter().zip(&mean)) {
            *deviation += (x - mean).powi(2);
        }
    }
    let words = count(words.rows().len());
    let factors: Vec<f64> = deviations.iter().map(|sum| (sum / words).sqrt().powf(-DAMPING)).collect();
    turned.rows_mut().for_each(|row| row.iter_mut().zip(&factors).for_each(|(x, factor)| *x *= factor));
    let length = (turned.rows_from(FIRST_WORD).squares() / words).sqrt();
    turned.rows_mut().for_each(|row| row.iter_mut().for_each(|x| *x *= share / length));
    turned
}

/// Whether a token is made of punctuation and symbols alone, which say nothing about what a text is about.
fn is_punctuation(token: &str) -> bool {
    let piece = token.strip_prefix("##").filter(|piece| !piece.is_empty()).unwrap_or(token);
    !piece.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_weigh_less_and_characters_least_of_the_rare() {
        let weights = weights(30_522);
        assert!(weights[FIRST_WORD] < 0.02, "the most frequent word");
        assert!(weights[FIRST_WORD..].is_sorted());
        assert!(weights[30_521] > 0.99, "the rarest");
        assert!((weights[FIRST_CHARACTER] - 1.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_map_is_found_again() {
        let inputs = Matrix::from_rows(&[vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0], vec![2.0, -1.0]]);
        let map = Matrix::from_rows(&[vec![3.0, -1.0], vec![0.5, 2.0]]);
        let (found, fit) = least_squares(&inputs, &inputs.times(&map));
        let missed: f64 =
            found.rows().zip(map.rows()).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (a - b).abs()).sum();
        assert!(missed < 0.02, "up to the ridge");
        assert!(fit > 0.999);
    }

    #[test]
    fn a_mean_counts_a_token_as_often_as_it_comes() {
        let table = Matrix::from_rows(&[vec![3.0], vec![6.0]]);
        let means = text_means(&table, &[vec![0, 0, 1], vec![]]);
        assert_eq!((means.row(0)[0], means.row(1)[0]), (4.0, 0.0));
    }

    #[test]
    fn punctuation_is_known_by_its_characters() {
        for (token, expected) in
            [("!", true), ("##-", true), ("##", true), ("##s", false), ("c", false), ("3", false)]
        {
            assert_eq!(is_punctuation(token), expected, "{token}");
        }
    }
}
