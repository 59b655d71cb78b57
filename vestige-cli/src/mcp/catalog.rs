//! The tools as a model sees them: name, description, schemas, annotations.

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use rmcp::schemars::JsonSchema;

use super::{graph, memories, recall, remember, reviews, stats};

/// What a client may put into the model's system prompt.
pub(crate) const INSTRUCTIONS: &str = "Vestige is your long-term memory; it outlives this conversation and is \
shared with other sessions. Call `recall` before you answer what earlier work may have settled. Call `remember` for \
decisions, facts, preferences and causes of bugs that later sessions will need: one self-contained statement for each \
memory, never secrets. If `remember` reports a near-duplicate, `update` that memory instead. After a recalled memory \
was put to use, `review` it (good), or `forget` it if it is wrong.";

/// What a tool does to the memory.
enum Effect {
    Reads,
    /// Adds; a repetition adds again.
    Adds,
    /// Adds or sets; a repetition changes nothing.
    Sets,
    /// Replaces or removes; a repetition changes nothing.
    Overwrites,
}

pub(crate) fn tools() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(all);
    &TOOLS
}

fn all() -> Vec<Tool> {
    vec![
        tool::<remember::RememberArgs, remember::Remembered>(
            "remember",
            "Remember",
            "Store one or many memories, each a self-contained statement. A text that is close to an existing memory \
             is not stored but reported with that memory's id and similarity: then `update` the existing one, or call \
             again with `force` if both shall stay. Returns the ids.",
            Effect::Adds,
        ),
        tool::<recall::RecallArgs, recall::Recalled>(
            "recall",
            "Recall",
            "Find memories by words and meaning, best first. Ask in plain language; \"a phrase\" must occur, -word must \
             not. Filters narrow the search: leave them out unless you know the values (`stats` lists types and code bases).",
            Effect::Reads,
        ),
        tool::<memories::GetArgs, memories::Got>(
            "get",
            "Get memories",
            "Show memories whole, with their links and their review schedule.",
            Effect::Reads,
        ),
        tool::<memories::UpdateArgs, memories::Updated>(
            "update",
            "Update a memory",
            "Change a memory. What is not named stays as it is; a new content replaces the old one and keeps id, links and \
             reviews.",
            Effect::Overwrites,
        ),
        tool::<memories::ForgetArgs, memories::Forgotten>(
            "forget",
            "Forget memories",
            "Delete memories for ever, with their links and schedules. Prefer `update` where a memory is outdated rather \
             than wrong.",
            Effect::Overwrites,
        ),
        tool::<graph::LinkArgs, graph::Linked>(
            "link",
            "Link two memories",
            "Draw a link from one memory to another, such as `supersedes` or `causes`. The same link again gets the new weight.",
            Effect::Sets,
        ),
        tool::<graph::NeighborsArgs, graph::Neighborhood>(
            "neighbors",
            "Linked memories",
            "Show the memories that are linked to one, nearest first. Links are followed both ways.",
            Effect::Reads,
        ),
        tool::<reviews::ReviewArgs, reviews::Reviewed>(
            "review",
            "Review a memory",
            "Say how well a memory held up: again (forgotten or useless), hard, good, easy. Sets when it is due again (FSRS-6).",
            Effect::Adds,
        ),
        tool::<reviews::DueArgs, reviews::DueList>(
            "due",
            "Memories due for review",
            "List memories whose review is due, longest overdue first. Check each, then `review`, `update` or `forget` it.",
            Effect::Reads,
        ),
        tool::<stats::StatsArgs, stats::StatsView>(
            "stats",
            "Statistics",
            "Say what the memory holds: counts, types, code bases, what is due.",
            Effect::Reads,
        ),
    ]
}

fn tool<I: JsonSchema + 'static, O: JsonSchema + 'static>(
    name: &'static str,
    title: &str,
    description: &'static str,
    effect: Effect,
) -> Tool {
    let (read_only, destructive, idempotent) = match effect {
        Effect::Reads => (true, false, true),
        Effect::Adds => (false, false, false),
        Effect::Sets => (false, false, true),
        Effect::Overwrites => (false, true, true),
    };
    let annotations = ToolAnnotations::with_title(title)
        .read_only(read_only)
        .destructive(destructive)
        .idempotent(idempotent)
        .open_world(false);
    Tool::new(name, description, Arc::new(JsonObject::new()))
        .with_title(title)
        .with_input_schema::<I>()
        .with_output_schema::<O>()
        .annotate(annotations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_described_in_full_and_shortly() {
        let names: Vec<_> = tools().iter().map(|tool| &*tool.name).collect();
        let expected =
            ["remember", "recall", "get", "update", "forget", "link", "neighbors", "review", "due", "stats"];
        assert_eq!(names, expected);
        for tool in tools() {
            let description = tool.description.as_deref().unwrap_or_default();
            assert!((40..400).contains(&description.len()), "{}: {description}", tool.name);
            let schema = tool.schema_as_json_value();
            assert_eq!(schema["type"], "object", "{}", tool.name);
            // Not every client follows references.
            let output = serde_json::to_string(&tool.output_schema).expect("JSON");
            assert!(
                !schema.to_string().contains("$ref") && !output.contains("$ref"),
                "{}: {schema}",
                tool.name
            );
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{}: {name} is not described", tool.name);
            }
            let whole = serde_json::to_string(tool).expect("JSON");
            assert!(whole.len() < 6000, "{} takes {} bytes of every prompt", tool.name, whole.len());
        }
    }

    #[test]
    fn annotations_say_what_a_tool_does() {
        let hints = |name: &str| {
            let tool = tools().iter().find(|tool| tool.name == name).expect("it is there");
            let hints = tool.annotations.clone().expect("annotations");
            (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
        };
        let is = |a, b, c| (Some(a), Some(b), Some(c), Some(false));
        for name in ["recall", "get", "neighbors", "due", "stats"] {
            assert_eq!(hints(name), is(true, false, true), "{name}");
        }
        assert_eq!(hints("remember"), is(false, false, false));
        assert_eq!(hints("review"), is(false, false, false));
        assert_eq!(hints("link"), is(false, false, true));
        assert_eq!(hints("update"), is(false, true, true));
        assert_eq!(hints("forget"), is(false, true, true));
    }
}
