//! `cargo xtask sqlx-prepare`: the cache of checked queries in `vestige-postgres/.sqlx`.
//!
//! sqlx's macros ask a live database about each query, and write what it said to the folder named
//! by `SQLX_OFFLINE_DIR`. That is all that `cargo sqlx prepare` is built on, so sqlx-cli is not
//! needed. Its `--check` only warns about files that no query needs any more; here they fail.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::pg::{Server, ServerArgs};
use crate::{process, project};

/// The arguments of `cargo xtask sqlx-prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Change nothing; fail where the cache is not what the queries need.
    #[arg(long)]
    pub check: bool,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Writes the cache, or checks it.
///
/// # Errors
///
/// Where no server can be had, the migrations or the queries fail, or the cache is stale.
#[allow(clippy::print_stdout, reason = "what changed is this command's result")]
pub fn run(args: &PrepareArgs) -> Result<()> {
    process::caught_signal()?;
    let committed = postgres_crate().join(".sqlx");
    let server = Server::start(&args.server)?;
    let described = Database::create(&server).and_then(|database| describe(&database));
    server.stop()?;
    let described = described?;
    let changes = changes(&read(&committed)?, &described);
    if !args.check {
        write(&committed, &described)?;
        println!("{} queries, {} changes", described.len(), changes.len());
        return Ok(());
    }
    if !changes.is_empty() {
        bail!(
            "vestige-postgres/.sqlx is stale:\n  {}\nrun `cargo xtask sqlx-prepare` and commit vestige-postgres/.sqlx",
            changes.join("\n  ")
        );
    }
    println!("vestige-postgres/.sqlx is what its {} queries need", described.len());
    Ok(())
}

/// Whether there is anything to prepare.
#[must_use]
pub fn is_there() -> bool {
    migrations().is_dir()
}

type Cache = BTreeMap<String, String>;

fn postgres_crate() -> PathBuf {
    project::root().join("vestige-postgres")
}

fn migrations() -> PathBuf {
    postgres_crate().join("migrations")
}

/// A database with the schema and nothing else: what the macros say about a query must not depend on data.
struct Database<'a> {
    server: &'a Server,
    name: String,
    tool: PathBuf,
}

impl<'a> Database<'a> {
    fn create(server: &'a Server) -> Result<Self> {
        let mut build = project::cargo();
        build.args(["build", "--quiet", "--package=xtask", "--features=migrate", "--bin=xtask-migrate"]);
        process::run_ok(&mut build)?;
        let database = Self {
            server,
            name: format!("vestige_sqlx_prepare_{}", std::process::id()),
            tool: project::target_dir()?.join("debug/xtask-migrate"),
        };
        process::output(database.tool("create").arg(migrations()))?;
        Ok(database)
    }

    fn tool(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.tool);
        command.args([verb, self.server.url(), &self.name]);
        command
    }

    /// The server's URL with this database in place of its own.
    fn url(&self) -> Result<String> {
        let (server, query) = match self.server.url().split_once('?') {
            Some((server, query)) => (server, format!("?{query}")),
            None => (self.server.url(), String::new()),
        };
        let (_, address) = server.split_once("://").context("the URL of PostgreSQL has no scheme")?;
        let host = server.len() - address.len();
        let end = address.find('/').map_or(server.len(), |slash| host + slash);
        Ok(format!("{}/{}{query}", &server[..end], self.name))
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A server that is started for this goes away whole; on another, the name says whose it is.
        let _ = self.tool("drop").output();
    }
}

/// Compiles every query against the database and returns what sqlx wrote about them.
fn describe(database: &Database<'_>) -> Result<Cache> {
    let fresh = project::target_dir()?.join("sqlx-prepare");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("cannot delete {}", fresh.display()))?;
    }
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    // The macros speak only while the crate compiles, and cargo does not know that the answer may differ.
    let root = postgres_crate().join("src/lib.rs");
    File::options()
        .append(true)
        .open(&root)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("cannot touch {}", root.display()))?;
    let mut check = project::cargo();
    check
        .args(["check", "--package=vestige-postgres", "--all-targets", "--all-features"])
        .env("VESTIGE_SQLX_DATABASE_URL", database.url()?)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &fresh);
    process::run_ok(&mut check).context("the queries of vestige-postgres do not compile")?;
    read(&fresh)
}

/// The files of a cache by name; none where the folder is not there.
fn read(folder: &Path) -> Result<Cache> {
    let mut cache = Cache::new();
    if !folder.is_dir() {
        return Ok(cache);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") && name.ends_with(".json") {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("cannot read {name}"))?;
            cache.insert(name, text);
        }
    }
    Ok(cache)
}

fn write(folder: &Path, cache: &Cache) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for stale in read(folder)?.keys().filter(|name| !cache.contains_key(*name)) {
        fs::remove_file(folder.join(stale)).with_context(|| format!("cannot delete {stale}"))?;
    }
    for (name, text) in cache {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

/// What differs, a line for each query.
fn changes(committed: &Cache, described: &Cache) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, text) in described {
        match committed.get(name) {
            None => changes.push(format!("not in the cache: {}", query(text))),
            Some(old) if old != text => changes.push(format!("described otherwise now: {}", query(text))),
            Some(_) => {}
        }
    }
    for (_, text) in committed.iter().filter(|(name, _)| !described.contains_key(*name)) {
        changes.push(format!("no query of the crate any more: {}", query(text)));
    }
    changes
}

/// The beginning of the query that a file of the cache is about, on one line.
fn query(text: &str) -> String {
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    let words: Vec<_> = parsed["query"].as_str().unwrap_or("?").split_whitespace().collect();
    words.join(" ").chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(queries: &[(&str, &str)]) -> Cache {
        queries
            .iter()
            .map(|(name, query)| ((*name).to_owned(), serde_json::json!({"query": query}).to_string()))
            .collect()
    }

    #[test]
    fn the_same_cache_has_no_changes() {
        let one = cache(&[("query-1.json", "SELECT 1")]);
        assert!(changes(&one, &one).is_empty());
    }

    #[test]
    fn new_changed_and_stale_queries_are_told_apart() {
        let committed = cache(&[("query-1.json", "SELECT 1"), ("query-2.json", "SELECT 2")]);
        let described = cache(&[("query-2.json", "SELECT\n  22"), ("query-3.json", "SELECT 3")]);
        assert_eq!(
            changes(&committed, &described),
            [
                "described otherwise now: SELECT 22",
                "not in the cache: SELECT 3",
                "no query of the crate any more: SELECT 1",
            ]
        );
    }
}
