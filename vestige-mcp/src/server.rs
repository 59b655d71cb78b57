//! The requests of the protocol, each handed to the module that answers it.

use std::path::PathBuf;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use vestige_memory::Memory;
use vestige_memory::json::Loss;
use vestige_memory::text::shortened;
use vestige_traits::{Embedder, MemoryStore};

use crate::answer::{self, ToolError, ToolResult};
use crate::methods::shape_of_params;
use crate::origin::{Origin, RootsChanges};
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
    read_only: bool,
    timeout: Option<Duration>,
    text_only: bool,
}

impl<S, E> Server<S, E> {
    /// A server over `memory`, with a new session id.
    pub fn new(memory: Memory<S, E>) -> Self {
        let origin = Origin::new(memory.now());
        Self { memory, store_name: None, origin, read_only: false, timeout: None, text_only: false }
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

    /// Whether the store may only be read. Then the tools that write are not offered, and refused in one
    /// line. Default: false.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How long a call may take; none for ever. A call that takes longer is dropped and answered with an
    /// error. Of `remember` each 100 memories beyond the first have as much time again. Default: none.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether answers are text alone, without a structured part. Default: only to clients of which it is
    /// known that their model reads nothing but the structured part where there is one, since that does not
    /// repeat the contents of memories.
    #[must_use]
    pub fn text_only(mut self, text_only: bool) -> Self {
        self.text_only = text_only;
        self
    }

    /// Whether the answers to this request have a structured part.
    fn is_structured(&self, context: &RequestContext<RoleServer>) -> bool {
        let client = context.client_info().map(|client| client.name.to_lowercase()).unwrap_or_default();
        !self.text_only && !READ_STRUCTURED_ALONE.iter().any(|name| client.starts_with(name))
    }

    /// The tools that it offers.
    fn tools(&self) -> impl Iterator<Item = &'static Tool> {
        let read_only = self.read_only;
        catalog::tools().iter().filter(move |tool| !read_only || catalog::reads(tool))
    }

    pub(crate) fn roots_changes(&self) -> &RootsChanges {
        self.origin.roots_changes()
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
        let Some(tool) = catalog::tool(&request.name) else { return Err(self.unknown_tool(&request.name)) };
        if self.read_only && !catalog::reads(tool) {
            return Ok(Err(ToolError::new(format!(
                "{} writes, and this memory may only be read; there are {}; nothing was done",
                tool.name,
                self.names_of_tools()
            ))));
        }
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
            unknown => return Err(self.unknown_tool(unknown)),
        })
    }
}

impl<S, E> Server<S, E> {
    fn unknown_tool(&self, name: &str) -> ErrorData {
        let message = format!("unknown tool {:?}; there are {}", shortened(name, 60), self.names_of_tools());
        ErrorData::invalid_params(message, None)
    }

    fn names_of_tools(&self) -> String {
        let names: Vec<_> = self.tools().map(|tool| &*tool.name).collect();
        names.join(", ")
    }
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
            .with_instructions(if self.read_only {
                format!("{} {}", catalog::READ_ONLY, catalog::INSTRUCTIONS)
            } else {
                catalog::INSTRUCTIONS.to_owned()
            })
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools: Vec<Tool> = self.tools().cloned().collect();
        if !self.is_structured(&context) {
            // A tool with an output schema must have a structured answer.
            tools.iter_mut().for_each(|tool| tool.output_schema = None);
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let memories = request.arguments.as_ref().and_then(|given| given.get("memories")?.as_array());
        let parts = 1 + memories.map_or(0, Vec::len) / MEMORIES_AT_A_TIME;
        let timeout = self.timeout.map(|timeout| timeout.saturating_mul(parts as u32));
        // Stores promise that a dropped write is done or not done.
        let answer = tokio::select! {
            biased;
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
            answer = self.call(request, &context) => answer?,
            error = after(timeout) => Err(error),
        };
        Ok(answer::result(answer, self.is_structured(&context)).into())
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
            error = after(self.timeout) => Err(error.into_protocol()),
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
        // Over `serve` it was counted before, in the order of the messages; twice does no harm.
        self.origin.roots_changes().changed();
    }
}

/// The beginnings of the names of clients that hand the structured part of an answer to their model and drop
/// the text, in lower case. See ADR 24.
const READ_STRUCTURED_ALONE: [&str; 3] = ["claude-code", "codex", "opencode"];
/// How many memories of one `remember` have the time of one call.
const MEMORIES_AT_A_TIME: usize = 100;

/// The error of a call that takes longer than `timeout`.
async fn after(timeout: Option<Duration>) -> ToolError {
    let Some(timeout) = timeout else { return std::future::pending().await };
    tokio::time::sleep(timeout).await;
    ToolError::new(format!(
        "no answer of the memory within {} s; a write may be done or not, so look before you repeat it; if this goes on, \
         ask the user to look at the store, or to start this server with a longer --timeout",
        timeout.as_secs()
    ))
}

#[cfg(test)]
mod tests;
