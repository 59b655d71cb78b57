//! Measures how well a store finds the memories that answer questions.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use uuid::Uuid;
use vestige_bench::agreement::{Agreement, Ranking};
use vestige_bench::data::{Question, SetMemory, read_lines, record_id};
use vestige_bench::metrics::{Scores, Summary, summarize};
use vestige_bench::subject::{Backend, Subject, model};
use vestige_traits::{AnyEmbedder, Embedder, EmbedderError, Fusion, MemoryFilter, MemoryStore, SearchQuery};

/// Searches each question within its own scope and compares what is found with the true answers.
#[derive(Parser)]
struct Args {
    /// The memories: JSON lines with `id`, `scope`, `content`.
    #[arg(long)]
    memories: PathBuf,
    /// The questions: JSON lines with `id`, `scope`, `query`, `relevant`.
    #[arg(long)]
    queries: PathBuf,
    /// The backend to measure.
    #[arg(long, default_value = "sqlite")]
    store: Backend,
    /// An empty database, for `--store postgres`.
    #[arg(long, env = "VESTIGE_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// Which legs of the search to run.
    #[arg(long, default_value = "hybrid")]
    mode: Mode,
    /// The embedding model: `bundled`.
    #[arg(long, default_value = "bundled")]
    model: String,
    /// Writes the ranked ids of every question here, as JSON lines.
    #[arg(long)]
    run: Option<PathBuf>,
    /// Compares the rankings with those that an earlier `--run` wrote here.
    #[arg(long)]
    against: Option<PathBuf>,
    /// What the keyword leg counts in the fusion.
    #[arg(long, default_value_t = Fusion::default().keyword_weight)]
    keyword_weight: f64,
    /// What the vector leg counts in the fusion.
    #[arg(long, default_value_t = Fusion::default().vector_weight)]
    vector_weight: f64,
    /// The fusion's k.
    #[arg(long, default_value_t = Fusion::default().k)]
    k: f64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Keyword,
    Vector,
    Hybrid,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let memories: Vec<SetMemory> = read_lines(&args.memories)?;
    let questions: Vec<Question> = read_lines(&args.queries)?;
    let model = model(&args.model)?;
    let subject = Subject::open(args.store, args.postgres_url.as_deref()).await?;
    subject.fill(memories.iter().map(SetMemory::to_record).collect(), &model).await?;
    let names: HashMap<Uuid, &str> =
        memories.iter().map(|memory| (record_id(&memory.id, &memory.content), memory.id.as_str())).collect();

    let mut run = match &args.run {
        None => None,
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            Some(BufWriter::new(file))
        }
    };
    let (mut scores, mut times, mut rankings) = (Vec::new(), Vec::new(), Vec::new());
    for question in &questions {
        let started = Instant::now();
        let query = query(question, &args, &model).await?;
        let found = match args.mode {
            Mode::Keyword => subject.store.fts_search(&query).await,
            Mode::Vector => subject.store.vector_search(&query).await,
            Mode::Hybrid => subject.store.search(&query).await,
        };
        let found = found.with_context(|| format!("question {}", question.id))?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        let ranking: Vec<&str> = found.iter().map(|hit| names[&hit.record.id]).collect();
        scores.push(Scores::of(&ranking, &question.relevant));
        if let Some(run) = &mut run {
            writeln!(run, "{}", serde_json::to_string(&Ranking::new(&question.id, &ranking))?)?;
        }
        rankings.push(Ranking::new(&question.id, &ranking));
    }
    if let Some(mut run) = run {
        run.flush()?;
    }
    let summaries = BTreeMap::from([("vestige", summarize(&scores, times))]);
    #[cfg(feature = "postgres")]
    let summaries = beside_ts_rank(summaries, &args, &questions, &names).await?;
    let agreement = match &args.against {
        Some(path) => Some(Agreement::of(&rankings, &read_lines(path)?)),
        None => None,
    };
    print(&summaries, agreement, args.json)
}

/// Adds what PostgreSQL's own ranking of the same words gives, where both can be asked.
#[cfg(feature = "postgres")]
async fn beside_ts_rank(
    mut summaries: BTreeMap<&'static str, Summary>,
    args: &Args,
    questions: &[Question],
    names: &HashMap<Uuid, &str>,
) -> Result<BTreeMap<&'static str, Summary>> {
    if let (Backend::Postgres, Mode::Keyword, Some(url)) = (args.store, args.mode, &args.postgres_url) {
        summaries.insert("ts_rank_cd", vestige_bench::ts_rank::run(url, questions, names).await?);
    }
    Ok(summaries)
}

async fn query(question: &Question, args: &Args, model: &AnyEmbedder) -> Result<SearchQuery> {
    let embedding = match args.mode {
        Mode::Keyword => None,
        Mode::Vector | Mode::Hybrid => match model.embed_query(&question.query).await {
            Ok(vector) => Some(vector),
            Err(EmbedderError::NothingToEmbed { .. }) => None,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(SearchQuery {
        text: (args.mode != Mode::Vector).then(|| question.query.clone()),
        embedding,
        filter: MemoryFilter { codebases: vec![question.scope.clone()], ..MemoryFilter::default() },
        limit: 10,
        fusion: Fusion {
            k: args.k,
            keyword_weight: args.keyword_weight,
            vector_weight: args.vector_weight,
            depth: 0,
        },
    })
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(summaries: &BTreeMap<&str, Summary>, agreement: Option<Agreement>, as_json: bool) -> Result<()> {
    let mut value = serde_json::to_value(&summaries["vestige"])?;
    if as_json {
        for (name, summary) in summaries.iter().filter(|(name, _)| **name != "vestige") {
            value[*name] = serde_json::to_value(summary)?;
        }
        if let Some(agreement) = agreement {
            value["agreement"] = serde_json::to_value(agreement)?;
        }
        println!("{value}");
        return Ok(());
    }
    println!("{:>8}  {}", "", summaries.keys().rev().map(|name| format!("{name:>12}")).collect::<String>());
    for key in ["any@5", "any@10", "all@10", "ndcg@10", "mrr@10", "queries", "p50_ms", "p95_ms"] {
        let mut line = String::new();
        for summary in summaries.values().rev() {
            let number = serde_json::to_value(summary)?[key].as_f64().unwrap_or_default();
            line += &format!("{number:>12.3}");
        }
        println!("{key:>8}  {line}");
    }
    if let Some(Agreement { same_order, shared }) = agreement {
        println!("the first 10 are the same in the same order for {same_order:.4} of the questions;");
        println!("{shared:.4} of the first 10 are in both");
    }
    Ok(())
}
