//! How the clients people use are told of the server.

use clap::ValueEnum;
use serde_json::{Value, json};

/// A program that agents run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
    Zed,
    Generic,
}

impl Client {
    /// Where the configuration goes.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => {
                "claude_desktop_config.json, which Settings > Developer > Edit Config opens; then restart Claude Desktop"
            }
            Self::ClaudeCode => ".mcp.json in the project's folder",
            Self::Cursor => "~/.cursor/mcp.json, or .cursor/mcp.json in the project's folder",
            Self::Vscode => {
                ".vscode/mcp.json in the workspace, or the file that `MCP: Open User Configuration` opens"
            }
            Self::Zed => "settings.json, which `zed: open settings file` opens",
            Self::Generic => "the client's list of MCP servers on stdio",
        }
    }

    /// The configuration that starts `command` with `args`.
    pub(crate) fn config(self, command: &str, args: &[String]) -> Value {
        let plain = json!({"command": command, "args": args});
        let typed = json!({"type": "stdio", "command": command, "args": args});
        match self {
            Self::ClaudeDesktop => json!({"mcpServers": {"vestige": plain}}),
            Self::ClaudeCode | Self::Cursor => json!({"mcpServers": {"vestige": typed}}),
            Self::Vscode => json!({"servers": {"vestige": typed}}),
            Self::Zed => {
                json!({"context_servers": {"vestige": {"command": command, "args": args, "env": {}}}})
            }
            Self::Generic => plain,
        }
    }
}
