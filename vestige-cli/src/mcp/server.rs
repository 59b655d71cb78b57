//! The protocol's requests, each handed to its room.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use vestige_cli::Loss;
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{Embedder, MemoryStore};

use super::answer::{self, ToolError, ToolResult, arguments};
use super::origin::Origin;
use super::{catalog, resources};
use crate::printable::shortened;
use crate::scheduler::Scheduler;

pub(crate) struct Server<S, E> {
    pub(crate) store: S,
    pub(crate) embedder: E,
    pub(crate) scheduler: Scheduler,
    /// How the store is called.
    pub(crate) place: String,
    pub(crate) origin: Origin,
}

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    pub(crate) fn new(store: S, embedder: E, place: String, working_dir: PathBuf) -> Self {
        let origin = Origin::new(SystemClock.now(), working_dir);
        Self { store, embedder, scheduler: Scheduler::new(), place, origin }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<ToolResult, ErrorData> {
        let Some(tool) = catalog::tool(&request.name) else { return Err(unknown_tool(&request.name)) };
        if let Some(loss) = context.extensions.get::<Loss>() {
            return Ok(Err(ToolError::new(format!("wrong arguments: {loss}; nothing was done"))));
        }
        let given = request.arguments;
        /// Reads the arguments and runs the tool with them.
        macro_rules! run {
            ($tool:ident $(, $context:expr)?) => {
                match arguments(&tool.input_schema, given) {
                    Ok(args) => self.$tool(args $(, $context)?).await,
                    Err(error) => Err(error),
                }
            };
        }
        Ok(match &*request.name {
            "remember" => run!(remember, context),
            "recall" => run!(recall),
            "get" => run!(get),
            "update" => run!(update),
            "forget" => run!(forget),
            "link" => run!(link),
            "neighbors" => run!(neighbors),
            "review" => run!(review),
            "due" => run!(due),
            "stats" => run!(stats),
            unknown => return Err(unknown_tool(unknown)),
        })
    }
}

fn unknown_tool(name: &str) -> ErrorData {
    let known: Vec<_> = catalog::tools().iter().map(|tool| &*tool.name).collect();
    let message = format!("unknown tool {:?}; there are {}", shortened(name, 60), known.join(", "));
    ErrorData::invalid_params(message, None)
}

/// What the params of a method must be that cannot do without.
pub(super) fn shape_of_params(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" => Some("{\"name\": the tool, \"arguments\": an object}"),
        "resources/read" => Some("{\"uri\": the address}"),
        _ => None,
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
            read = self.read(&request.uri) => read.map(Into::into),
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
