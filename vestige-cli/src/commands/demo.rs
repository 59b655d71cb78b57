//! `vestige demo`.

use std::time::Instant;

use clap::Args;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vestige_cli::{ImportDefaults, ImportLine};
use vestige_memory::text::{labels, shortened};
use vestige_memory::{Link, Memory, Recall};
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, MemoryFilter, SearchResult};

use crate::app::App;
use crate::commands::search::contributions;
use crate::failure::{CommandResult, Failure};
use crate::importer::Importer;
use crate::models;
use crate::output::{BOLD, CYAN, DIM, GREEN, Output, Styled};
use crate::render::HitJson;

const MEMORIES: &str = include_str!("../../demo/memories.jsonl");
const LINKS: &str = include_str!("../../demo/links.jsonl");
const QUESTIONS: &str = include_str!("../../demo/questions.json");
/// How many hits of each question are shown.
const SHOWN: usize = 3;

/// Fill a temporary memory with a sample, and ask it seven questions
///
/// The sample is half a year of an invented engineer. Your own memory is not touched. Nothing is left on the
/// disk.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {}

#[derive(Deserialize)]
struct Question {
    query: String,
    /// What the question is to show.
    shows: String,
    /// The memories that answer it.
    expected: Vec<Uuid>,
    codebase: Option<String>,
}

#[derive(Deserialize)]
struct SampleLink {
    source: Uuid,
    target: Uuid,
    edge_type: String,
    weight: f64,
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    query: &'a str,
    codebase: Option<&'a str>,
    shows: &'a str,
    results: Vec<HitJson<'a>>,
}

struct Answer {
    question: Question,
    hits: Vec<SearchResult>,
}

pub(crate) async fn run(_: DemoArgs, app: &App, mut out: Output) -> CommandResult {
    let folder = tempfile::tempdir().map_err(Failure::io("cannot make a temporary folder"))?;
    // It is thrown away in a moment, so nothing is lost with the power.
    let store =
        SqliteMemoryStore::builder(folder.path().join("demo.db")).durability(Durability::Process).open()?;
    let memory = Memory::new(AnyMemoryStore::new(store), models::bundled());
    memory.register_model().await?;

    let began = Instant::now();
    let (memories, links) = fill(&memory, app).await?;
    let filled = began.elapsed();
    let began = Instant::now();
    let mut answers = Vec::new();
    for question in sample::<Vec<Question>>(QUESTIONS)? {
        let hits = ask(&memory, &question).await?;
        answers.push(Answer { question, hits });
    }
    let asked = began.elapsed();

    if out.json {
        let json = answers.iter().map(|Answer { question, hits }| AnswerJson {
            query: &question.query,
            codebase: question.codebase.as_deref(),
            shows: &question.shows,
            results: hits.iter().map(HitJson::from).collect(),
        });
        out.json_value(&json.collect::<Vec<_>>())?;
        return out.finish();
    }
    out.line(format_args!(
        "{memories} memories and {links} links of an invented engineer's half-year, taken in within {:.0} ms.",
        filled.as_secs_f64() * 1e3
    ))?;
    for answer in &answers {
        print(&mut out, answer)?;
    }
    out.line(format_args!(
        "\n{} questions answered within {:.0} ms. The temporary memory is gone again.\n",
        answers.len(),
        asked.as_secs_f64() * 1e3
    ))?;
    what_next(&mut out)?;
    out.finish()
}

/// The sample's memories and links.
async fn fill(memory: &Memory<AnyMemoryStore, AnyEmbedder>, app: &App) -> CommandResult<(u64, usize)> {
    let defaults = ImportDefaults::new(app.now());
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(MEMORIES.lines()) {
        let line = ImportLine::parse(line.as_bytes(), &defaults)
            .map_err(|reason| Failure::message(format!("the sample, line {number}: {reason}")))?;
        lines.extend(line.map(|line| (number, line)));
    }
    let mut importer = Importer::new(memory, "the sample");
    importer.store(lines).await?;

    let mut links = 0;
    for line in LINKS.lines() {
        let SampleLink { source, target, edge_type, weight } = sample(line)?;
        memory.link(Link::new(source, target).edge_type(edge_type).weight(weight)).await?;
        links += 1;
    }
    Ok((importer.totals.stored, links))
}

fn sample<'t, T: Deserialize<'t>>(text: &'t str) -> CommandResult<T> {
    serde_json::from_str(text).map_err(|error| Failure::message(format!("the sample: {error}")))
}

async fn ask(
    memory: &Memory<AnyMemoryStore, AnyEmbedder>,
    question: &Question,
) -> CommandResult<Vec<SearchResult>> {
    let filter = MemoryFilter::new().codebases(question.codebase.iter().cloned());
    Ok(memory.recall(Recall::new(&question.query).limit(SHOWN).filter(filter)).await?)
}

fn print(out: &mut Output, Answer { question, hits }: &Answer) -> CommandResult {
    let filter = question.codebase.as_ref().map(|name| format!(" --codebase {name}")).unwrap_or_default();
    let command = format!("vestige search '{}'{filter}", question.query);
    out.line(format_args!("\n{} {}", Styled(GREEN, "$"), Styled(BOLD, command)))?;
    out.line(format_args!("  {}", Styled(DIM, &question.shows)))?;
    for (at, hit) in hits.iter().enumerate() {
        let mark = if question.expected.contains(&hit.record.id) { "✓" } else { " " };
        out.line(format_args!(
            "{} {}. {}\n     {}\n     {}",
            Styled(GREEN, mark),
            at + 1,
            shortened(&hit.record.content, 150),
            Styled(DIM, labels(&hit.record)),
            contributions(hit)
        ))?;
    }
    Ok(())
}

fn what_next(out: &mut Output) -> CommandResult {
    out.line(Styled(BOLD, "Now your own:"))?;
    for (command, what) in [
        ("vestige add 'Deploys are frozen on Fridays after noon.' --type decision", "remember something"),
        ("vestige search when may I deploy", "find it again, in other words"),
        ("vestige import memories.jsonl", "remember many at once"),
        ("vestige help", "everything else"),
    ] {
        out.line(format_args!("  {}  {}", Styled(CYAN, format_args!("{command:<74}")), Styled(DIM, what)))?;
    }
    Ok(())
}
