//! What a store holds, as its archive says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What is compared of a memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    pub(super) content: String,
    pub(super) tags: Vec<String>,
}

/// Where a link starts, where it ends, and its type.
pub(super) type Link = (String, String, String);

/// Everything that one reading saw.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// By id.
    pub(super) memories: BTreeMap<String, Text>,
    pub(super) links: BTreeSet<Link>,
    /// How many reviews the log has of each memory.
    pub(super) reviews: BTreeMap<String, u64>,
    /// Rows that contradict each other, in words.
    pub(super) contradictions: Vec<String>,
}

impl Snapshot {
    /// Reads an archive. Its rows follow those that they refer to.
    ///
    /// # Errors
    ///
    /// Where it is none, or is cut off.
    pub(super) fn of(archive: &str) -> Result<Self> {
        let mut snapshot = Self::default();
        let mut repetitions = BTreeMap::new();
        let mut ended = false;
        for line in archive.lines() {
            let row: Value = serde_json::from_str(line).context("an archive has a line that is no JSON")?;
            match row["kind"].as_str() {
                Some("memory") => snapshot.add_memory(&row)?,
                Some("edge") => snapshot.add_link(&row)?,
                Some("scheduling") => {
                    let reps = row["reps"].as_u64().context("a schedule has no repetitions")?;
                    repetitions.insert(text(&row, "memory_id")?, reps);
                }
                Some("review_event") => *snapshot.reviews.entry(text(&row, "memory_id")?).or_default() += 1,
                Some("end") => ended = true,
                _ => {}
            }
        }
        if !ended {
            bail!("an archive is cut off");
        }
        for (id, reps) in repetitions {
            let logged = snapshot.reviews.get(&id).copied().unwrap_or(0);
            if reps != logged {
                snapshot
                    .contradictions
                    .push(format!("the schedule of {id} counts {reps} reviews, its log {logged}"));
            }
        }
        Ok(snapshot)
    }

    fn add_memory(&mut self, row: &Value) -> Result<()> {
        let id = text(row, "id")?;
        if row["embedding"].is_null() {
            self.contradictions.push(format!("memory {id} has no vector"));
        }
        let tags = row["tags"].as_array().into_iter().flatten();
        let tags = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        let said = Text { content: text(row, "content")?, tags };
        if self.memories.insert(id.clone(), said).is_some() {
            self.contradictions.push(format!("memory {id} is there twice"));
        }
        Ok(())
    }

    fn add_link(&mut self, row: &Value) -> Result<()> {
        let link = (text(row, "source_id")?, text(row, "target_id")?, text(row, "edge_type")?);
        for end in [&link.0, &link.1] {
            if !self.memories.contains_key(end) {
                self.contradictions.push(format!("a link has an end at {end}, which is not there"));
            }
        }
        self.links.insert(link);
        Ok(())
    }
}

fn text(row: &Value, key: &str) -> Result<String> {
    Ok(row[key].as_str().with_context(|| format!("a row has no {key}"))?.to_owned())
}
