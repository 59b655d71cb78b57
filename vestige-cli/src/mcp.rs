//! The Model Context Protocol server: what agents see of the memory.
//!
//! Nothing here knows which store or which model it works with, and nothing here prints.

mod answer;
mod catalog;
pub(crate) mod clients;
mod duplicates;
mod graph;
mod lines;
mod memories;
mod opening;
mod origin;
mod recall;
mod remember;
mod resources;
mod reviews;
mod server;
mod shape;
mod stats;
mod unreadable;
mod view;

use std::path::PathBuf;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;
use vestige_traits::{Embedder, MemoryStore};

use crate::failure::{CommandResult, Failure};
use crate::mcp::lines::Lines;
use crate::mcp::opening::Opening;
use crate::mcp::server::Server;

/// Serves the memory on stdin and stdout until the client closes the connection.
///
/// `place` is how the store is called, `working_dir` where the code base is looked for that nobody names.
pub(crate) async fn serve<S, E>(store: S, embedder: E, place: String, working_dir: PathBuf) -> CommandResult
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    let (stdin, stdout) = stdio_pipes();
    let transport = Opening::new(Lines::new(stdin, stdout));
    let server = Server::new(store, embedder, place, working_dir);
    match server.serve(transport).await {
        Ok(running) => running.waiting().await.map_err(|error| Failure::message(error.to_string())).map(drop),
        // A client that goes away before it has said anything has nothing to be told.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        // The error would quote the whole message.
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
            Err(Failure::message("the client does not speak MCP: it begins without a request"))
        }
        Err(error) => Err(Failure::message(format!("the client does not speak MCP: {error}"))),
    }
}
