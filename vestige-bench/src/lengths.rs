//! Sets with long memories, made of sets with conversations.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use vestige_traits::Passage;
use vestige_traits::analysis::Analyzer;

use crate::data::{Question, SetMemory};

/// How long the memories of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Lengths {
    /// As the set has them.
    Own,
    /// Half of the sessions, drawn by lot, are one memory each. The memories of the others stay single.
    Mixed,
    /// Sessions of a scope are joined to texts of 5,000 to 50,000 characters. The lengths are drawn by lot.
    /// What is left of a scope at its end may be shorter.
    Long,
}

/// The fewest and the most characters of a text of [`Lengths::Long`].
const LONG: std::ops::Range<usize> = 5_000..50_000;

/// A set of memories and questions of which some are joined. A question's answers are then the memories that
/// hold one.
pub struct SizedSet {
    /// The memories, in the order of the file.
    pub memories: Vec<SetMemory>,
    /// The questions.
    pub questions: Vec<Question>,
    /// What each joined memory is made of, by its id.
    joined: HashMap<String, Joined>,
    /// The memories of the file that answer a question, by its id.
    answers: HashMap<String, HashSet<String>>,
}

struct Joined {
    /// The id and the place of each memory that it was made of.
    turns: Vec<(String, Passage)>,
    /// Whether it is searched as one passage.
    is_one_passage: bool,
}

/// Where the answers of a question are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswersIn {
    /// In memories that are not joined, all of them.
    Short,
    /// In a joined memory, at least one.
    Long,
}

impl SizedSet {
    /// Joins memories of the same session, in their order; the same ones in every run.
    ///
    /// # Errors
    ///
    /// If memories are to be joined and the set has no sessions.
    pub fn new(memories: Vec<SetMemory>, mut questions: Vec<Question>, lengths: Lengths) -> Result<Self> {
        ensure!(
            lengths == Lengths::Own || memories.iter().any(|memory| memory.session.is_some()),
            "memories are joined by their `session`, and none has one"
        );
        let answers: HashMap<_, HashSet<_>> = questions
            .iter()
            .map(|question| (question.id.clone(), question.relevant.iter().cloned().collect()))
            .collect();
        let groups = match lengths {
            Lengths::Own => memories.into_iter().map(|memory| vec![memory]).collect(),
            Lengths::Mixed => mixed(sessions(memories)),
            Lengths::Long => long(sessions(memories)),
        };
        let (mut memories, mut joined, mut owners) = (Vec::new(), HashMap::new(), HashMap::new());
        for group in groups {
            let (memory, turns) = join(group);
            if turns.len() > 1 {
                owners.extend(turns.iter().map(|(turn, _)| (turn.clone(), memory.id.clone())));
                let is_one_passage = Analyzer::default().passages(&memory.content).len() == 1;
                joined.insert(memory.id.clone(), Joined { turns, is_one_passage });
            }
            memories.push(memory);
        }
        for question in &mut questions {
            let mut seen = HashSet::new();
            let answers = std::mem::take(&mut question.relevant).into_iter();
            let answers = answers.map(|turn| owners.get(&turn).cloned().unwrap_or(turn));
            question.relevant = answers.filter(|memory| seen.insert(memory.clone())).collect();
        }
        Ok(Self { memories, questions, joined, answers })
    }

    /// Where the answers of a question are.
    pub fn answers_in(&self, question: &Question) -> AnswersIn {
        match question.relevant.iter().any(|id| self.joined.contains_key(id)) {
            true => AnswersIn::Long,
            false => AnswersIn::Short,
        }
    }

    /// Whether some memories are joined.
    pub fn has_joined(&self) -> bool {
        !self.joined.is_empty()
    }

    /// Whether what is shown of a result has a part of an answer to the question: the passage that was found,
    /// or the whole of a text that is one passage. Of a long text that only its meaning found nothing is
    /// counted.
    pub fn shows_answer(&self, question: &str, memory: &str, passage: Option<Passage>) -> bool {
        let Some(answers) = self.answers.get(question) else { return false };
        let Some(Joined { turns, is_one_passage }) = self.joined.get(memory) else {
            return answers.contains(memory);
        };
        let is_shown = |turn: &Passage| match passage {
            Some(passage) => turn.start < passage.end && passage.start < turn.end,
            None => *is_one_passage,
        };
        turns.iter().any(|(id, turn)| answers.contains(id) && is_shown(turn))
    }

