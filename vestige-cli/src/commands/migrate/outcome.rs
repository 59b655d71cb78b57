//! Where the result goes: to the terminal, and to the file of `--report`.

use super::args::MigrateArgs;
use crate::failure::{CommandResult, Failure};
use crate::output::Output;

/// Says the result: as JSON, or as `text` writes it.
pub(super) fn say(
    mut out: Output,
    result: &impl serde::Serialize,
    text: impl FnOnce(&mut Output) -> CommandResult,
) -> CommandResult {
    if out.json {
        out.json_value(result)?;
    } else {
        text(&mut out)?;
    }
    out.finish()
}

/// Writes a report where one is wanted, once the result is `said`: whatever becomes of one, the other is
/// done.
pub(super) fn write_report(
    args: &MigrateArgs,
    report: &impl serde::Serialize,
    said: CommandResult,
) -> CommandResult {
    let Some(path) = &args.report else { return said };
    let what = || format!("cannot write the report {}", path.display());
    let mut text = serde_json::to_vec_pretty(report).map_err(|error| Failure::io(what())(error.into()))?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(Failure::io(what())).and(said)
}
