//! `cargo xtask tidy`: the rules of this repository that no other tool checks.

use anyhow::{Result, bail};

use crate::{fuzz, project};

mod arrows;
mod cycles;
mod manifests;
mod source;
mod sources;
mod tree;
mod violation;
mod width;
mod workflows;

use tree::Tree;
use violation::Violation;

type FileRule = fn(&Tree) -> Vec<Violation>;

const FILE_RULES: [FileRule; 14] = [
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
    width::lines_keep_the_width,
    cycles::modules_have_no_cycles,
    workflows::actions_are_pinned,
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