    /// Writes the set as `memories.jsonl` and `queries.jsonl` into a folder, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// Names what cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        write_lines(&folder.join("memories.jsonl"), &self.memories)?;
        write_lines(&folder.join("queries.jsonl"), &self.questions)
    }
}

fn write_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut lines = BufWriter::new(file);
    for value in values {
        writeln!(lines, "{}", serde_json::to_string(value)?)?;
    }
    lines.flush().with_context(|| format!("cannot write {}", path.display()))
}

/// The memories of each session of a scope, in the order in which the file begins them; a memory without a
/// session is by itself.
fn sessions(memories: Vec<SetMemory>) -> Vec<Vec<SetMemory>> {
    let mut sessions: Vec<Vec<SetMemory>> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for memory in memories {
        let session = memory.session.clone().map(|session| (memory.scope.clone(), session));
        let at = session.map_or(sessions.len(), |session| *known.entry(session).or_insert(sessions.len()));
        match sessions.get_mut(at) {
            Some(session) => session.push(memory),
            None => sessions.push(vec![memory]),
        }
    }
    sessions
}

/// A number that follows from the session: the same in every run, and even over all of 16 bits.
fn lot(session: &[SetMemory]) -> u16 {
    let mut hasher = blake3::Hasher::new();
    for memory in session.iter().take(1) {
        let name = memory.session.as_deref().unwrap_or(&memory.id);
        hasher.update(memory.scope.as_bytes()).update(b"\0").update(name.as_bytes());
    }
    let hash = hasher.finalize();
    u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])
}

fn mixed(sessions: Vec<Vec<SetMemory>>) -> Vec<Vec<SetMemory>> {
    let (mut groups, is_joined) = (Vec::new(), |session: &[SetMemory]| lot(session).is_multiple_of(2));
    for session in sessions {
        if is_joined(&session) {
            groups.push(session);
        } else {
            groups.extend(session.into_iter().map(|memory| vec![memory]));
        }
    }
    groups
}

fn long(sessions: Vec<Vec<SetMemory>>) -> Vec<Vec<SetMemory>> {
    let mut groups: Vec<Vec<SetMemory>> = Vec::new();
    // Of the last group of each scope: its place, its characters, and how many it shall have at least.
    let mut open: HashMap<String, (usize, usize, usize)> = HashMap::new();
    for session in sessions {
        let Some(scope) = session.first().map(|memory| memory.scope.clone()) else { continue };
        let characters: usize = session.iter().map(|memory| memory.content.chars().count() + 1).sum();
        match open.get_mut(&scope) {
            Some((at, length, wanted)) if *length < *wanted && *length + characters <= LONG.end => {
                groups[*at].extend(session);
                *length += characters;
            }
            _ => {
                let wanted = LONG.start + LONG.len() * usize::from(lot(&session)) / (1 << 16);
                open.insert(scope, (groups.len(), characters, wanted));
                groups.push(session);
            }
        }
    }
    groups
}

