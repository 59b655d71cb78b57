//! Rules on what stands in files.

use super::tree::{File, Tree};
use super::violation::Violation;

/// A file has one subject; past this it has two.
const LONGEST_FILE: usize = 600;
/// `lib.rs` is the crate's index: README as docs, private modules, few `pub use`.
const LONGEST_LIB: usize = 60;

pub(super) fn files_are_short(tree: &Tree) -> Vec<Violation> {
    longer_than(LONGEST_FILE, tree.rust(), "split it by subject")
}

pub(super) fn lib_rs_is_an_index(tree: &Tree) -> Vec<Violation> {
    let libs = tree.rust().filter(|file| file.path.ends_with("src/lib.rs"));
    longer_than(LONGEST_LIB, libs, "move code into modules")
}

fn longer_than<'a>(most: usize, files: impl Iterator<Item = &'a File>, advice: &str) -> Vec<Violation> {
    files
        .map(|file| (file, file.lines().count()))
        .filter(|(_, lines)| *lines > most)
        .map(|(file, lines)| {
            Violation::of_file(&file.path, format!("{lines} lines, at most {most}: {advice}"))
        })
        .collect()
}

pub(super) fn nothing_is_left_to_do(tree: &Tree) -> Vec<Violation> {
    let left =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    tree.rust()
        .flat_map(|file| {
            file.lines().filter_map(move |(number, line)| {
                let word = left.iter().find(|word| line.contains(**word))?;
                Some(Violation::at(
                    &file.path,
                    number,
                    format!("`{word}` is left to do: finish it or take it out"),
                ))
            })
        })
        .collect()
}

/// An exception from a lint, or a test that does not run, says why.
pub(super) fn exceptions_carry_a_reason(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let Some(text) = &file.text else { continue };
        for (start, attribute) in attributes(text) {
            let excepts = ["allow(", "expect("].iter().any(|lint| has_word(attribute, lint));
            let ignores = has_word(attribute, "ignore") && !attribute.contains("ignore(");
            let reasoned =
                if ignores { attribute.contains("ignore = \"") } else { attribute.contains("reason = ") };
            if (excepts || ignores) && !reasoned {
                let line = text[..start].lines().count() + 1;
                found.push(Violation::at(&file.path, line, format!("`#{attribute}` gives no reason")));
            }
        }
    }
    found
}

/// The attributes that begin a line, brackets included, with the place of their `#`.
fn attributes(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut place = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = place + (line.len() - line.trim_start_matches([' ', '\t']).len());
        place += line.len();
        let rest = text[start..].strip_prefix('#')?;
        let rest = rest.strip_prefix('!').unwrap_or(rest);
        Some((start, rest.strip_prefix('[').map(|_| bracketed(rest))?))
    })
}

/// The text up to the bracket that closes the first one.
fn bracketed(text: &str) -> &str {
    let mut depth = 0_usize;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return &text[..=place],
            b']' => depth -= 1,
            _ => {}
        }
    }
    text
}

/// Whether `word` stands in the text as a name of its own.
pub(super) fn has_word(attribute: &str, word: &str) -> bool {
    attribute.match_indices(word).any(|(place, _)| {
        let before = attribute[..place].bytes().next_back();
        let after = attribute[place + word.len()..].bytes().next();
        !before.is_some_and(is_name) && (word.ends_with('(') || !after.is_some_and(is_name))
    })
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'"'
}

/// A path that exists on one machine only helps nobody else.
pub(super) fn paths_are_of_no_machine(tree: &Tree) -> Vec<Violation> {
    let paths =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/ta", "rget"), concat!("/Use", "rs/")];
    tree.files()
        .iter()
        .flat_map(|file| {
            file.lines().filter_map(move |(number, line)| {
                let path = paths.iter().find(|path| begins_a_path(line, path))?;
                Some(Violation::at(&file.path, number, format!("`{path}` is a path of one machine")))
            })
        })
        .collect()
}

fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(place, _)| {
        !line[..place]
            .chars()
            .next_back()
            .is_some_and(|before| before.is_alphanumeric() || "._-~/}{*)>]".contains(before))
    })
}

/// LoCoMo is CC BY-NC: it is read where it lies beside the checkout, and never committed.
pub(super) fn licensed_data_stays_out(tree: &Tree) -> Vec<Violation> {
    const DATA: [&str; 8] = ["json", "jsonl", "csv", "tsv", "txt", "parquet", "gz", "zst"];
    /// A test or a page may name an example; a data set names many.
    const EXAMPLES: usize = 3;
    tree.files()
        .iter()
        .filter(|file| {
            let named = file.has_extension(&DATA)
                && file.path.to_string_lossy().to_ascii_lowercase().contains("locomo");
            named || file.text.as_deref().is_some_and(|text| turns_of_locomo(text) > EXAMPLES)
        })
        .map(|file| Violation::of_file(&file.path, "this looks like LoCoMo, whose licence forbids it here"))
        .collect()
}

/// How many lines hold an id of the form `conv-26/D1:3`.
fn turns_of_locomo(text: &str) -> usize {
    text.lines()
        .filter(|line| {
            line.split("conv-").skip(1).any(|rest| {
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                rest.strip_prefix("/D").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> Tree {
        Tree::of(&[(path, text)])
    }

    #[test]
    fn a_long_file_is_found_and_a_long_lib_rs_sooner() {
        let lines = |count: usize| "\n".repeat(count);
        assert!(files_are_short(&one("a/src/x.rs", &lines(600))).is_empty());
        assert_eq!(files_are_short(&one("a/src/x.rs", &lines(601))).len(), 1);
        assert!(lib_rs_is_an_index(&one("a/src/x.rs", &lines(61))).is_empty());
        assert_eq!(lib_rs_is_an_index(&one("a/src/lib.rs", &lines(61))).len(), 1);
    }

    #[test]
    fn unfinished_code_is_found() {
        let tree = one("a.rs", concat!("fn f() {\n    todo", "!()\n}\n"));
        assert_eq!(nothing_is_left_to_do(&tree)[0].line, Some(2));
    }

    #[test]
    fn an_exception_without_a_reason_is_found() {
        let lines = |text: &str| -> Vec<_> {
            exceptions_carry_a_reason(&one("a.rs", text)).iter().filter_map(|v| v.line).collect()
        };
        assert_eq!(lines("\n#[allow(dead_code)]\nfn f() {}\n"), [2]);
        assert_eq!(lines("#![allow(dead_code)]\n"), [1]);
        assert_eq!(lines("#[cfg_attr(test, expect(dead_code))]\n"), [1]);
        assert_eq!(lines("#[test]\n#[ignore]\nfn f() {}\n"), [2]);
        assert_eq!(lines("#[allow(\n    dead_code,\n    reason = \"a table\"\n)]\n"), [0; 0]);
        assert_eq!(lines("#[ignore = \"an hour\"]\n"), [0; 0]);
        assert_eq!(lines("#[clap(ignore_errors(true))]\n#[command(allow_external = true)]\n"), [0; 0]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let found = |text: &str| paths_are_of_no_machine(&one("a.md", text)).len();
        assert_eq!(found(concat!("see `/wo", "rk/main`")), 1);
        assert_eq!(found(concat!("cd /ro", "ot/x")), 1);
        assert_eq!(found(concat!("https://example.org/wo", "rk/1 and net", "wo", "rk/a")), 0);
    }

    #[test]
    fn licensed_data_is_found_by_name_and_by_content() {
        let turn = "{\"id\": \"conv-26/D1:1\"}\n";
        assert_eq!(licensed_data_stays_out(&one("data/locomo.jsonl", "{}")).len(), 1);
        assert_eq!(licensed_data_stays_out(&one("data/x.bin", &turn.repeat(4))).len(), 1);
        assert!(licensed_data_stays_out(&one("README.md", turn)).is_empty());
        assert!(licensed_data_stays_out(&one("src/locomo.rs", "")).is_empty());
    }
}
