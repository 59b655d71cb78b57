//! Rules on which crate may depend on which: see `docs/adr/0003-crate-arrows.md`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::violation::Violation;
use crate::{process, project};

/// The crates of the workspace, and for each the crates of the workspace that it may depend on.
///
/// Dev-dependencies are free: the tests of a crate may use any other.
const ARROWS: [(&str, &[&str]); 12] = [
    ("vestige-analysis", &[]),
    ("vestige-traits", &["vestige-analysis"]),
    ("vestige-conformance", &["vestige-traits"]),
    ("vestige-sqlite", &["vestige-traits"]),
    ("vestige-postgres", &["vestige-traits"]),
    ("vestige-embed", &["vestige-traits"]),
    ("vestige-migrate", &["vestige-traits"]),
    ("vestige-memory", &["vestige-traits"]),
    ("vestige-mcp", &["vestige-traits", "vestige-memory"]),
    ("vestige-cli", SHIPPED),
    ("vestige-bench", LIBRARIES),
    ("xtask", LIBRARIES),
];

/// The libraries that the command puts together.
const SHIPPED: &[&str] = &[
    "vestige-traits",
    "vestige-sqlite",
    "vestige-postgres",
    "vestige-embed",
    "vestige-migrate",
    "vestige-memory",
    "vestige-mcp",
];

const LIBRARIES: &[&str] = &[
    "vestige-traits",
    "vestige-conformance",
    "vestige-sqlite",
    "vestige-postgres",
    "vestige-embed",
    "vestige-migrate",
    "vestige-memory",
    "vestige-mcp",
];

/// What a normal build of `vestige-traits` may compile, on any platform.
const TRAITS_TREE: &[&str] = &[
    // Time, values, errors, ids, the Send twin of a trait.
    "chrono",
    "serde",
    "serde_json",
    "thiserror",
    "trait-variant",
    "uuid",
    "vestige-traits",
    // What those are made of.
    "cfg-if",
    "getrandom",
    "itoa",
    "libc",
    "memchr",
    "num-traits",
    "proc-macro2",
    "quote",
    "r-efi",
    "ryu",
    "serde_core",
    "serde_derive",
    "syn",
    "thiserror-impl",
    "unicode-ident",
    "zmij",
];

/// Crates that a build must not compile: the arguments of `cargo tree`, the crates, and why.
const ABSENT: [(&[&str], &[&str], &str); 7] = [
    (
        &["--package=vestige-cli"],
        &["sqlx", "sqlx-core", "sqlx-postgres", "pgvector", "vestige-postgres"],
        "the Postgres backend is behind the feature `postgres-backend`",
    ),
    (
        &["--package=vestige-postgres", "--all-features"],
        &["rusqlite", "libsqlite3-sys", "sqlx-sqlite", "clap"],
        "a user of the Postgres backend never compiles SQLite",
    ),
    (
        &["--package=vestige-sqlite", "--all-features"],
        &["sqlx", "sqlx-core", "pgvector", "clap", "tokenizers", "ort"],
        "a user of the SQLite backend compiles no sqlx, no embedder and no command-line parser",
    ),
    (
        &["--package=vestige-migrate", "--all-features"],
        &["rusqlite", "libsqlite3-sys", "sqlx", "sqlx-core", "clap"],
        "the migration tooling is written against the traits alone",
    ),
    (
        &["--package=vestige-conformance", "--all-features"],
        DRIVERS_EMBEDDERS_AND_CLAP,
        "the suite is written against the traits alone",
    ),
    (
        &["--package=vestige-memory", "--all-features"],
        DRIVERS_EMBEDDERS_AND_CLAP,
        "the user of the facade chooses the store and the embedder",
    ),
    (
        &["--package=vestige-mcp", "--all-features"],
        DRIVERS_EMBEDDERS_AND_CLAP,
        "the program that serves the protocol chooses the store and the embedder",
    ),
];

