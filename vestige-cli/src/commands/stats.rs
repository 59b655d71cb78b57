//! `vestige stats`.

use clap::Args;
use serde::Serialize;
use vestige_memory::text::one_line;
use vestige_memory::times::rfc3339;
use vestige_traits::stats::StoreStats;

use crate::app::App;
use crate::failure::CommandResult;
use crate::open::Access;
use crate::output::{BOLD, Output, Styled};

/// Count what the memory contains
#[derive(Args, Debug)]
pub(crate) struct StatsArgs {}

#[derive(Serialize)]
struct StatsJson<'a> {
    store: String,
    #[serde(flatten)]
    stats: &'a StoreStats,
}

pub(crate) async fn run(_: StatsArgs, app: &App, mut out: Output) -> CommandResult {
    let stats = app.memory(Access::Read).await?.stats().await?;
    let place = app.settings.store.to_string();
    if out.json {
        out.json_value(&StatsJson { store: place, stats: &stats })?;
        return out.finish();
    }
    let mut row = |name: &str, value: String| {
        out.line(format_args!("{} {}", Styled(BOLD, format_args!("{name:<10}")), one_line(&value)))
    };
    row("store", format!("{place} ({}, schema version {})", stats.backend, stats.schema_version))?;
    row("size", size(stats.size_bytes))?;
    row("model", stats.model.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string))?;
    row("memories", format!("{}, of them {} with a vector", stats.memories, stats.embedded))?;
    if let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) {
        row("taken in", format!("{} to {}", rfc3339(oldest), rfc3339(newest)))?;
    }
    row("links", stats.edges.to_string())?;
    row("reviews", format!("{}; {} scheduled, {} due", stats.review_events, stats.scheduled, stats.due))?;
    if stats.domains > 0 {
        row("domains", stats.domains.to_string())?;
    }
    if stats.users > 1 || stats.groups > 0 {
        row("users", format!("{}, in {} groups", stats.users, stats.groups))?;
    }
    for (name, counts) in [("types", &stats.by_type), ("codebases", &stats.by_codebase)] {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        const SHOWN: usize = 12;
        let mut list: Vec<String> =
            counts.iter().take(SHOWN).map(|(name, count)| format!("{name} {count}")).collect();
        if counts.len() > SHOWN {
            list.push(format!("and {} more", counts.len() - SHOWN));
        }
        if !list.is_empty() {
            row(name, list.join(", "))?;
        }
    }
    out.finish()
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_unit() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 20), "5.0 MiB");
        assert_eq!(size(3 << 30), "3.00 GiB");
    }
}
