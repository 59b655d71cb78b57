//! Why a connection could not be served.

use std::error::Error;

/// Why [`serve`](crate::serve) ended other than by the client or by a stop.
///
/// No variant quotes a message of the client: it may hold memories.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The first message is not a request that opens a connection: the program at the other end is not an MCP
    /// client. Trying again does not help.
    #[error("the client does not speak MCP: it begins without a request")]
    NotMcp,
    /// Opening the connection failed, for example because the output was closed. A new connection may work.
    #[error("the client does not speak MCP: {source}")]
    Opening {
        /// What the protocol or the transport reported.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The task that serves the connection panicked or was aborted: a bug of the server, or a runtime that
    /// shut down.
    #[error("{source}")]
    Task {
        /// What the runtime reported.
        source: Box<dyn Error + Send + Sync>,
    },
}
