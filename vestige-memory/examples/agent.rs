//! An agent that remembers three texts and is asked about them. Run it by `cargo run -p vestige-memory
//! --example agent`.

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use vestige_embed::StaticEmbedder;
use vestige_memory::{Memory, MemoryResult};
use vestige_sqlite::SqliteMemoryStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> MemoryResult<()> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "agent.db".into());
    let memory = Memory::new(SqliteMemoryStore::new(path)?, StaticEmbedder::bundled());
    for text in
        ["Deploys are frozen on Fridays after noon.", "🎉 Release 2.0 is out!", "部署窗口：星期二上午"]
    {
        memory.remember(text).await?;
    }
    for question in ["when may I deploy? -tests", "what is out 🎉", "部署窗口？"] {
        for hit in memory.recall(question).await? {
            println!("{question} → {} ({:.2})", hit.record.content, hit.score);
        }
    }
    Ok(())
}
