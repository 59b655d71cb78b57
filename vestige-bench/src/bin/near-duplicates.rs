//! How often `remember` reports restatements and corrections, and how often other statements, by language.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use vestige_embed::StaticEmbedder;
use vestige_memory::{Memory, NewMemory, RememberOptions};
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::Embedder;
use vestige_traits::backend::cosine_similarity;

/// Counts the reported pairs of a set, with the bundled model on SQLite.
#[derive(Parser)]
struct Args {
    /// A JSON file: `unrelated` has texts by language; the other keys have pairs.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../vestige-memory/tests/data/near-duplicates.json"))]
    set: PathBuf,
    /// From which cosine similarity on the arm of cosines alone reports a pair.
    #[arg(long, default_value_t = 0.95)]
    cosine: f64,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

type Pairs = BTreeMap<String, Vec<(String, String)>>;

#[derive(Deserialize)]
struct Set {
    unrelated: BTreeMap<String, Vec<String>>,
    restated: Pairs,
    corrected: Pairs,
    other: Pairs,
    same_frame: Pairs,
}

/// What became of the pairs or statements of a language.
#[derive(Default, Serialize)]
struct Counts {
    total: usize,
    /// By the cosine similarity alone.
    by_cosine: usize,
    reported: usize,
    /// Of the second, fourth and so on, on which no threshold was chosen.
    total_held_out: usize,
    reported_held_out: usize,
}

#[derive(Serialize)]
struct Report {
    /// The share that the model knows of the median statement.
    known: BTreeMap<String, f64>,
    /// Statements that are refused because of another one, of any language.
    unrelated: BTreeMap<String, Counts>,
    restated: BTreeMap<String, Counts>,
    corrected: BTreeMap<String, Counts>,
    other: BTreeMap<String, Counts>,
    /// Two facts in the same words but for what they are about.
    same_frame: BTreeMap<String, Counts>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let set = read(&args.set)?;
    let bench = Bench { model: StaticEmbedder::bundled(), cosine: args.cosine };
    let report = Report {
        known: set.unrelated.iter().map(|(language, texts)| (language.clone(), bench.known(texts))).collect(),
        unrelated: bench.unrelated(&set.unrelated).await?,
        restated: bench.pairs(&set.restated).await?,
        corrected: bench.pairs(&set.corrected).await?,
        other: bench.pairs(&set.other).await?,
        same_frame: bench.pairs(&set.same_frame).await?,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(());
    }
    report.print(&mut out).context("cannot write")
}

fn read(path: &Path) -> Result<Set> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file)).with_context(|| format!("cannot read {}", path.display()))
}

struct Bench {
    model: StaticEmbedder,
    cosine: f64,
}

impl Bench {
    fn known(&self, texts: &[String]) -> f64 {
        let mut shares: Vec<f64> = texts.iter().map(|text| self.model.known_share(text)).collect();
        shares.sort_by(f64::total_cmp);
        shares.get(shares.len() / 2).copied().unwrap_or_default()
    }

    fn is_near_by_cosine(&self, one: &str, other: &str) -> bool {
        let vectors = (self.model.embed(one), self.model.embed(other));
        matches!(vectors, (Some(a), Some(b)) if cosine_similarity(&a, &b) >= self.cosine)
    }

    /// Remembers all statements of all languages, first in one call and then one by one: every one is
    /// compared with every one before it, as a text of the call and as a memory.
    async fn unrelated(&self, texts: &BTreeMap<String, Vec<String>>) -> Result<BTreeMap<String, Counts>> {
        let (at_once, one_by_one) = (self.memory()?, self.memory()?);
        let all: Vec<&String> = texts.values().flatten().collect();
        let outcomes = at_once.0.remember_all(all.iter().map(|text| text.as_str()), RememberOptions::new());
        let mut outcomes = outcomes.await?.into_iter();
        let mut kept: Vec<&str> = Vec::new();
        let mut counts = BTreeMap::new();
        for (language, texts) in texts {
            let mut of_language = Counts::default();
            for (at, text) in texts.iter().enumerate() {
                let refused = outcomes.next().is_some_and(|outcome| !outcome.stored);
                let refused_alone = !one_by_one.0.remember(text.as_str()).await?.stored;
                let by_cosine = kept.iter().any(|other| self.is_near_by_cosine(text, other));
                if !by_cosine {
                    kept.push(text);
                }
                of_language.add(at, by_cosine, refused || refused_alone);
            }
            counts.insert(language.clone(), of_language);
        }
        Ok(counts)
    }

    /// Remembers the pairs, each in a code base of its own, in one store for each language.
    async fn pairs(&self, pairs: &Pairs) -> Result<BTreeMap<String, Counts>> {
        let mut counts = BTreeMap::new();
        for (language, pairs) in pairs {
            let memory = self.memory()?;
            let mut of_language = Counts::default();
            for (at, (known, new)) in pairs.iter().enumerate() {
                let place = |text: &str| NewMemory::new(text).codebase(format!("pair {at}"));
                memory.0.remember(place(known)).await?;
                let reported = memory.0.remember(place(new)).await?.near_duplicate.is_some();
                of_language.add(at, self.is_near_by_cosine(known, new), reported);
            }
            counts.insert(language.clone(), of_language);
        }
        Ok(counts)
    }

    fn memory(&self) -> Result<(Memory<SqliteMemoryStore, StaticEmbedder>, TempDir)> {
        let folder = tempfile::tempdir()?;
        let store = SqliteMemoryStore::new(folder.path().join("m.db"))?;
        Ok((Memory::new(store, self.model), folder))
    }
}

impl Counts {
    fn add(&mut self, at: usize, by_cosine: bool, reported: bool) {
        let held_out = at % 2 == 1;
        self.total += 1;
        self.by_cosine += usize::from(by_cosine);
        self.reported += usize::from(reported);
        self.total_held_out += usize::from(held_out);
        self.reported_held_out += usize::from(held_out && reported);
    }
}

impl Report {
    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "| language | known | unrelated refused, by cosine alone | now |")?;
        writeln!(out, "|---|---|---|---|")?;
        for (language, counts) in &self.unrelated {
            let known = self.known.get(language).copied().unwrap_or_default();
            let Counts { total, by_cosine, reported, .. } = counts;
            writeln!(out, "| {language} | {known:.2} | {by_cosine} of {total} | {reported} |")?;
        }
        writeln!(out, "\n| language | pairs | by cosine alone | now | of the half held out |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for (kind, languages) in [
            ("restated", &self.restated),
            ("corrected", &self.corrected),
            ("other", &self.other),
            ("same frame", &self.same_frame),
        ] {
            for (language, counts) in languages {
                let Counts { total, by_cosine, reported, total_held_out, reported_held_out } = counts;
                writeln!(
                    out,
                    "| {language} | {kind} | {by_cosine} of {total} | {reported} | {reported_held_out} of {total_held_out} |"
                )?;
            }
        }
        Ok(())
    }
}
