//! The requests of the protocol, each handed to the module that answers it.

use std::path::PathBuf;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use vestige_memory::Memory;
use vestige_memory::json::Loss;
use vestige_memory::text::shortened;
use vestige_traits::{Embedder, MemoryStore};

use crate::answer::{self, ToolError, ToolResult};
use crate::methods::shape_of_params;
use crate::origin::Origin;
use crate::shape::arguments;
use crate::tools::{graph, memories, recall, remember, reviews, stats};
use crate::{catalog, resources};

/// Answers the requests of one connection from a [`Memory`].
///
/// It implements [`rmcp::ServerHandler`], so any transport of `rmcp` can carry it;
/// [`serve_stdio`](crate::serve_stdio) and [`serve`](crate::serve) run one connection from its opening to its
/// end. Make one server for each connection: the memories that it stores carry its session id, and it
/// remembers the code base of its client. Clones of one `Memory` share the store.
///
/// The server offers the tools `remember`, `recall`, `get`, `update`, `forget`, `link`, `neighbors`,
/// `review`, `due` and `stats`, and the resources `vestige://stats` and `vestige://memory/{id}`. It does not
/// bind the store to a model: call [`Memory::register_model`] before, so that a store with the vectors of
/// another model is refused at once.
#[derive(Debug)]
pub struct Server<S, E> {
    memory: Memory<S, E>,
    store_name: Option<String>,
    origin: Origin,
}

impl<S, E> Server<S, E> {
    /// A server over `memory`, with a new session id.
    pub fn new(memory: Memory<S, E>) -> Self {
        let origin = Origin::new(memory.now());
        Self { memory, store_name: None, origin }
    }

    /// The name of the store that `stats` shows, such as its path. Default: the name of the backend.
    #[must_use]
    pub fn store_name(mut self, name: impl Into<String>) -> Self {
        self.store_name = Some(name.into());
        self
    }

    /// The folder whose git repository names the code base of a memory, if neither the call nor the roots of
    /// the client name one. Default: none, so that such memories have no code base.
    #[must_use]
    pub fn working_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.origin.working_dir = folder.into();
        self
    }

    /// The memory that it serves.
    pub fn memory(&self) -> &Memory<S, E> {
        &self.memory
    }
}

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<ToolResult, ErrorData> {
        let Some(tool) = catalog::tool(&request.name) else { return Err(unknown_tool(&request.name)) };
        if let Some(loss) = context.extensions.get::<Loss>() {
            return Ok(Err(ToolError::new(format!("wrong arguments: {loss}; nothing was done"))));
        }
        let (memory, given) = (&self.memory, request.arguments);
        /// Reads the arguments and runs the tool with them.
        macro_rules! run {
            ($tool:path $(, $state:expr)*) => {
                match arguments(&tool.input_schema, given) {
                    Ok(args) => $tool(memory, args $(, $state)*).await,
                    Err(error) => Err(error),
                }
            };
        }
        Ok(match &*request.name {
            "remember" => run!(remember::remember, &self.origin, context),
            "recall" => run!(recall::recall),
            "get" => run!(memories::get),
            "update" => run!(memories::update),
            "forget" => run!(memories::forget),
            "link" => run!(graph::link),
            "neighbors" => run!(graph::neighbors),
            "review" => run!(reviews::review),
            "due" => run!(reviews::due),
            "stats" => run!(stats::stats, self.store_name.as_deref()),
            unknown => return Err(unknown_tool(unknown)),
        })
    }
}

fn unknown_tool(name: &str) -> ErrorData {
    let known: Vec<_> = catalog::tools().iter().map(|tool| &*tool.name).collect();
    let message = format!("unknown tool {:?}; there are {}", shortened(name, 60), known.join(", "));
    ErrorData::invalid_params(message, None)
}

impl<S, E> ServerHandler for Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(
                Implementation::new("vestige", env!("CARGO_PKG_VERSION"))
                    .with_title("Vestige: long-term memory"),
            )
            .with_instructions(catalog::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalog::tools().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // Stores promise that a dropped write is done or not done.
        let answer = tokio::select! {
            biased;
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
            answer = self.call(request, &context) => answer?,
        };
        Ok(answer::result(answer).into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
            read = resources::read(&self.memory, self.store_name.as_deref(), &request.uri) => {
                read.map(Into::into)
            }
        }
    }

    /// Methods that are not known, and known ones whose parameters have another shape.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let Some(shape) = shape_of_params(&request.method) else {
            let message = format!("unknown method {}", shortened(&request.method, 60));
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
        };
        let message = format!("{}: params must be {shape}", request.method);
        Err(ErrorData::invalid_params(message, None))
    }

    async fn on_roots_list_changed(&self, _: NotificationContext<RoleServer>) {
        self.origin.forget_codebase().await;
    }
}

#[cfg(test)]
mod tests;