const DRIVERS_EMBEDDERS_AND_CLAP: &[&str] = &[
    "rusqlite",
    "libsqlite3-sys",
    "sqlx",
    "sqlx-core",
    "pgvector",
    "tokenizers",
    "fastembed",
    "ort",
    "clap",
];

/// Finds the dependencies between crates of the workspace that [`ARROWS`] does not have.
pub(super) fn between_crates(metadata: &Value) -> Result<Vec<Violation>> {
    let packages = crates(metadata)?;
    let names = names(&packages);
    let mut found = Vec::new();
    for package in packages {
        let name = text(&package["name"])?;
        let manifest = Path::new(name).join("Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == name) else {
            found.push(Violation::of_file(
                &manifest,
                "the crate has no arrows: add it to xtask/src/tidy/arrows.rs",
            ));
            continue;
        };
        for dependency in list(&package["dependencies"])? {
            let to = text(&dependency["name"])?;
            let of_tests = dependency["kind"] == "dev";
            if !of_tests && names.contains(to) && !allowed.contains(&to) {
                found.push(Violation::of_file(
                    &manifest,
                    format!("{name} must not depend on {to}: docs/adr/0003-crate-arrows.md"),
                ));
            }
        }
    }
    Ok(found)
}

/// Finds crates that a build compiles and must not, as `cargo tree` resolves it.
pub(super) fn in_dependency_trees(metadata: &Value) -> Result<Vec<Violation>> {
    let packages = crates(metadata)?;
    let names = names(&packages);
    let traits = packages_of(&["--package=vestige-traits", "--edges=normal", "--target=all"])?;
    let mut found = outside(&traits, TRAITS_TREE);
    for (args, forbidden, why) in ABSENT {
        if !names.contains(package_of(args)) {
            continue;
        }
        let built = packages_of(&[args, &["--edges=normal,build"]].concat())?;
        found.extend(inside(args, &built, forbidden, why));
    }
    Ok(found)
}

fn outside(built: &BTreeSet<String>, allowed: &[&str]) -> Vec<Violation> {
    built
        .iter()
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| {
            Violation::of_file(
                Path::new("vestige-traits/Cargo.toml"),
                format!(
                    "a normal build compiles {name}, which is not on the list in xtask/src/tidy/arrows.rs"
                ),
            )
        })
        .collect()
}

fn inside(args: &[&str], built: &BTreeSet<String>, forbidden: &[&str], why: &str) -> Vec<Violation> {
    forbidden
        .iter()
        .filter(|name| built.contains(**name))
        .map(|name| {
            Violation::of_file(
                &Path::new(package_of(args)).join("Cargo.toml"),
                format!(
                    "a build compiles {name}, but {why} (`cargo tree {} --invert {name}`)",
                    args.join(" ")
                ),
            )
        })
        .collect()
}

/// The crate that the arguments of `cargo tree` ask about.
fn package_of<'a>(args: &[&'a str]) -> &'a str {
    args[0].trim_start_matches("--package=")
}

