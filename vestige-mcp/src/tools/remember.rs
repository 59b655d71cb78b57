//! The tool `remember`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use vestige_memory::text::{counted, shortened};
use vestige_memory::{
    Memory, NearDuplicate, NearDuplicates, NewMemory, RememberOptions, RememberPhase, RememberProgress,
    Wording,
};
use vestige_traits::{Embedder, IngestContext, MemoryStore};

use crate::answer::{Answer, ToolResult};
use crate::budget::{self, units};
use crate::metadata::refuse_overwritten;
use crate::origin::Origin;
use crate::when::moment;

/// How many of the words that differ are shown, and how much of each.
const SHOWN_DIFFERENCES: usize = 8;
const SHOWN_CHARS: usize = 60;
/// What an answer keeps for its own words.
const RESERVED: usize = 1_000;
/// How many steps of the work lie between two notifications of progress.
const STEPS_BETWEEN_NOTIFICATIONS: usize = 16;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct RememberArgs {
    /// What to remember, 1 to 1000.
    #[schemars(length(min = 1, max = 1000))]
    memories: Vec<MemoryArgs>,
    /// Store texts all the same that are close to existing memories.
    #[serde(default)]
    force: bool,
}

/// A memory to store.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars", inline)]
struct MemoryArgs {
    /// The text: one statement that can be understood without this conversation.
    content: String,
    /// What kind of memory it is, such as fact, decision, preference, bug, event. Default: general.
    r#type: Option<String>,
    /// Labels to filter by.
    #[serde(default)]
    tags: Vec<String>,
    /// The code base it is about. Default: the one that is worked on.
    codebase: Option<String>,
    /// The conversation or work session that it is part of. Default: this one.
    session: Option<String>,
    /// The file it is about.
    file: Option<String>,
    /// What it is about.
    #[serde(default)]
    topics: Vec<String>,
    /// When it happened, if not now: a day (2026-01-31), a time (RFC 3339), or how long ago (12h, 7d); UTC.
    created_at: Option<String>,
    /// Anything else worth keeping with it, as JSON.
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Remembered {
    /// How many were stored.
    stored: usize,
    /// What became of each memory, in the order of the call.
    results: Vec<Outcome>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct Outcome {
    /// Whether it was stored.
    stored: bool,
    /// The id of the new memory; null if it was not stored.
    id: Option<String>,
    /// The existing memory that it is close to; null if there is none.
    near: Option<NearView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct NearView {
    id: String,
    /// How alike the texts are, at most 1: by meaning and by words.
    similarity: f64,
    /// The beginning of its text, for the text of the answer.
    #[serde(skip)]
    content: String,
    /// How the words compare: same, reordered (the same in another order) or differs.
    wording: &'static str,
    /// Words that only the new text has.
    only_new: Vec<String>,
    /// Words that only that memory has.
    only_known: Vec<String>,
}

/// Everything is computed first and stored in one transaction, so a call that fails or is cancelled stores
/// nothing.
pub(crate) async fn remember<S, E>(
    memory: &Memory<S, E>,
    args: RememberArgs,
    origin: &Origin,
    request: &RequestContext<RoleServer>,
) -> ToolResult
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    let origin = origin.context(request).await;
    let now = memory.now();
    let mut memories = Vec::with_capacity(args.memories.len());
    for (at, memory) in args.memories.into_iter().enumerate() {
        let memory = memory.with_origin(&origin, now);
        memories.push(memory.map_err(|error| error.at(format_args!("memories[{at}]")))?);
    }
    let near_duplicates = if args.force { NearDuplicates::Store } else { NearDuplicates::Refuse };
    let mut progress = Progress::new(request, memories.len());
    let (steps, mut done) = mpsc::unbounded_channel();
    let storing = async move {
        let mut report = |step: RememberProgress| {
            // Work does not depend on somebody watching it.
            let _ = steps.send(step);
        };
        let options = RememberOptions::new().near_duplicates(near_duplicates).progress(&mut report);
        memory.remember_all(memories, options).await
    };
    let telling = async {
        while let Some(step) = done.recv().await {
            progress.advance(step).await;
        }
    };
    // The channel ends with the work, so the last notification is sent before the answer.
    let (outcomes, ()) = tokio::join!(storing, telling);
    let results: Vec<_> = outcomes?.into_iter().map(Outcome::from).collect();
    let remembered = Remembered { stored: results.iter().filter(|outcome| outcome.stored).count(), results };
    Answer::new(remembered.text(), &remembered)
}

impl MemoryArgs {
    fn with_origin(self, origin: &IngestContext, now: DateTime<Utc>) -> ToolResult<NewMemory> {
        let context = IngestContext {
            codebase: self.codebase.or_else(|| origin.codebase.clone()),
            session_id: self.session.or_else(|| origin.session_id.clone()),
            file: self.file,
            topics: self.topics,
            ..origin.clone()
        };
        refuse_overwritten(&self.metadata, &context)?;
        let memory = NewMemory::new(self.content)
            .tags(self.tags)
            .metadata(Value::Object(self.metadata))
            .context(context);
        let memory = match self.r#type {
            Some(node_type) => memory.node_type(node_type),
            None => memory,
        };
        let happened = moment("created_at", self.created_at.as_deref(), |when| when.start(now))?;
        let memory = match happened {
            Some(time) => memory.created_at(time),
            None => memory,
        };
        memory.validate()?;
        Ok(memory)
    }
}

impl From<vestige_memory::Remembered> for Outcome {
    fn from(remembered: vestige_memory::Remembered) -> Self {
        Self {
            stored: remembered.stored,
            id: remembered.id().map(|id| id.to_string()),
            near: remembered.near_duplicate.map(NearView::from),
        }
    }
}

impl From<NearDuplicate> for NearView {
    fn from(near: NearDuplicate) -> Self {
        let (wording, only_new, only_known) = match near.wording {
            Wording::Same => ("same", Vec::new(), Vec::new()),
            Wording::Reordered => ("reordered", Vec::new(), Vec::new()),
            Wording::Differs { new, known } => ("differs", shown(&new), shown(&known)),
            _ => ("differs", Vec::new(), Vec::new()),
        };
        let content = shortened(&near.content, 300);
        Self { id: near.id.to_string(), similarity: near.similarity, content, wording, only_new, only_known }
    }
}

fn shown(words: &[String]) -> Vec<String> {
    words.iter().take(SHOWN_DIFFERENCES).map(|words| shortened(words, SHOWN_CHARS)).collect()
}

impl Remembered {
    fn text(&self) -> String {
        let mut text = format!("Stored {}.", counted(self.stored as u64, "memory"));
        let lines: Vec<_> = (1..).zip(&self.results).map(|(number, outcome)| outcome.line(number)).collect();
        // What a memory is close to comes before plain ids, where there is not room for both.
        let mut room = budget::ANSWER - RESERVED;
        let mut shown = vec![false; lines.len()];
        for is_near in [true, false] {
            for (at, line) in lines.iter().enumerate() {
                if self.results[at].near.is_some() == is_near
                    && let Some(left) = room.checked_sub(units(line))
                {
                    (shown[at], room) = (true, left);
                }
            }
        }
        lines.iter().zip(&shown).filter(|(_, shown)| **shown).for_each(|(line, _)| text.push_str(line));
        let left_out = shown.iter().filter(|shown| !**shown).count();
        if left_out > 0 {
            let _ = write!(
                text,
                "\n({left_out} of {} are not shown; `recall` without a query lists what is stored, newest first)",
                lines.len()
            );
        }
        if self.stored < self.results.len() {
            text.push_str(
                "\nIf that memory says the same, there is nothing to do. If the new text corrects it, call `update` with its id. \
                 If both shall stay, call `remember` again with `force`: true for those.",
            );
        }
        text
    }
}

impl Outcome {
    /// What became of the memory with this number.
    fn line(&self, number: usize) -> String {
        match (&self.id, &self.near) {
            (Some(id), None) => format!("\n{number}. stored as {id}"),
            (Some(id), Some(near)) => format!("\n{number}. stored as {id}, although it is {near}"),
            (None, Some(near)) => format!("\n{number}. NOT stored: it is {near}"),
            (None, None) => String::new(),
        }
    }
}

impl std::fmt::Display for NearView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Cut and not rounded: texts that differ are not 1.00 similar.
        let similarity = ((self.similarity + 1e-6) * 100.0).floor() / 100.0;
        write!(f, "{similarity:.2} similar to {} ({})", self.id, self.content)?;
        match self.wording {
            "same" => write!(f, ", in the same words")?,
            "reordered" => write!(f, ", in the same words in another order")?,
            _ => {}
        }
        for (holder, words) in [("the new text", &self.only_new), ("that memory", &self.only_known)] {
            if !words.is_empty() {
                write!(f, "; only {holder} has: {}", words.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Tells a client that asked for it how far the work is.
struct Progress {
    listener: Option<(Peer<RoleServer>, ProgressToken)>,
    told: usize,
    memories: usize,
}

impl Progress {
    fn new(request: &RequestContext<RoleServer>, memories: usize) -> Self {
        let token = request.meta.get_progress_token();
        Self { listener: token.map(|token| (request.peer.clone(), token)), told: 0, memories }
    }

    async fn advance(&mut self, step: RememberProgress) {
        let Some((peer, token)) = &self.listener else { return };
        // Each memory counts twice: it is read, then compared.
        let total = 2 * self.memories;
        let (done, message) = match step.phase {
            RememberPhase::Embedding => (step.done, "reading"),
            _ => (self.memories + step.done, "comparing with what is known"),
        };
        if done < self.told + STEPS_BETWEEN_NOTIFICATIONS && done < total {
            return;
        }
        self.told = done;
        let told = ProgressNotificationParam::new(token.clone(), done as f64)
            .with_total(total as f64)
            .with_message(message);
        // Work does not depend on somebody watching it.
        let _ = peer.notify_progress(told).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_a_thousand_memories_shows_near_duplicates_before_ids() {
        let near = || NearView {
            id: "019bb17c-0e40-7978-a6a1-2a42c7957ab5".to_owned(),
            similarity: 0.97,
            content: "The ferry leaves at nine.".to_owned(),
            wording: "same",
            only_new: Vec::new(),
            only_known: Vec::new(),
        };
        let outcome = |at: usize| Outcome {
            stored: at != 999,
            id: (at != 999).then(|| "019bb17c-0e40-7978-a6a1-2a42c7957ab5".to_owned()),
            near: (at == 999).then(near),
        };
        let text = Remembered { stored: 999, results: (0..1000).map(outcome).collect() }.text();
        assert!(units(&text) <= budget::ANSWER, "{} units", units(&text));
        assert!(
            text.contains("\n1. stored as ") && text.contains("\n1000. NOT stored: it is 0.97"),
            "{text}"
        );
        assert!(text.contains(" of 1000 are not shown; "), "{text}");
    }
}
