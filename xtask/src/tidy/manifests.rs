//! Rules on what a crate has.

use super::sources::has_word;
use super::tree::{File, Tree};
use super::violation::Violation;

/// The fuzz targets are a workspace of their own: cargo-fuzz wants it so, and lints cannot be inherited
/// there.
fn is_member(manifest: &File) -> bool {
    !manifest.path.starts_with("fuzz")
}

pub(super) fn crates_have_a_readme(tree: &Tree) -> Vec<Violation> {
    tree.manifests()
        .filter(|manifest| is_member(manifest))
        .filter(|manifest| !tree.has(&manifest.path.with_file_name("README.md")))
        .map(|manifest| Violation::of_file(&manifest.path, "the crate has no README.md beside its manifest"))
        .collect()
}

/// A crate that is downloaded by itself contains its licences.
pub(super) fn published_crates_carry_their_licences(tree: &Tree) -> Vec<Violation> {
    let published = |manifest: &&File| {
        let text = manifest.text.as_deref().unwrap_or_default();
        is_member(manifest) && text.contains("[package]") && !text.contains("publish = false")
    };
    let mut found = Vec::new();
    for manifest in tree.manifests().filter(published) {
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            if !tree.has(&manifest.path.with_file_name(licence)) {
                let what = format!("the crate is published without {licence}: link to the one above");
                found.push(Violation::of_file(&manifest.path, what));
            }
        }
    }
    found
}

pub(super) fn lints_are_inherited(tree: &Tree) -> Vec<Violation> {
    tree.manifests()
        .filter(|manifest| is_member(manifest))
        .filter(|manifest| {
            !manifest.text.as_deref().is_some_and(|text| text.contains("[lints]\nworkspace = true"))
        })
        .map(|manifest| {
            Violation::of_file(
                &manifest.path,
                "the crate does not inherit the lints: add `[lints] workspace = true`",
            )
        })
        .collect()
}

/// Versions stand in one place, the root manifest.
pub(super) fn versions_are_shared(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for manifest in tree.manifests().filter(|manifest| is_member(manifest)) {
        let mut of_dependencies = false;
        for (number, line) in manifest.lines() {
            if line.starts_with('[') {
                of_dependencies = line.trim_end().ends_with("dependencies]");
            } else if of_dependencies
                && line.starts_with(|first: char| first.is_ascii_alphabetic())
                && !line.contains("workspace = true")
            {
                let what = "the version does not come from the root manifest: say `workspace = true`";
                found.push(Violation::at(&manifest.path, number, what));
            }
        }
    }
    found
}

/// Futures are boxed only where a caller chose to, by the traits' erased twins.
pub(super) fn async_trait_is_no_dependency(tree: &Tree) -> Vec<Violation> {
    let dependency = concat!("async", "-trait");
    let macro_name = concat!("async", "_trait");
    let manifests = tree
        .files()
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"))
        .flat_map(|file| find(file, dependency));
    let sources = tree.rust().flat_map(|file| find(file, macro_name));
    manifests.chain(sources).collect()
}

fn find(file: &File, word: &str) -> Vec<Violation> {
    file.lines()
        .filter(|(_, line)| {
            let line = line.trim_start();
            let comment = line.starts_with("//") || (line.starts_with('#') && !line.starts_with("#["));
            !comment && has_word(line, word)
        })
        .map(|(number, _)| {
            Violation::at(&file.path, number, format!("{word} is used; the traits do without"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_a_readme_is_found() {
        let tree = Tree::of(&[("a/Cargo.toml", ""), ("b/Cargo.toml", ""), ("b/README.md", "")]);
        let found = crates_have_a_readme(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a/Cargo.toml: "));
    }

    #[test]
    fn a_published_crate_without_its_licences_is_found() {
        let tree = Tree::of(&[
            ("a/Cargo.toml", "[package]\n"),
            ("a/LICENSE-MIT", ""),
            ("b/Cargo.toml", "[package]\npublish = false\n"),
        ]);
        let found = published_crates_carry_their_licences(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains("LICENSE-APACHE"), "{}", found[0]);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\n"),
            ("a/Cargo.toml", "[lints.rust]\nunused = \"allow\"\n"),
            ("b/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"),
        ]);
        let found = lints_are_inherited(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a/Cargo.toml: "));
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let manifest = "[package]\nname = \"a\"\n\n[dev-dependencies]\n# why\nserde.workspace = true\n\
                        uuid = { workspace = true, features = [\n    \"v4\",\n] }\nrand = \"0.9\"\n";
        let found: Vec<_> = versions_are_shared(&Tree::of(&[("a/Cargo.toml", manifest)]))
            .iter()
            .map(|violation| violation.line)
            .collect();
        assert_eq!(found, [Some(10)]);
    }

    #[test]
    fn the_boxing_macro_is_found_in_code_and_manifests_but_not_in_comments() {
        let code = concat!("// no async", "_trait here\n#[async", "_trait]\nimpl X for Y {}\n");
        let manifest = concat!("# async", "-trait is out\nasync", "-trait = \"0.1\"\n");
        let tree = Tree::of(&[("a/src/lib.rs", code), ("a/Cargo.toml", manifest)]);
        let found: Vec<_> = async_trait_is_no_dependency(&tree).iter().map(|v| v.line).collect();
        assert_eq!(found, [Some(2), Some(2)]);
    }
}
