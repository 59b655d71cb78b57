//! An MCP server of its own: `cargo run --example serve -- memory.db`, started by an MCP client.

use vestige_embed::StaticEmbedder;
use vestige_mcp::{Server, serve_stdio};
use vestige_memory::Memory;
use vestige_sqlite::SqliteMemoryStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: serve FILE")?;
    let store = SqliteMemoryStore::new(&path)?;
    let memory = Memory::new(store, StaticEmbedder::bundled());
    memory.register_model().await?;
    serve_stdio(Server::new(memory).store_name(path)).await?;
    Ok(())
}
