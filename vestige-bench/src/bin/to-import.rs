//! Turns a set's memories into what `vestige import` reads.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Map, Value, json};
use vestige_bench::data::{read_lines, record_id};

/// Prints the memories of a set as import lines: the scope becomes the codebase, the rest metadata.
#[derive(Parser)]
struct Args {
    /// JSON lines with `id`, `scope`, `content`, and more.
    memories: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for mut memory in read_lines::<Map<String, Value>>(&args.memories)? {
        let mut take = |key: &str| match memory.remove(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(anyhow::anyhow!("a memory has no text in {key:?}")),
        };
        let (id, scope, content) = (take("id")?, take("scope")?, take("content")?);
        memory.insert("source_id".to_owned(), Value::from(id.as_str()));
        let line = json!({"id": record_id(&id, &content), "content": content, "codebase": scope, "metadata": memory});
        writeln!(out, "{line}").context("cannot write")?;
    }
    out.flush().context("cannot write")
}
