//! Memories as agents read them.

use std::fmt::{self, Write as _};

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value};
use vestige_memory::text::{labels, place, printable, schedule_line, shortened};
use vestige_memory::times::rfc3339;
use vestige_traits::scheduling::SchedulingState;
use vestige_traits::{MemoryEdge, MemoryRecord, Passage};

use crate::budget::{self, units};

/// The largest metadata and tags that the structured part of an answer shows, in bytes of JSON.
const SHOWN_METADATA: usize = 2000;
/// A memory by itself.
const ALONE: Form = Form { labels: 2000, says_how: true, names_session: true };
/// One of a list.
const LISTED: Form = Form { labels: 300, says_how: true, names_session: false };
/// One of a list that says itself how to get more.
const NUMBERED: Form = Form { says_how: false, ..LISTED };
/// Metadata that every memory of an agent has. The text leaves it out; the JSON has it.
const KEPT_SILENT: [&str; 2] = ["mcp_client_id", "session_id"];

/// A memory, without its text: that stands in the answer's text.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct MemoryView {
    id: String,
    /// How many characters its text has.
    characters: usize,
    /// The first character of it that the answer's text shows.
    start: usize,
    /// How many characters of it the answer's text shows.
    length: usize,
    /// Whether it has more characters, or more tags and metadata, than are shown. `get` has all characters,
    /// and the resource `vestige://memory/{id}` has everything.
    truncated: bool,
    r#type: String,
    tags: Vec<String>,
    codebase: Option<String>,
    /// The conversation or work session that it is part of, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    created_at: String,
    updated_at: String,
    /// Where it comes from (`mcp_client_id`, `session_id`, `file`, `topics`) and whatever else belongs to it.
    metadata: Map<String, Value>,
}

/// A memory with its text, as a resource.
#[derive(Serialize)]
pub(crate) struct WholeMemory {
    content: String,
    #[serde(flatten)]
    memory: MemoryView,
}

/// A memory as it is shown: a text for the model, and the rest for programs.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) view: MemoryView,
}

/// How a memory is shown.
#[derive(Clone, Copy)]
struct Form {
    /// The longest line of labels and of metadata, in characters.
    labels: usize,
    /// Whether it says how to get more of a text that is cut.
    says_how: bool,
    /// Whether it names the session. A list leaves that room for contents.
    names_session: bool,
}

/// The part of a long text whose words match a question best.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct PassageView {
    /// Its first character.
    start: usize,
    /// The character after its last one.
    end: usize,
}

impl From<Passage> for PassageView {
    fn from(Passage { start, end }: Passage) -> Self {
        Self { start, end }
    }
}

/// Which characters of a memory's text are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) start: usize,
    /// None for as many as there is room for.
    pub(crate) length: Option<usize>,
}

impl MemoryView {
    /// How many characters of its text are shown.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The whole of it; `start` and `length` are those of the text that is shown.
    fn new(record: &MemoryRecord, start: usize, length: usize) -> Self {
        let characters = record.content.chars().count();
        Self {
            id: record.id.to_string(),
            characters,
            start,
            length,
            truncated: length < characters,
            r#type: record.node_type.clone(),
            tags: record.tags.clone(),
            codebase: record.codebase.clone(),
            session: record.session.clone(),
            created_at: rfc3339(record.created_at),
            updated_at: rfc3339(record.updated_at),
            metadata: record.metadata.as_object().cloned().unwrap_or_default(),
        }
    }

    /// The same with only the origin of large metadata, and only the first of many tags.
    fn shortened(mut self) -> Self {
        let size = |value: &Value| value.to_string().len();
        if self.metadata.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>() > SHOWN_METADATA {
            self.metadata.retain(|key, _| KEPT_SILENT.contains(&key.as_str()));
            self.truncated = true;
        }
        let mut room = SHOWN_METADATA;
        let shown = self.tags.iter().take_while(|tag| {
            let fits = tag.len() <= room;
            room = room.saturating_sub(tag.len());
            fits
        });
        let shown = shown.count();
        if shown < self.tags.len() {
            self.tags.truncate(shown);
            self.truncated = true;
        }
        self
    }
}

impl WholeMemory {
    pub(crate) fn new(record: &MemoryRecord) -> Self {
        let memory = MemoryView::new(record, 0, record.content.chars().count());
        Self { content: record.content.clone(), memory }
    }
}

/// How well a memory is remembered and when it comes up again, by FSRS-6.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct ScheduleView {
    /// Days until the probability of recall falls to 0.9.
    stability_days: f64,
    /// 1 (easy) to 10 (hard).
    difficulty: f64,
    /// The probability of recall now, 0 to 1.
    retrievability: f64,
    last_review: Option<String>,
    next_review: Option<String>,
    reps: u32,
    lapses: u32,
    /// The same for people.
    #[serde(skip)]
    pub(crate) line: String,
}

/// `state` holds the probability of recall as of now.
impl From<SchedulingState> for ScheduleView {
    fn from(state: SchedulingState) -> Self {
        Self {
            stability_days: state.stability,
            difficulty: state.difficulty,
            retrievability: state.retrievability,
            last_review: state.last_review.map(rfc3339),
            next_review: state.next_review.map(rfc3339),
            reps: state.reps,
            lapses: state.lapses,
            line: schedule_line(&state),
        }
    }
}

