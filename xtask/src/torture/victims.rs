//! The commands that change a store: how each is run, and what counts as acknowledged.

use anyhow::Result;
use serde_json::{Value, json};

use super::child::{Ended, Input};
use super::ledger::Ledger;
use super::scene::{Leaves, Scene, import_file};
use super::snapshot::{Link, Text};

/// How many lines an import has, and how many of them are one transaction.
const LINES: usize = 400;
const BATCH: usize = 20;
/// How many calls a client makes of `vestige mcp`.
const CALLS: usize = 25;

/// A command that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    /// The first of a store, which it makes.
    Make,
    Add,
    Import,
    Update,
    Delete,
    Link,
    Unlink,
    Review,
    Mcp,
    Repair,
    RebuildScheduling,
    Search,
}

/// One run of a command.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) args: Vec<String>,
    pub(super) input: Input,
    asked: Asked,
}

#[derive(Debug)]
enum Asked {
    Nothing,
    New(Text),
    Lines(Vec<(String, Text)>),
    Change(String, Text),
    Delete(Vec<String>),
    Link(Link, bool),
    Review(String),
    Remember(Vec<Text>),
}

impl Victim {
    pub(super) const ALL: [Self; 12] = [
        Self::Make,
        Self::Add,
        Self::Import,
        Self::Update,
        Self::Delete,
        Self::Link,
        Self::Unlink,
        Self::Review,
        Self::Mcp,
        Self::Repair,
        Self::RebuildScheduling,
        Self::Search,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Make => "add to a new store",
            Self::Add => "add",
            Self::Import => "import",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::Review => "review",
            Self::Mcp => "mcp",
            Self::Repair => "doctor --repair",
            Self::RebuildScheduling => "doctor --rebuild-scheduling",
            Self::Search => "search",
        }
    }

    /// What it may leave undone that is no memory.
    pub(super) fn leaves(self) -> Leaves {
        match self {
            Self::Make => Leaves::Store,
            Self::Import | Self::Repair => Leaves::Indexes,
            _ => Leaves::Nothing,
        }
    }

    /// What to run next. The ledger knows of it from then on.
    ///
    /// # Errors
    ///
    /// Where the store has nothing to do it to.
    pub(super) fn attempt(self, scene: &mut Scene) -> Result<Attempt> {
        let (words, asked): (Vec<String>, Asked) = match self {
            Self::Make | Self::Add => {
                let text = scene.new_text();
                scene.ledger.ask_new(&text);
                let tags = text.tags.iter().flat_map(|tag| ["--tag".to_owned(), tag.clone()]);
                (["add".to_owned(), text.content.clone()].into_iter().chain(tags).collect(), Asked::New(text))
            }
            Self::Import => {
                let lines = scene.new_lines(LINES as u64);
                for (id, text) in &lines {
                    scene.ledger.ask(id, Some(text));
                }
                for batch in lines.chunks(BATCH) {
                    scene.ledger.ask_together(batch.iter().map(|(id, _)| id.clone()).collect());
                }
                (words(&["import", "-", "-v", "--batch-size", &BATCH.to_string()]), Asked::Lines(lines))
            }
            Self::Update => {
                let ((id, _), text) = (scene.any()?, scene.new_text());
                scene.ledger.ask(&id, Some(&text));
                let tags = match text.tags.as_slice() {
                    [] => words(&["--no-tags"]),
                    tags => tags.iter().flat_map(|tag| ["--tag".to_owned(), tag.clone()]).collect(),
                };
                let mut args = words(&["update", &id, "--content", &text.content]);
                args.extend(tags);
                (args, Asked::Change(id, text))
            }
            Self::Delete => {
                let mut ids = vec![scene.any()?.0, scene.any()?.0, scene.any()?.0];
                ids.sort();
                ids.dedup();
                for id in &ids {
                    scene.ledger.ask(id, None);
                }
                let args = ["delete", "--json"].into_iter().chain(ids.iter().map(String::as_str));
                (args.map(str::to_owned).collect(), Asked::Delete(ids))
            }
            Self::Link => {
                let (from, to) = two(scene)?;
                let link = (from.clone(), to.clone(), "related".to_owned());
                scene.ledger.ask_link(&link, true);
                (words(&["link", &from, &to, "--type", "related"]), Asked::Link(link, true))
            }
            Self::Unlink => {
                let link = match scene.ledger.any_link() {
                    Some(link) => link,
                    None => make_link(scene)?,
                };
                scene.ledger.ask_link(&link, false);
                (words(&["unlink", &link.0, &link.1, "--type", &link.2]), Asked::Link(link, false))
            }
            Self::Review => {
                let id = scene.any()?.0;
                scene.ledger.ask_review(&id);
                let rating = ["again", "hard", "good", "easy"][scene.random.below(4)];
                (words(&["review", &id, rating]), Asked::Review(id))
            }
            Self::Mcp => {
                let texts: Vec<Text> = (0..CALLS).map(|_| scene.new_text()).collect();
                for text in &texts {
                    scene.ledger.ask_new(text);
                }
                (words(&["mcp"]), Asked::Remember(texts))
            }
            Self::Repair => (words(&["doctor", "--repair"]), Asked::Nothing),
            Self::RebuildScheduling => (words(&["doctor", "--rebuild-scheduling"]), Asked::Nothing),
            Self::Search => (words(&["search", "who moved the harbour"]), Asked::Nothing),
        };
        let input = match &asked {
            Asked::Lines(lines) => Input::Bytes(import_file(lines)),
            Asked::Remember(texts) => Input::Bytes(conversation(texts)),
            _ => Input::Empty,
        };
        Ok(Attempt { args: words, input, asked })
    }
}

