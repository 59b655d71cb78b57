//! No line of Rust is wider than `rustfmt.toml` says.

use std::path::Path;

use super::source::{self, Kind};
use super::tree::Tree;
use super::violation::Violation;

/// Lines of code, comments and documentation keep `max_width`, in characters.
///
/// rustfmt leaves some lines wider, because it breaks no comment, no literal and no macro call that it
/// cannot parse. Three kinds of them may stay, since breaking them helps nobody:
///
/// - a line that would fit without its string literals;
/// - a row of a table in a comment;
/// - a line of a comment that has no blank to break it at, such as a URL.
pub(super) fn lines_keep_the_width(tree: &Tree) -> Vec<Violation> {
    let Some(width) = max_width(tree) else {
        return vec![Violation::of_file(Path::new("rustfmt.toml"), "names no max_width")];
    };
    let mut found = Vec::new();
    for file in tree.rust() {
        let Some(text) = &file.text else { continue };
        if text.lines().all(|line| line.chars().count() <= width) {
            continue;
        }
        let classified = source::classify(text);
        for (index, line) in classified.split(|(c, _)| *c == '\n').enumerate() {
            if line.len() > width && !may_be_wide(line, width) {
                let what = format!("{} characters, at most {width}: break the line", line.len());
                found.push(Violation::at(&file.path, index + 1, what));
            }
        }
    }
    found
}

fn max_width(tree: &Tree) -> Option<usize> {
    let config = tree.files().iter().find(|file| file.path == Path::new("rustfmt.toml"))?;
    let width =
        |line: &str| line.strip_prefix("max_width")?.trim_start().strip_prefix('=')?.trim().parse().ok();
    config.lines().find_map(|(_, line)| width(line))
}

fn may_be_wide(line: &[(char, Kind)], width: usize) -> bool {
    let text: String = line.iter().map(|(c, _)| c).collect();
    let text = text.trim();
    if text.starts_with("//") {
        let comment = text.trim_start_matches(['/', '!']).trim_start();
        let comment = comment.trim_start_matches(['-', '*']).trim_start();
        return comment.starts_with('|') || !comment.contains(' ');
    }
    line.iter().filter(|(_, kind)| *kind != Kind::Literal).count() <= width
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Option<usize>> {
        let tree =
            Tree::of(&[("rustfmt.toml", "max_width = 40\nuse_small_heuristics = \"Max\"\n"), ("a.rs", text)]);
        lines_keep_the_width(&tree).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_wide_line_is_found_in_code_in_comments_and_in_documentation() {
        let wide = "a word, a word, a word, a word, a word";
        assert_eq!(lines(&format!("let x = 1;\n// {wide}\n")), [Some(2)]);
        assert_eq!(lines(&format!("    /// {wide}\n")), [Some(1)]);
        assert_eq!(lines(&format!("//! {wide}\n")), [Some(1)]);
        assert_eq!(lines(&format!("let x = 1; // {wide}\n")), [Some(1)]);
        assert_eq!(lines("let x = function(argument, argument, argument);\n"), [Some(1)]);
        assert_eq!(lines("let äöü = \"\"; // 40 characters, no more\n"), []);
    }

    #[test]
    fn a_literal_a_table_and_a_url_may_be_wide() {
        assert_eq!(lines("    let x = \"a word, a word, a word, a word, a word\";\n"), []);
        assert_eq!(lines("f(\"a\n a word, a word, a word, a word, a word, a word\n\");\n"), []);
        assert_eq!(lines("/// | one cell | another cell | and another cell |\n"), []);
        assert_eq!(lines("/// <https://example.org/a/long/way/to/a/page>\n"), []);
        assert_eq!(lines("    call(argument, \"text\", argument, argument, x);\n"), [Some(1)]);
    }

    #[test]
    fn a_tree_without_a_width_is_found() {
        assert_eq!(lines_keep_the_width(&Tree::of(&[("a.rs", "")])).len(), 1);
    }
}
