//! `cargo xtask sbom`: which packages the `vestige` command is made of, as CycloneDX 1.6.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::project;

/// The package of the command that users install.
const COMMAND: &str = "vestige-cli";

/// The arguments of `cargo xtask sbom`.
#[derive(Debug, Args)]
pub struct SbomArgs {
    /// Where it is written; standard output if this is not given.
    #[arg(long)]
    pub output: Option<PathBuf>,
}

/// Writes the software bill of materials of the command with all its features, on every platform: what is
/// linked into it and what builds it. Packages for tests alone are not in it. The same sources give the same
/// bytes.
///
/// # Errors
///
/// Where `cargo metadata` fails, or the file cannot be written.
#[allow(clippy::print_stdout, reason = "without --output this is the command's result")]
pub fn run(args: &SbomArgs) -> Result<()> {
    let metadata = project::metadata(&["--locked", "--all-features"])?;
    let lock = fs::read_to_string(project::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let sbom = format!("{:#}\n", bill(&metadata, &checksums(&lock))?);
    match &args.output {
        None => print!("{sbom}"),
        Some(path) => fs::write(path, sbom).with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(())
}

/// The document: <https://cyclonedx.org/docs/1.6/json/>.
fn bill(metadata: &Value, checksums: &BTreeMap<(&str, &str), &str>) -> Result<Value> {
    let list = |value: &Value| value.as_array().cloned().context("cargo metadata lacks a list");
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"])?.into_iter().map(|package| (text(&package["id"]), package)).collect();
    let needs: BTreeMap<String, BTreeSet<String>> =
        list(&metadata["resolve"]["nodes"])?.iter().map(|node| (text(&node["id"]), needed(node))).collect();
    let command = packages
        .iter()
        .find_map(|(id, package)| (package["name"] == COMMAND).then_some(id))
        .with_context(|| format!("the workspace has no package {COMMAND}"))?;

    let mut reached = BTreeSet::from([command]);
    let mut open = vec![command];
    while let Some(id) = open.pop() {
        open.extend(needs[id].iter().filter(|needed| reached.insert(needed)));
    }
    let purl =
        |id: &String| format!("pkg:cargo/{}@{}", text(&packages[id]["name"]), text(&packages[id]["version"]));
    let component = |id: &String, kind: &str| {
        let package = &packages[id];
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let mut component =
            json!({ "type": kind, "bom-ref": purl(id), "name": name, "version": version, "purl": purl(id) });
        if let Some(licence) = package["license"].as_str() {
            // Old manifests have a slash where SPDX has the word.
            component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
        }
        if let Some(checksum) = checksums.get(&(name.as_str(), version.as_str())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    let others = reached.iter().filter(|id| **id != command);
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(command, "application") },
        "components": others.map(|id| component(id, "library")).collect::<Vec<_>>(),
        "dependencies": reached
            .iter()
            .map(|id| json!({ "ref": purl(id), "dependsOn": needs[*id].iter().map(purl).collect::<Vec<_>>() }))
            .collect::<Vec<_>>(),
    }))
}

/// What a package needs, but for its tests.
fn needed(node: &Value) -> BTreeSet<String> {
    let is_for_tests = |dependency: &&Value| {
        dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind["kind"] == "dev"))
    };
    let dependencies = node["deps"].as_array().into_iter().flatten();
    dependencies.filter(|dependency| !is_for_tests(dependency)).map(|found| text(&found["pkg"])).collect()
}

/// The checksum of each package by name and version: the SHA-256 of what the registry gives out.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let value = |package: &'_ str, key: &str| -> Option<(usize, usize)> {
        let from = package.find(&format!("\n{key} = \""))? + key.len() + 5;
        Some((from, from + package[from..].find('"')?))
    };
    lock.split("[[package]]")
        .filter_map(|package| {
            let of = |key| value(package, key).map(|(from, to)| &package[from..to]);
            Some(((of("name")?, of("version")?), of("checksum")?))
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_listed_with_all_it_is_made_of() {
        let metadata = project::metadata(&["--locked", "--all-features"]).unwrap();
        let lock = fs::read_to_string(project::root().join("Cargo.lock")).unwrap();
        let bill = bill(&metadata, &checksums(&lock)).unwrap();
        assert_eq!(bill["metadata"]["component"]["name"], COMMAND);
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        let rusqlite = named("rusqlite").unwrap();
        assert_eq!(rusqlite["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert_eq!(rusqlite["licenses"][0]["expression"], "MIT");
        assert!(named("vestige-traits").unwrap().get("hashes").is_none(), "it is of no registry");
        assert!(named("criterion").is_none(), "benches are not shipped");
        let listed = bill["dependencies"].as_array().unwrap();
        let refs: BTreeSet<_> = listed.iter().map(|entry| text(&entry["ref"])).collect();
        assert_eq!(refs.len(), components.len() + 1);
        let needed = listed.iter().flat_map(|entry| entry["dependsOn"].as_array().unwrap());
        assert!(needed.map(text).all(|needed| refs.contains(&needed)));
    }

    #[test]
    fn tests_alone_need_nothing_that_ships() {
        let kinds = |kinds: Value| json!({ "pkg": "p", "dep_kinds": kinds });
        let node = |found: Value| json!({ "deps": [found] });
        assert!(needed(&node(kinds(json!([{ "kind": "dev" }])))).is_empty());
        assert_eq!(needed(&node(kinds(json!([{ "kind": "dev" }, { "kind": null }])))).len(), 1);
        assert_eq!(needed(&node(kinds(json!([{ "kind": "build" }])))).len(), 1);
    }
}
