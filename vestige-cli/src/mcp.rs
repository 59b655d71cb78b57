//! The Model Context Protocol server: what agents see of the memory.
//!
//! Nothing here knows which store or which model it works with, and nothing here prints.

mod answer;
mod catalog;
pub(crate) mod clients;
mod duplicates;
mod graph;
mod in_flight;
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
use std::pin::pin;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;
use vestige_traits::{Embedder, MemoryStore};

use crate::failure::{CommandResult, Failure};
use crate::interrupt::Interrupt;
use crate::mcp::lines::Lines;
use crate::mcp::opening::Opening;
use crate::mcp::server::Server;

/// How long requests that are being answered when the server is stopped have to end.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Serves the memory on stdin and stdout until the client closes the connection, or until it is stopped.
///
/// `place` is how the store is called, `working_dir` where the code base is looked for that nobody names; empty, nowhere.
pub(crate) async fn serve<S, E>(
    store: S,
    embedder: E,
    place: String,
    working_dir: PathBuf,
    interrupt: &Interrupt,
) -> CommandResult
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    let (stdin, stdout) = stdio_pipes();
    let transport = Opening::new(Lines::new(stdin, stdout));
    let server = Server::new(store, embedder, place, working_dir);
    match interrupt.guard(async { Ok(server.serve(transport).await) }).await? {
        Ok(running) => {
            let stop = running.cancellation_token();
            let mut waiting = pin!(running.waiting());
            let ended = interrupt.guard(async { Ok(waiting.as_mut().await) }).await;
            if ended.is_err() {
                // The store is closed as it is after the client has hung up.
                stop.cancel();
                let _ = tokio::time::timeout(LAST_REQUESTS, waiting).await;
            }
            ended?.map_err(|error| Failure::message(error.to_string())).map(drop)
        }
        // A client that goes away before it has said anything has nothing to be told.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        // The error would quote the whole message.
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
            Err(Failure::message("the client does not speak MCP: it begins without a request"))
        }
        Err(error) => Err(Failure::message(format!("the client does not speak MCP: {error}"))),
    }
}
