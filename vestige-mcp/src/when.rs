//! Times as agents write them.

use chrono::{DateTime, Utc};
use vestige_memory::times::When;

use crate::answer::{ToolError, ToolResult};

/// The moment that the argument `name` means; none where it is left out.
pub(crate) fn moment(
    name: &str,
    text: Option<&str>,
    of: impl FnOnce(When) -> Option<DateTime<Utc>>,
) -> ToolResult<Option<DateTime<Utc>>> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let when = When::parse(text).map_err(|error| ToolError::new(format!("{name}: {error}")))?;
    of(when).map(Some).ok_or_else(|| ToolError::new(format!("{name}: lies outside of the calendar")))
}
