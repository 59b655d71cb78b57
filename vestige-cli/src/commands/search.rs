//! `vestige search`.

use clap::Args;
use serde::Serialize;
use vestige_memory::dates::Mention;
use vestige_memory::text::{labels, one_line, shortened};
use vestige_memory::{Nearby, Recall, ResultInContext};
use vestige_traits::analysis::WebQuery;
use vestige_traits::plan::SearchPlan;
use vestige_traits::{AnyMemoryStore, MemoryStore, SearchMode, SearchQuery, SearchResult, limits};

use crate::app::App;
use crate::args::{self, FilterArgs};
use crate::failure::CommandResult;
use crate::output::{BOLD, CYAN, DIM, Output, Styled, note};
use crate::render::{HitJson, indented, indented_by, matching};

/// Find memories by words and by meaning
///
/// Any word may match; rare words count for more. "a phrase" must occur, and -word must not, in every mode.
/// Memories of a time that the question names ("last week", "in May 2023", "2023-05-08") are favoured.
/// Write `--` before a question that begins with a dash.
#[derive(Args, Debug)]
#[command(
    after_help = "With --json: an array of {id, score, fts_score, vector_score, content, node_type, tags, codebase,
created_at, metadata}, of a long content also `passage`: {start, end}, the characters that match best, and `session` where
it is part of one; with --context too: `before` and `after`, arrays of
{result, id, content, node_type, tags, codebase, created_at, metadata}, `result` being the number of the result that it
is; with --explain too: an object of `results`, each with its ranks, `plan`, and `dates`, an array of {words, first, last},
the first and the last day of each time that the question names.

Examples:
  vestige search when may I deploy
  vestige search 'flaky \"connection pool\" -windows' --codebase tidewater --since 30d
  vestige search who has the key --context 2
  vestige search PLK-4031 --mode keyword --json | jq -r '.[0].content'"
)]
pub(crate) struct SearchArgs {
    /// The question. Several arguments are one question. `-` reads it from stdin
    #[arg(required = true)]
    query: Vec<String>,

    /// The most results, up to 1000
    #[arg(short = 'n', long, value_name = "N", default_value_t = limits::DEFAULT_LIMIT)]
    limit: usize,

    /// Search by words and meaning, by words alone, or by meaning alone
    #[arg(short = 'M', long, value_parser = args::search_mode(), default_value_t = SearchMode::Hybrid)]
    mode: SearchMode,

    #[command(flatten)]
    filter: FilterArgs,

    /// Show what was said just before and after each result in its session: N memories on each side, up to 20
    #[arg(short = 'C', long, value_name = "N", default_value_t = 0)]
    context: usize,

    /// Rank each memory by itself alone, and not also by what stands beside it in its session
    #[arg(long)]
    no_sessions: bool,

    /// Do not favour memories of a time that the question names, such as "last week" or "in May 2023"
    #[arg(long)]
    no_dates: bool,

    /// Show what each leg contributed to a result, and how the search ran
    #[arg(short, long)]
    explain: bool,

    /// Show complete texts
    #[arg(long)]
    full: bool,
}

#[derive(Serialize)]
struct ExplainedJson<'a> {
    results: Vec<ExplainedHit<'a>>,
    plan: &'a SearchPlan,
    dates: Vec<DateJson>,
}

/// A time that the question names.
#[derive(Serialize)]
struct DateJson {
    words: String,
    first: String,
    last: String,
    /// Both days.
    #[serde(skip)]
    days: String,
}

#[derive(Serialize)]
struct ExplainedHit<'a> {
    #[serde(flatten)]
    hit: HitJson<'a>,
    fts_rank: Option<u32>,
    vector_rank: Option<u32>,
}

pub(crate) async fn run(args: SearchArgs, app: &App, mut out: Output) -> CommandResult {
    let text = args::text_or_stdin(Some(args.query.join(" ")), "question").await?;
    let embedded = args.mode.ranks_by_vector() && WebQuery::meaning(&text).is_some();
    let mut question = Recall::new(text.as_str())
        .mode(args.mode)
        .limit(args.limit)
        .filter(args.filter.filter(app.now())?)
        .sessions(!args.no_sessions)
        .dates(!args.no_dates);
    // Before a store is made for it.
    question.validate()?;
    question.check_context(args.context)?;
    if args.limit == 0 {
        question = question.limit(limits::DEFAULT_LIMIT);
    }
    let terms = question.terms();
    let memory = app.memory_to_ask(embedded).await?;
    let dates = dates(&text, &memory.dates(&question));
    let query = memory.search_query(question).await?;
    let store = memory.store();
    let hits = memory.in_context(store.search(&query).await?, args.context).await?;
    let plan = if args.explain { Some(store.explain_search(&query).await?) } else { None };
    let for_people = !out.json;
    match &plan {
        Some(plan) if out.json => {
            let results = hits.iter().map(|hit| ExplainedHit {
                hit: json(hit, args.context),
                fts_rank: hit.result.fts_rank,
                vector_rank: hit.result.vector_rank,
            });
            out.json_value(&ExplainedJson { results: results.collect(), plan, dates })?;
        }
        None if out.json => {
            out.json_value(&hits.iter().map(|hit| json(hit, args.context)).collect::<Vec<_>>())?;
        }
        plan => {
            for (at, hit) in hits.iter().enumerate() {
                print_hit(&mut out, at + 1, &hit.result, args.full, plan.is_some())?;
                print_context(&mut out, hit, args.full)?;
            }
            if let Some(plan) = plan {
                print_plan(&mut out, plan, &dates)?;
            }
        }
    }
    out.finish()?;
    if terms > limits::MAX_QUERY_TERMS {
        note(&format!(
            "of the {terms} terms of the question only the {} rarest counted",
            limits::MAX_QUERY_TERMS
        ));
    }
    if for_people && !args.full && hits.iter().any(|hit| hit.result.passage.is_some()) {
        note("`vestige get ID` shows a whole text, and a part of it with --start and --end");
    }
    if hits.is_empty() {
        say_why_nothing(store, &query, embedded).await?;
    }
    Ok(())
}

