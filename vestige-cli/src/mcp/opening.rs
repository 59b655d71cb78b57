//! How a connection begins.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta, ProtocolVersion};
use rmcp::service::{RoleServer, TxJsonRpcMessage};
use rmcp::transport::Transport;

/// Passes over what a client has to say before it has opened the connection and what is no request: nobody can
/// answer it, and `rmcp` would end the server on it.
pub(crate) struct Opening<T> {
    inner: T,
    opened: bool,
}

impl<T> Opening<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, opened: false }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Opening<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let message = self.inner.receive().await?;
            if let ClientJsonRpcMessage::Request(request) = &message {
                self.opened = self.opened || opens(&request.request);
                return Some(message);
            }
            if self.opened {
                return Some(message);
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

/// Whether the request begins one of the two lifecycles: by a handshake, or by carrying everything itself.
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => other.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty(),
    }
}
