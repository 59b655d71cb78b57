use serde::{Deserialize, Serialize};
#[cfg(feature = "analysis")]
use vestige_analysis::Analyzer;

/// A part of a memory's content, in characters (Unicode scalar values) from its beginning.
///
/// ```
/// use vestige_traits::Passage;
///
/// assert_eq!(Passage { start: 3, end: 6 }.of("né à Köln"), "à K");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Passage {
    /// The first character.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
}

impl Passage {
    /// The passage's text. As much of it as there is, if the content is shorter.
    pub fn of(self, content: &str) -> &str {
        let place = |n| content.char_indices().nth(n).map_or(content.len(), |(at, _)| at);
        &content[place(self.start)..place(self.end.max(self.start))]
    }
}

/// The passage of a memory's content that was found by its number, from 0, in the order of
/// [`Analyzer::passages`]; none if the content is one passage.
#[cfg(feature = "analysis")]
pub fn passage(analyzer: &Analyzer, content: &str, number: usize) -> Option<Passage> {
    let passages = analyzer.passages(content);
    let range = passages.get(number).filter(|_| passages.len() > 1)?.clone();
    let start = content[..range.start].chars().count();
    Some(Passage { start, end: start + content[range].chars().count() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_cut_between_characters() {
        let of = |start, end| Passage { start, end }.of("aé字🦀z");
        assert_eq!(
            [of(0, 5), of(1, 3), of(3, 4), of(4, 9), of(7, 9), of(2, 2), of(3, 1)],
            ["aé字🦀z", "é字", "🦀", "z", "", "", ""]
        );
    }

    #[cfg(feature = "analysis")]
    #[test]
    fn a_passage_has_the_place_that_the_analysis_gives_it() {
        let (analyzer, content) = (Analyzer::default(), "Größe zählt nicht. ".repeat(100));
        let ranges = analyzer.passages(&content);
        for (number, range) in ranges.iter().enumerate() {
            let found = passage(&analyzer, &content, number).unwrap();
            assert_eq!(found.of(&content), &content[range.clone()]);
        }
        assert_eq!(passage(&analyzer, &content, ranges.len()), None);
        assert_eq!(passage(&analyzer, "short", 0), None);
    }
}
