//! The beginning of a connection, and the order of its messages.

use std::pin::Pin;

use rmcp::ErrorData;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, GetMeta, ProtocolVersion, ServerJsonRpcMessage,
};
use rmcp::service::{RoleServer, TxJsonRpcMessage};
use rmcp::transport::Transport;

use crate::methods::wrong_handshake;
use crate::origin::RootsChanges;

/// What `rmcp` leaves open between a transport and the handlers:
///
/// - Messages that come before the connection is opened and are not requests are skipped. They need no
///   answer, and `rmcp` would end the connection on them.
/// - A handshake without some of its parameters is answered with the names of those.
/// - A change of the client's roots is counted before the requests that follow it are handed on.
pub(crate) struct Opening<T: Transport<RoleServer>> {
    inner: T,
    opened: bool,
    roots: RootsChanges,
    /// An answer that is being sent. It is kept here because the future of `receive` may be dropped.
    answering: Option<Sending<T::Error>>,
}

type Sending<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;

impl<T: Transport<RoleServer>> Opening<T> {
    pub(crate) fn new(inner: T, roots: RootsChanges) -> Self {
        Self { inner, opened: false, roots, answering: None }
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
            if let Some(answering) = &mut self.answering {
                let answered = answering.await;
                self.answering = None;
                answered.ok()?;
            }
            let message = self.inner.receive().await?;
            if let ClientJsonRpcMessage::Request(request) = &message {
                if !self.opened
                    && let ClientRequest::CustomRequest(custom) = &request.request
                    && custom.method == "initialize"
                {
                    let error = ErrorData::invalid_params(wrong_handshake(custom.params.as_ref()), None);
                    let answer = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
                    self.answering = Some(Box::pin(self.inner.send(answer)));
                    continue;
                }
                self.opened = self.opened || opens(&request.request);
                return Some(message);
            }
            if let ClientJsonRpcMessage::Notification(notification) = &message
                && matches!(notification.notification, ClientNotification::RootsListChangedNotification(_))
            {
                self.roots.changed();
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

/// Whether the request begins one of the protocol's two lifecycles: the handshake, or requests that carry all
/// that the handshake would say.
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => other.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty(),
    }
}
