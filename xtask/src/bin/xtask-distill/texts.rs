//! What the fit is made on: the senses of WordNet, "words: definition".

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One text for each sense, in the order of the data files. Example sentences are left out.
pub(crate) fn wordnet(dir: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for name in ["data.noun", "data.verb", "data.adj", "data.adv"] {
        let path = dir.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // The data files are in ISO 8859-1, whose bytes are the first 256 code points.
        let file: String = bytes.into_iter().map(char::from).collect();
        for (number, line) in file.lines().enumerate().filter(|(_, line)| !line.starts_with("  ")) {
            let text = sense(line).with_context(|| format!("{}:{}: no sense", path.display(), number + 1))?;
            texts.push(text);
        }
    }
    Ok(texts)
}

/// The text of a line in the format of WordNet's manual page `wndb(5)`.
fn sense(line: &str) -> Option<String> {
    let (data, gloss) = line.split_once(" | ")?;
    let mut fields = data.split(' ').skip(3);
    let count = usize::from_str_radix(fields.next()?, 16).ok()?;
    let words: Vec<String> = fields.step_by(2).take(count).map(|word| word.replace('_', " ")).collect();
    let definition: Vec<&str> =
        gloss.trim().split(';').map(str::trim).filter(|part| !part.starts_with('"')).collect();
    Some(format!("{}: {}", words.join(", "), definition.join("; ")))
}

/// BLAKE3 over the texts, each ended by a newline.
pub(crate) fn hash(texts: &[String]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(text.as_bytes()).update(b"\n");
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sense_is_its_words_and_its_definition_without_examples() {
        let line = "00002137 03 n 02 abstraction 0 abstract_entity 0 001 @ 00001740 n 0000 | a general concept; \
                    \"he loved her only in the abstract\"; formed by common features  ";
        assert_eq!(
            sense(line).unwrap(),
            "abstraction, abstract entity: a general concept; formed by common features"
        );
    }

    #[test]
    fn a_line_without_a_gloss_is_no_sense() {
        assert!(sense("00002137 03 n 02 abstraction 0").is_none());
    }
}
