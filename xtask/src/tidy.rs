//! `cargo xtask tidy`: the rules of this repository that no other tool checks.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{fuzz, project};

mod arrows;
mod manifests;
mod sources;
mod tree;

use tree::Tree;

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: PathBuf,
    line: Option<usize>,
    what: String,
}

impl Violation {
    fn of_file(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into() }
    }

    fn at(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

type FileRule = fn(&Tree) -> Vec<Violation>;

const FILE_RULES: [FileRule; 11] = [
    manifests::crates_have_a_readme,
    manifests::published_crates_carry_their_licences,
    manifests::lints_are_inherited,
    manifests::versions_are_shared,
    manifests::async_trait_is_no_dependency,
    sources::files_are_short,
    sources::lib_rs_is_an_index,
    sources::nothing_is_left_to_do,
    sources::exceptions_carry_a_reason,
    sources::paths_are_of_no_machine,
    sources::licensed_data_stays_out,
];

/// Checks every rule and prints each place that breaks one.
///
/// # Errors
///
/// Where a rule is broken, or the tree cannot be read.
#[allow(clippy::print_stdout, reason = "the findings are this command's result")]
pub fn run() -> Result<()> {
    let tree = Tree::read(&project::root())?;
    let mut violations: Vec<_> = FILE_RULES.iter().flat_map(|rule| rule(&tree)).collect();
    let metadata = project::metadata(&["--locked"]).map_err(|error| {
        error.context("Cargo.lock may be out of date: run `cargo metadata` and commit it")
    })?;
    fuzz::check_lock_file()?;
    violations.extend(arrows::between_crates(&metadata)?);
    violations.extend(arrows::in_dependency_trees(&metadata)?);
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("the rules of this repository are broken: {} findings", violations.len());
    }
    println!("tidy: {} files, every rule holds", tree.files().len());
    Ok(())
}