/// One memory of several, a line each, and what of it each of them is.
fn join(group: Vec<SetMemory>) -> (SetMemory, Vec<(String, Passage)>) {
    let mut turns = Vec::with_capacity(group.len());
    let mut memories = group.into_iter();
    let mut joined = memories.next().expect("a group has a memory");
    let mut end = joined.content.chars().count();
    turns.push((joined.id.clone(), Passage { start: 0, end }));
    for memory in memories {
        let start = end + 1;
        end = start + memory.content.chars().count();
        joined.content.push('\n');
        joined.content.push_str(&memory.content);
        turns.push((memory.id, Passage { start, end }));
        // What is of several sessions is part of none.
        joined.session = joined.session.filter(|session| memory.session.as_ref() == Some(session));
    }
    if turns.len() > 1 {
        joined.id = format!("{}+{}", joined.id, turns.len() - 1);
    }
    (joined, turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions of 20 memories of about 100 characters each, in two scopes.
    fn set(lengths: Lengths) -> SizedSet {
        let memory = |scope: &str, n: usize| SetMemory {
            id: format!("{scope}{n}"),
            scope: scope.to_owned(),
            session: Some(format!("{}", n / 20)),
            said_at: None,
            content: format!("{n} é {}", "all the words of a turn ".repeat(4)),
        };
        let memories = ["x", "y"].iter().flat_map(|scope| (0..2000).map(|n| memory(scope, n)));
        let question = |n: usize| Question {
            id: format!("q{n}"),
            scope: "x".to_owned(),
            category: serde_json::Value::Null,
            query: "which?".to_owned(),
            relevant: vec![format!("x{n}"), format!("x{}", n + 1)],
            asked_at: None,
        };
        SizedSet::new(memories.collect(), (0..1999).map(question).collect(), lengths).unwrap()
    }

    #[test]
    fn half_of_the_sessions_are_joined_and_nothing_is_lost() {
        let set = set(Lengths::Mixed);
        assert!((70..130).contains(&set.joined.len()), "{} of 200 sessions", set.joined.len());
        assert_eq!(set.memories.len(), set.joined.len() + 20 * (200 - set.joined.len()));
        let mut ids = HashSet::new();
        assert!(set.memories.iter().all(|memory| ids.insert(memory.id.as_str()) && memory.session.is_some()));
        assert!(set.questions.iter().flat_map(|question| &question.relevant).all(|id| ids.contains(&**id)));
        let again = super::tests::set(Lengths::Mixed);
        assert!(
            again.memories.iter().map(|memory| &memory.id).eq(set.memories.iter().map(|memory| &memory.id))
        );
        let in_long = set.questions.iter().filter(|question| set.answers_in(question) == AnswersIn::Long);
        assert!((600..1400).contains(&in_long.count()));
    }

    #[test]
    fn long_texts_have_their_lengths_drawn_by_lot() {
        let set = set(Lengths::Long);
        let mut lengths: Vec<_> = set.memories.iter().map(|memory| memory.content.chars().count()).collect();
        lengths.sort_unstable();
        // The last text of each of the two scopes may be shorter.
        assert!(lengths[2] >= LONG.start && *lengths.last().unwrap() <= LONG.end, "{lengths:?}");
        assert!(
            lengths.iter().any(|length| *length < 20_000) && lengths.iter().any(|length| *length > 30_000)
        );
        assert!(set.memories.iter().all(|memory| memory.session.is_none()));
    }

    #[test]
    fn an_answer_is_shown_where_its_turn_and_the_passage_meet() {
        let set = set(Lengths::Long);
        let memory = &set.memories[0];
        let turns = &set.joined[&memory.id].turns;
        for (id, place) in turns {
            let content = place.of(&memory.content);
            assert!(content.starts_with(&format!("{} é all", &id[1..])) && content.ends_with("turn "));
        }
        let Passage { start, end } = turns[7].1;
        let shows = |start, end| set.shows_answer("q7", &memory.id, Some(Passage { start, end }));
        assert!(shows(start, end) && shows(start - 50, start + 1) && shows(end - 1, end + 500));
        assert!(shows(end + 1, end + 2), "the turn after it answers too");
        assert!(!shows(start - 50, start));
        assert!(!set.shows_answer("q7", &memory.id, None), "a long text without a passage");
        assert!(!set.shows_answer("q7", &set.memories[1].id, Some(Passage { start, end })));
        let own = super::tests::set(Lengths::Own);
        assert!(
            own.shows_answer("q7", "x8", None) && !own.shows_answer("q7", "x9", None) && !own.has_joined()
        );
        assert_eq!(own.questions[7].relevant, ["x7", "x8"]);
    }

    #[test]
    fn a_written_set_is_read_as_it_was() {
        let set = set(Lengths::Mixed);
        let home = tempfile::tempdir().unwrap();
        set.write(&home.path().join("new")).unwrap();
        let read = |name: &str| home.path().join("new").join(name);
        let memories: Vec<SetMemory> = crate::data::read_lines(&read("memories.jsonl")).unwrap();
        let questions: Vec<Question> = crate::data::read_lines(&read("queries.jsonl")).unwrap();
        assert!(memories.iter().zip(&set.memories).all(|(a, b)| (&a.id, &a.content) == (&b.id, &b.content)));
        assert!(
            questions.iter().zip(&set.questions).all(|(a, b)| (&a.id, &a.relevant) == (&b.id, &b.relevant))
        );
    }

    #[test]
    fn a_set_without_sessions_is_not_joined() {
        assert!(SizedSet::new(Vec::new(), Vec::new(), Lengths::Mixed).is_err());
        assert!(SizedSet::new(Vec::new(), Vec::new(), Lengths::Own).is_ok());
    }
}
