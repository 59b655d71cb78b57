//! One connection, from its opening to its end.

use std::pin::pin;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::{RoleServer, ServerInitializeError};
use rmcp::transport::Transport;
use vestige_traits::{Embedder, MemoryStore};

use crate::error::ServeError;
use crate::lines::LineTransport;
use crate::opening::Opening;
use crate::server::Server;

/// How long requests that are being answered when the server is stopped have to end.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// What ended a connection that was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The client closed the connection, or never opened one.
    ByClient,
    /// `stop` resolved. Requests that were being answered had two seconds to end; the rest was dropped, and a
    /// dropped write is either done or not done.
    Stopped,
}

/// Serves one client on stdin and stdout until it closes the connection.
///
/// # Errors
///
/// As [`serve`].
///
/// # Panics
///
/// As [`LineTransport::stdio`].
pub async fn serve_stdio<S, E>(server: Server<S, E>) -> Result<(), ServeError>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    serve(server, LineTransport::stdio(), std::future::pending()).await.map(drop)
}

/// Serves one client over `transport` until it closes the connection or `stop` resolves, whichever is first.
///
/// Signals are the caller's: pass a `stop` that waits for them.
///
/// # Errors
///
/// [`ServeError::NotMcp`] and [`ServeError::Opening`] if the client does not open a connection of the
/// protocol, [`ServeError::Task`] if the server itself fails. A request that fails is answered and ends
/// nothing.
pub async fn serve<S, E, T>(
    server: Server<S, E>,
    transport: T,
    stop: impl Future<Output = ()>,
) -> Result<Ended, ServeError>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
    T: Transport<RoleServer> + 'static,
{
    let mut stop = pin!(stop);
    let transport = Opening::new(transport, server.roots_changes().clone());
    let opened = tokio::select! {
        biased;
        opened = server.serve(transport) => opened,
        () = &mut stop => return Ok(Ended::Stopped),
    };
    let running = match opened {
        Ok(running) => running,
        // A client that goes away before it has sent a request expects no answer.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(Ended::ByClient),
        // The error would quote the whole message.
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => return Err(ServeError::NotMcp),
        Err(error) => return Err(ServeError::Opening { source: error.into() }),
    };
    let cancel = running.cancellation_token();
    let mut waiting = pin!(running.waiting());
    tokio::select! {
        biased;
        ended = waiting.as_mut() => match ended {
            Ok(_) => Ok(Ended::ByClient),
            Err(error) => Err(ServeError::Task { source: error.into() }),
        },
        () = stop => {
            // The store is closed as it is after the client has hung up.
            cancel.cancel();
            let _ = tokio::time::timeout(LAST_REQUESTS, waiting).await;
            Ok(Ended::Stopped)
        }
    }
}
