//! How long an agent waits for `vestige mcp`: from the start of the process to its first answer.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use vestige_embed::StaticEmbedder;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{Embedder, MemoryRecord, MemoryStore};

/// Fills a store, then measures by turns `vestige --version` and `vestige mcp` up to the answer of a
/// `recall`, and prints both medians and their ratio.
#[derive(Parser)]
struct Args {
    /// The program, built with `--release`.
    #[arg(long, default_value = "target/release/vestige")]
    vestige: PathBuf,
    /// Memories in the store.
    #[arg(long, default_value_t = 10_000)]
    memories: usize,
    /// How often each is started.
    #[arg(long, default_value_t = 41)]
    rounds: usize,
}

const WORDS: [&str; 24] = [
    "deploy", "database", "harbour", "token", "queue", "customer", "invoice", "retry", "parser", "window",
    "cache", "meeting", "schema", "release", "latency", "password", "sensor", "report", "branch", "review",
    "timeout", "socket", "payment", "ferry",
];

const CONVERSATION: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"bench","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"recall","#,
    r#""arguments":{"query":"why did the payment queue time out?"}}}"#,
    "\n"
);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of the command")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let home = tempfile::TempDir::new()?;
    let path = home.path().join("memory.db");
    fill(&path, args.memories).await?;
    let (mut bare, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let started = Instant::now();
        let version = Command::new(&args.vestige).arg("--version").output();
        let version = version.with_context(|| format!("{} does not start", args.vestige.display()))?;
        bare.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(version.status.success(), "--version failed");
        answers.push(first_answer(&args.vestige, &path)?);
    }
    let (bare, answer) = (median(bare), median(answers));
    println!("{} memories, medians of {} starts", args.memories, args.rounds);
    println!("vestige --version            {bare:>8.1} ms");
    println!("vestige mcp, first answer    {answer:>8.1} ms");
    println!("ratio                        {:>8.1}", answer / bare);
    Ok(())
}

/// Sentences of random words, with their vectors.
async fn fill(path: &Path, memories: usize) -> Result<()> {
    let embedder = StaticEmbedder::bundled();
    let store = SqliteMemoryStore::builder(path).durability(Durability::Process).open()?;
    store.register_model(embedder.signature()).await?;
    let mut rng = StdRng::seed_from_u64(1);
    let numbers: Vec<usize> = (0..memories).collect();
    for batch in numbers.chunks(1000) {
        let mut records: Vec<MemoryRecord> = Vec::with_capacity(batch.len());
        for n in batch {
            let words: Vec<&str> = (0..12).map(|_| WORDS[rng.random_range(0..WORDS.len())]).collect();
            records.push(MemoryRecord::new(format!("Memory {n}: {}.", words.join(" "))));
        }
        let texts: Vec<&str> = records.iter().map(|record| &*record.content).collect();
        let vectors = embedder.embed_documents(&texts).await?;
        records.iter_mut().zip(vectors).for_each(|(record, vector)| record.embedding = vector);
        store.insert_batch(&records).await?;
    }
    Ok(())
}

/// Milliseconds from the start of the server to the answer of its first tool.
fn first_answer(program: &Path, store: &Path) -> Result<f64> {
    let started = Instant::now();
    let mut server = Command::new(program)
        .arg("--db")
        .arg(store)
        .arg("mcp")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = server.stdin.take().context("no stdin")?;
    stdin.write_all(CONVERSATION.as_bytes())?;
    let mut lines = BufReader::new(server.stdout.take().context("no stdout")?).lines();
    let elapsed = loop {
        let line = lines.next().context("the server is gone")??;
        let answer: Value = serde_json::from_str(&line)?;
        if answer["id"] == 2 {
            let elapsed = started.elapsed().as_secs_f64() * 1e3;
            let found = answer["result"]["structuredContent"]["results"].as_array().map_or(0, Vec::len);
            ensure!(found == 10, "{found} results: {line}");
            break elapsed;
        }
    };
    drop(stdin);
    server.wait()?;
    Ok(elapsed)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