/// A link between two memories.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct LinkView {
    source_id: String,
    target_id: String,
    r#type: String,
    /// 0 to 1.
    weight: f64,
}

impl From<&MemoryEdge> for LinkView {
    fn from(edge: &MemoryEdge) -> Self {
        Self {
            source_id: edge.source_id.to_string(),
            target_id: edge.target_id.to_string(),
            r#type: edge.edge_type.clone(),
            weight: edge.weight,
        }
    }
}

impl fmt::Display for LinkView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} → {}", self.source_id, shortened(&self.r#type, 60), self.target_id)
    }
}

/// What each line of a memory's own text begins with. No line of an answer's own does, so a memory cannot
/// pass for one.
pub(crate) const QUOTED: &str = "> ";

/// A memory by itself, in about so many units of text: a line with its id, labels and origin; a range of its
/// content and its other metadata, quoted; and how to get what is left out.
pub(crate) fn shown(record: &MemoryRecord, range: Range, most: usize) -> Shown {
    in_form(record, range, most, ALONE)
}

/// The same in a form, whose labels and metadata may take a half of it.
fn in_form(record: &MemoryRecord, range: Range, most: usize, form: Form) -> Shown {
    let cut = |line: &str, most: usize| {
        let line = shortened(line, form.labels);
        let part = budget::beginning(&line, most);
        if part.len() < line.len() { format!("{part}…") } else { line }
    };
    let shown_labels = cut(&labels(record), most / 4);
    let mut is_cut = shown_labels.ends_with('…');
    let mut text = format!("[{}] {shown_labels}", record.id);
    if let Some(client) = record.metadata.get(KEPT_SILENT[0]).and_then(Value::as_str) {
        let _ = write!(text, " · from {}", shortened(client, 60));
    }
    if let Some(session) = record.session.as_deref().filter(|_| form.names_session) {
        let _ = write!(text, " · session {}", shortened(session, 100));
    }
    let mut metadata = record.metadata.as_object().cloned().unwrap_or_default();
    metadata.retain(|key, _| !KEPT_SILENT.contains(&key.as_str()));
    let metadata = (!metadata.is_empty()).then(|| {
        let shown = cut(&Value::Object(metadata).to_string(), most / 4);
        is_cut |= shown.ends_with('…');
        format!("\n{QUOTED}{shown}")
    });
    let room = most.saturating_sub(units(&text) + metadata.as_deref().map_or(0, units));
    let (content, length) = content(&record.content, range, room.max(LEAST_CONTENT));
    text.push_str(&content);
    let view = MemoryView::new(record, range.start, length).shortened();
    let (characters, end) = (view.characters, range.start + length);
    if length < characters {
        let shown = match length {
            0 => format!("nothing of {characters} characters"),
            _ => place(Passage { start: range.start, end }, characters),
        };
        let _ = write!(text, "\n({shown}");
        if form.says_how && end < characters {
            let _ = write!(text, "; `get` with \"start\": {end} shows what follows");
        }
        text.push(')');
    }
    text.push_str(metadata.as_deref().unwrap_or_default());
    if is_cut {
        let _ = write!(
            text,
            "\n(not all tags and metadata; the resource vestige://memory/{} has them)",
            record.id
        );
    }
    Shown { text, view }
}

/// As in a list: the beginning, of at most [`budget::LISTED`] units.
pub(crate) fn listed(record: &MemoryRecord, most: usize) -> Shown {
    in_form(record, Range::default(), most.min(budget::LISTED), LISTED)
}

/// As one of several that were found, in as many units. Of a text that does not fit, the passage that was
/// found comes first, and then what follows it.
pub(crate) fn found(record: &MemoryRecord, passage: Option<Passage>, most: usize) -> Shown {
    let most = most.min(budget::LISTED);
    let from = |start| in_form(record, Range { start, length: None }, most, NUMBERED);
    let shown = from(0);
    match passage {
        Some(passage) if shown.is_cut() => from(passage.start),
        _ => shown,
    }
}

/// The beginning of a memory that stands near another, of at most [`budget::NEARBY`] units.
pub(crate) fn nearby(record: &MemoryRecord, most: usize) -> Shown {
    in_form(record, Range::default(), most.min(budget::NEARBY), LISTED)
}

impl Shown {
    /// Whether the memory's text has more than is shown of it.
    pub(crate) fn is_cut(&self) -> bool {
        self.view.length < self.view.characters
    }
}

/// The fewest units of a content that are shown.
const LEAST_CONTENT: usize = 80;

/// A range of a text, quoted, in at most so many units; and how many characters of the text that is.
fn content(content: &str, range: Range, most: usize) -> (String, usize) {
    let from = content.char_indices().nth(range.start).map_or("", |(at, _)| &content[at..]);
    let to = range.length.and_then(|length| from.char_indices().nth(length));
    let mut part = budget::beginning(to.map_or(from, |(at, _)| &from[..at]), most);
    loop {
        let quoted: String = printable(part).split('\n').flat_map(|line| ["\n", QUOTED, line]).collect();
        let cost = units(&quoted);
        // Line breaks and signs that are written out take more than the text did.
        if cost <= most || part.is_empty() {
            return (quoted, part.chars().count());
        }
        part = budget::beginning(part, (units(part) * most / cost).min(units(part) - 1));
    }
}
