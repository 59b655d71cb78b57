//! Measures how well a store finds the memories that answer questions.

mod arms;
mod report;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use vestige_bench::agreement::{Agreement, Ranking};
use vestige_bench::conversation::Sessions;
use vestige_bench::data::{Half, Question, SetMemory, read_lines};
use vestige_bench::lengths::{AnswersIn, Lengths, SizedSet};
use vestige_bench::longmemeval;
use vestige_bench::metrics::Difference;
use vestige_bench::subject::{Backend, model};
use vestige_traits::{Fusion, FusionMethod, SearchMode};

use crate::arms::{Arm, Ground};
use crate::report::Report;

/// Searches each question within its own scope and compares what is found with the true answers.
#[derive(Parser)]
struct Args {
    /// The memories: JSON lines with `id`, `scope`, `content` and, where there are conversations, `session`
    /// and `said_at`.
    #[arg(long, required_unless_present = "longmemeval")]
    memories: Option<PathBuf>,
    /// The questions: JSON lines with `id`, `scope`, `query`, `relevant` and, where there is one, `category`.
    #[arg(long, required_unless_present = "longmemeval")]
    queries: Option<PathBuf>,
    /// Memories and questions in the file of LongMemEval (S, M or oracle) instead: a turn is a memory, and
    /// the sessions of a question are its scope.
    #[arg(long, conflicts_with_all = ["memories", "queries"])]
    longmemeval: Option<PathBuf>,
    /// How long the memories are: as the set has them, or joined by their `session`.
    #[arg(long, default_value = "own")]
    lengths: Lengths,
    /// Writes the set that `--lengths` makes into this folder, as `memories.jsonl` and `queries.jsonl`.
    #[arg(long)]
    write_set: Option<PathBuf>,
    /// How the memories stand in sessions, by their `session` and `said_at`.
    #[arg(long, default_value = "own")]
    sessions: Sessions,
    /// Whether memories of the times that a question names are favoured. A question is asked at its
    /// `asked_at`, else when the last memory of its scope was said; of a set without times nothing is read.
    #[arg(long, default_value = "on")]
    dates: Dates,
    /// The backend to measure.
    #[arg(long, default_value = "sqlite")]
    store: Backend,
    /// An empty database, for `--store postgres`.
    #[arg(long, env = "VESTIGE_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// Which legs of the search to run: hybrid, keyword or vector.
    #[arg(long, default_value = "hybrid")]
    mode: SearchMode,
    /// Counts, too, an answer that stands up to so many places before or after one of the first ten in its
    /// session, 0 to 20. 0: is not asked.
    #[arg(long, default_value_t = 0)]
    context: usize,
    /// What else to ask the same questions, separated by commas.
    #[arg(long, value_delimiter = ',')]
    beside: Vec<Arm>,
    /// Asks half of the questions only, by a hash of their ids: what is tuned on one is reported on the
    /// other.
    #[arg(long)]
    split: Option<Half>,
    /// The embedding model: `bundled`.
    #[arg(long, default_value = "bundled")]
    model: String,
    /// Writes the ranked ids of every question here, as JSON lines.
    #[arg(long)]
    run: Option<PathBuf>,
    /// Compares the rankings with those that an earlier `--run` wrote here.
    #[arg(long)]
    against: Option<PathBuf>,
    /// What the fusion goes by.
    #[arg(long, default_value = "relative-score")]
    fusion: Method,
    /// What the keyword leg counts in the fusion.
    #[arg(long, default_value_t = Fusion::default().keyword_weight)]
    keyword_weight: f64,
    /// What the vector leg counts in the fusion.
    #[arg(long, default_value_t = Fusion::default().vector_weight)]
    vector_weight: f64,
    /// The k of the fusion by ranks.
    #[arg(long, default_value_t = Fusion::default().k)]
    k: f64,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dates {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    RelativeScore,
    ReciprocalRank,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let (memories, questions): (Vec<SetMemory>, Vec<Question>) = match &args {
        Args { longmemeval: Some(path), .. } => longmemeval::read(path)?,
        Args { memories: Some(memories), queries: Some(queries), .. } => {
            (read_lines(memories)?, read_lines(queries)?)
        }
        _ => bail!("give --memories and --queries, or --longmemeval"),
    };
    let mut set = SizedSet::new(memories, questions, args.lengths)?;
    if let Some(folder) = &args.write_set {
        set.write(folder)?;
    }
    set.questions.retain(|question| args.split.is_none_or(|half| half.holds(&question.id)));
    ensure!(!set.questions.is_empty(), "there are no questions");
    let fusion = Fusion::new()
        .method(match args.fusion {
            Method::RelativeScore => FusionMethod::RelativeScore,
            Method::ReciprocalRank => FusionMethod::ReciprocalRank,
        })
        .k(args.k)
        .keyword_weight(args.keyword_weight)
        .vector_weight(args.vector_weight)
        .depth(0);
    let ground = Ground::prepare(
        (&set.memories, args.sessions),
        &set.questions,
        (args.store, args.postgres_url.as_deref()),
        model(&args.model)?,
        (fusion, args.dates == Dates::On),
        args.context,
    )
    .await?;

    let outcome = ground.ask(Arm::from(args.mode)).await?;
    if let Some(path) = &args.run {
        write(path, &outcome.rankings)?;
    }
    let mut report = Report::new(&set, &outcome);
    #[cfg(feature = "postgres")]
    if args.store == Backend::Postgres && args.mode == SearchMode::Keyword {
        report.beside("ts_rank_cd", &ground.ask(Arm::TsRankCd).await?);
    }
    for arm in args.beside {
        report.beside(arm.name(), &ground.ask(arm).await?);
    }
    if let Some(path) = &args.against {
        let other: Vec<Ranking> = read_lines(path)?;
        let of = |questions: Vec<&Question>| Difference::of(questions, &outcome.rankings, &other);
        let mut differences = vec![("all", of(set.questions.iter().collect()))];
        if set.has_joined() {
            for (name, place) in
                [("answers in short", AnswersIn::Short), ("answers in long", AnswersIn::Long)]
            {
                let there = set.questions.iter().filter(|question| set.answers_in(question) == place);
                differences.push((name, of(there.collect())));
            }
        }
        report.against(Agreement::of(&outcome.rankings, &other), differences);
    }
    report.print(args.json)
}

fn write(path: &Path, rankings: &[Ranking]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut run = BufWriter::new(file);
    for ranking in rankings {
        writeln!(run, "{}", serde_json::to_string(ranking)?)?;
    }
    run.flush()?;
    Ok(())
}