impl Attempt {
    /// Tells the ledger what the command acknowledged before it ended.
    pub(super) fn acknowledge(&self, ended: &Ended, ledger: &mut Ledger) {
        // What is printed comes after the commit, and its last line may be cut off.
        let printed = ended.stdout.rsplit_once('\n').map_or("", |(lines, _)| lines);
        match &self.asked {
            Asked::Nothing => {}
            Asked::New(text) => {
                if let Some(id) = printed.lines().next() {
                    ledger.acknowledge_new(id.trim(), text);
                }
            }
            Asked::Lines(lines) => {
                let stored = if ended.succeeded() { lines.len() } else { reported(&ended.stderr) };
                for (id, text) in lines.iter().take(stored) {
                    ledger.acknowledge(id, Some(text));
                }
            }
            Asked::Change(id, text) if !printed.is_empty() => ledger.acknowledge(id, Some(text)),
            Asked::Delete(ids) => {
                for id in ids.iter().filter(|id| printed.contains(*id)) {
                    ledger.acknowledge(id, None);
                }
            }
            Asked::Link(link, there) if !printed.is_empty() => ledger.acknowledge_link(link, *there),
            Asked::Review(id) if !printed.is_empty() => ledger.acknowledge_review(id),
            Asked::Remember(texts) => {
                for (at, id) in remembered(printed) {
                    if let Some(text) = texts.get(at) {
                        ledger.acknowledge_new(&id, text);
                    }
                }
            }
            Asked::Change(..) | Asked::Link(..) | Asked::Review(..) => {}
        }
    }
}

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// Two memories.
fn two(scene: &mut Scene) -> Result<(String, String)> {
    let from = scene.any()?.0;
    loop {
        let to = scene.any()?.0;
        if to != from {
            return Ok((from, to));
        }
    }
}

/// A link that is there, made where nothing is in the way.
fn make_link(scene: &mut Scene) -> Result<Link> {
    let (from, to) = two(scene)?;
    scene.place.ok(&["link", &from, &to, "--type", "related"])?;
    let link = (from, to, "related".to_owned());
    scene.ledger.acknowledge_link(&link, true);
    Ok(link)
}

/// How many lines an import says are committed.
pub(super) fn reported(log: &str) -> usize {
    let whole = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let number = |line: &str, name: &str| -> Option<usize> {
        let (_, rest) = line.split_once(name)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let counts = |line: &str| Some(number(line, "stored=")? + number(line, "unchanged=")?);
    whole.lines().rev().find_map(counts).unwrap_or(0)
}

/// What a client of `vestige mcp` sends to have texts remembered, each by a call of its own.
pub(super) fn conversation(texts: &[Text]) -> Vec<u8> {
    let hello = json!({
        "jsonrpc": "2.0", "id": "hello", "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "torture", "version": "1"},
        },
    });
    let mut lines =
        format!("{hello}\n{}\n", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    for (at, text) in texts.iter().enumerate() {
        let memory = json!({"content": text.content, "tags": text.tags});
        let arguments = json!({"memories": [memory], "force": true});
        let call = json!({
            "jsonrpc": "2.0", "id": at, "method": "tools/call",
            "params": {"name": "remember", "arguments": arguments},
        });
        lines.push_str(&format!("{call}\n"));
    }
    lines.into_bytes()
}

/// Which of the texts are remembered, and their ids.
pub(super) fn remembered(answers: &str) -> Vec<(usize, String)> {
    let one = |line: &str| {
        let answer: Value = serde_json::from_str(line).ok()?;
        let at = usize::try_from(answer["id"].as_u64()?).ok()?;
        let outcome = &answer["result"]["structuredContent"]["results"][0];
        let stored = outcome["stored"].as_bool()?;
        stored.then(|| outcome["id"].as_str().map(|id| (at, id.to_owned())))?
    };
    answers.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_has_stored_what_its_last_whole_line_says() {
        let log =
            "INFO committed line=20 stored=20 unchanged=0\nINFO committed line=40 stored=35 unchanged=5\n";
        assert_eq!(reported(log), 40);
        assert_eq!(reported(&log[..log.len() - 1]), 20);
        assert_eq!(reported(""), 0);
    }

    #[test]
    fn only_answers_that_say_so_are_remembered() {
        let answer = |stored: bool| {
            let outcome = json!({"stored": stored, "id": "x"});
            json!({"id": 3, "result": {"structuredContent": {"results": [outcome]}}}).to_string()
        };
        assert_eq!(remembered(&answer(true)), [(3, "x".to_owned())]);
        assert!(remembered(&answer(false)).is_empty());
        assert!(remembered("{\"id\": 3, \"error\": {}}\nhalf a li").is_empty());
    }
}