fn packages_of(args: &[&str]) -> Result<BTreeSet<String>> {
    let tree = process::output(
        project::cargo()
            .args(["tree", "--quiet", "--locked", "--prefix=none", "--no-dedupe", "--format={p}"])
            .args(args),
    )?;
    Ok(tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// The packages of the workspace.
fn crates(metadata: &Value) -> Result<Vec<&Value>> {
    let members: BTreeSet<&str> =
        list(&metadata["workspace_members"])?.iter().filter_map(Value::as_str).collect();
    let mut packages = Vec::new();
    for package in list(&metadata["packages"])? {
        if members.contains(text(&package["id"])?) {
            packages.push(package);
        }
    }
    Ok(packages)
}

fn names<'a>(packages: &[&'a Value]) -> BTreeSet<&'a str> {
    packages.iter().filter_map(|package| package["name"].as_str()).collect()
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("cargo metadata lacks a list")
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo metadata lacks a name")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(dependencies: &Value) -> Value {
        json!({
            "workspace_members": ["s", "t"],
            "packages": [
                {"id": "t", "name": "vestige-traits", "dependencies": []},
                {"id": "e", "name": "serde", "dependencies": []},
                {"id": "s", "name": "vestige-sqlite", "dependencies": dependencies},
            ],
        })
    }

    #[test]
    fn a_backend_may_depend_on_the_traits_and_on_the_world() {
        let metadata = workspace(&json!([
            {"name": "vestige-traits", "kind": null},
            {"name": "serde", "kind": null},
        ]));
        assert_eq!(between_crates(&metadata).unwrap(), []);
    }

    #[test]
    fn a_forbidden_arrow_is_found_in_builds_but_not_in_tests() {
        let arrow = |kind: Value| {
            let mut metadata = workspace(&json!([{"name": "vestige-embed", "kind": kind}]));
            metadata["workspace_members"] = json!(["s", "t", "m"]);
            metadata["packages"]
                .as_array_mut()
                .unwrap()
                .push(json!({"id": "m", "name": "vestige-embed", "dependencies": []}));
            between_crates(&metadata).unwrap().len()
        };
        assert_eq!(arrow(json!(null)), 1);
        assert_eq!(arrow(json!("build")), 1);
        assert_eq!(arrow(json!("dev")), 0);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let metadata = json!({
            "workspace_members": ["n"],
            "packages": [{"id": "n", "name": "vestige-new", "dependencies": []}],
        });
        assert_eq!(between_crates(&metadata).unwrap().len(), 1);
    }

    /// How many rules break where one crate depends on another.
    fn between(from: &str, to: &str) -> usize {
        let metadata = json!({
            "workspace_members": ["f", "t"],
            "packages": [
                {"id": "f", "name": from, "dependencies": [{"name": to, "kind": null}]},
                {"id": "t", "name": to, "dependencies": []},
            ],
        });
        between_crates(&metadata).unwrap().len()
    }

    #[test]
    fn the_facade_knows_no_backend_and_the_protocol_no_embedder() {
        assert_eq!(between("vestige-memory", "vestige-sqlite"), 1);
        assert_eq!(between("vestige-memory", "vestige-traits"), 0);
        assert_eq!(between("vestige-mcp", "vestige-embed"), 1);
        assert_eq!(between("vestige-mcp", "vestige-memory"), 0);
        assert_eq!(between("vestige-conformance", "vestige-memory"), 1);
        assert_eq!(between("vestige-traits", "vestige-conformance"), 1);
        assert_eq!(between("vestige-cli", "vestige-conformance"), 1);
    }

    #[test]
    fn the_traits_alone_know_the_analysis_which_knows_no_store() {
        for (from, to, found) in [
            ("vestige-traits", "vestige-analysis", 0),
            ("vestige-analysis", "vestige-traits", 1),
            ("vestige-sqlite", "vestige-analysis", 1),
            ("vestige-cli", "vestige-analysis", 1),
            ("xtask", "vestige-analysis", 1),
        ] {
            assert_eq!(between(from, to), found, "{from} to {to}");
        }
        let built = ["serde", "vestige-analysis"].map(str::to_owned).into();
        assert_eq!(outside(&built, TRAITS_TREE).len(), 1, "without the feature");
    }

    #[test]
    fn a_runtime_below_the_traits_is_found() {
        let built = ["serde", "tokio"].map(str::to_owned).into();
        let found = outside(&built, TRAITS_TREE);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("tokio"));
    }

    #[test]
    fn a_driver_in_the_wrong_build_is_found() {
        let built = ["sqlx", "serde"].map(str::to_owned).into();
        assert_eq!(inside(&["--package=vestige-cli"], &built, &["sqlx", "pgvector"], "no").len(), 1);
    }
}