/// Said of `-word` without anything else: in no mode does it find anything.
const ONLY_EXCLUDES: &str = "the question only excludes; say what to look for too";

/// Says why nothing was found. `embedded` is whether something of the question was to be embedded.
async fn say_why_nothing(store: &AnyMemoryStore, query: &SearchQuery, embedded: bool) -> CommandResult {
    let why_no_vector = match embedded {
        _ if !query.mode.ranks_by_vector() || query.embedding.is_some() => None,
        true => Some("the model knows no word of the question"),
        false => Some(ONLY_EXCLUDES),
    };
    let read = query.text.as_deref().map(WebQuery::parse).unwrap_or_default();
    let asks_nothing = read.is_empty() || !query.mode.ranks_by_words();
    let excludes = read.is_empty() && !read.excluded.is_empty();
    let reason = match why_no_vector {
        _ if store.count().await? == 0 => "the memory is empty; `vestige add` or `vestige import` fills it",
        _ if query.text.as_deref().is_some_and(|text| text.trim().is_empty()) => "the question is empty",
        Some(reason) if asks_nothing => reason,
        None if excludes => ONLY_EXCLUDES,
        _ if !query.filter.is_empty() => "nothing found; the filters may be too narrow",
        _ => "nothing found",
    };
    note(reason);
    Ok(())
}

fn print_hit(
    out: &mut Output,
    number: usize,
    hit: &SearchResult,
    full: bool,
    explain: bool,
) -> CommandResult {
    let record = &hit.record;
    out.line(format_args!(
        "{} {}  {}  {}",
        Styled(BOLD, format_args!("{number:>2}.")),
        Styled(CYAN, record.id),
        Styled(DIM, format_args!("{:.4}", hit.score)),
        Styled(DIM, labels(record))
    ))?;
    if full {
        out.line(indented(&record.content))?;
    } else {
        out.line(matching(hit))?;
    }
    if explain {
        out.line(format_args!("    {}", contributions(hit)))?;
    }
    Ok(())
}

fn json(hit: &ResultInContext, context: usize) -> HitJson<'_> {
    if context == 0 { HitJson::from(&hit.result) } else { HitJson::in_context(hit) }
}

/// What stands around a hit, each with how far away it is. These lines begin two spaces in, and those of a
/// text further in, so that no text can pass for them.
fn print_context(out: &mut Output, hit: &ResultInContext, full: bool) -> CommandResult {
    let before = (1..=hit.before.len()).rev().zip(&hit.before).map(|(far, near)| (far, "before", near));
    let after = (1..).zip(&hit.after).map(|(far, near)| (far, "after", near));
    for (far, side, Nearby { record, result }) in before.chain(after) {
        let place = Styled(DIM, format_args!("{far} {side}"));
        if let Some(result) = result {
            out.line(format_args!("  - {place}: result {result}"))?;
            continue;
        }
        let labels = Styled(DIM, labels(record));
        out.line(format_args!("  - {place}: {}  {labels}", Styled(CYAN, record.id)))?;
        if full {
            out.line(indented_by(6, &record.content))?;
        } else {
            out.line(format_args!("      {}", shortened(&record.content, 300)))?;
        }
    }
    Ok(())
}

/// What each leg had to say about a hit.
pub(crate) fn contributions(hit: &SearchResult) -> String {
    if hit.fts_rank.is_none() && hit.vector_rank.is_none() {
        return Styled(BOLD, "beside another result in its session").to_string();
    }
    let leg = |name: &str, unit: &str, rank: Option<u32>, score: Option<f64>| match (rank, score) {
        (Some(rank), Some(score)) => format!("{name} rank {rank}, {unit} {score:.3}"),
        _ => format!("{name} –"),
    };
    let words = leg("words", "BM25", hit.fts_rank, hit.fts_score);
    let meaning = leg("meaning", "cosine", hit.vector_rank, hit.vector_score);
    format!("{} · {}", Styled(BOLD, words), Styled(BOLD, meaning))
}

fn print_plan(out: &mut Output, plan: &SearchPlan, dates: &[DateJson]) -> CommandResult {
    out.line("")?;
    for step in &plan.steps {
        let stage = format_args!("{:<8}", one_line(&step.stage));
        out.line(format_args!("{} {}", Styled(BOLD, stage), one_line(&step.method)))?;
        if step.stage == "dates" {
            // A store knows the times alone, and not the words for them.
            for DateJson { words, days, .. } in dates {
                out.line(format_args!("{:<8} {words}: {days}", ""))?;
            }
        }
    }
    Ok(())
}

/// The times that a question names, with the words for each.
fn dates(text: &str, read: &[Mention]) -> Vec<DateJson> {
    let date = |one: &Mention| DateJson {
        words: shortened(&text[one.range.clone()], 100),
        first: one.first.to_string(),
        last: one.last.to_string(),
        days: one.to_string(),
    };
    read.iter().map(date).collect()
}
