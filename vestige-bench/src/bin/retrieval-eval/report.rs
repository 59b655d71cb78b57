//! What a run found out, as tables or as JSON.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use serde_json::{Value, json};
use vestige_bench::agreement::Agreement;
use vestige_bench::data::{Question, SetMemory};
use vestige_bench::lengths::{AnswersIn, SizedSet};
use vestige_bench::metrics::{Difference, Scores, Summary, summarize};

use crate::arms::Outcome;

/// The keys of a summary, in the order in which they are printed.
const KEYS: [&str; 13] = [
    "any@5",
    "any@10",
    "all@10",
    "ndcg@10",
    "mrr@10",
    "recall@5",
    "recall@10",
    "session_recall@5",
    "session_recall@10",
    "passage@10",
    "queries",
    "p50_ms",
    "p95_ms",
];
/// Those that are printed for each category.
const CATEGORY_KEYS: [&str; 3] = ["ndcg@10", "any@10", "passage@10"];

/// The figures of an arm, over all questions that have an answer and by their category.
struct Column {
    name: &'static str,
    all: Summary,
    /// How many questions have none, and the share of them for which nothing was found.
    unanswerable: Option<(usize, f64)>,
    categories: BTreeMap<String, Summary>,
    /// The share of questions with an answer among the first 10 or beside one of them in its session, where
    /// that was asked.
    in_context: Option<f64>,
}

/// The key of [`Column::in_context`].
const IN_CONTEXT: &str = "any@10+context";

pub(crate) struct Report<'a> {
    set: &'a SizedSet,
    /// The session of each memory, by the set's id.
    sessions: HashMap<&'a str, &'a str>,
    columns: Vec<Column>,
    /// With the name of the questions that each is over.
    against: Option<(Agreement, Vec<(&'static str, Difference)>)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(set: &'a SizedSet, outcome: &Outcome) -> Self {
        let session = |memory: &'a SetMemory| Some((memory.id.as_str(), memory.session.as_deref()?));
        let sessions = set.memories.iter().filter_map(session).collect();
        let mut report = Self { set, sessions, columns: Vec::new(), against: None };
        report.beside("vestige", outcome);
        report
    }

    /// Adds another arm's answers.
    pub(crate) fn beside(&mut self, name: &'static str, outcome: &Outcome) {
        self.columns.push(self.column(name, outcome));
    }

    /// Adds how the first arm compares with another run: over all questions, and over some of them.
    pub(crate) fn against(&mut self, agreement: Agreement, differences: Vec<(&'static str, Difference)>) {
        self.against = Some((agreement, differences));
    }

    pub(crate) fn print(&self, as_json: bool) -> Result<()> {
        if as_json { self.print_json() } else { self.print_tables() }
    }

    #[expect(clippy::print_stdout, reason = "the result of the command")]
    fn print_json(&self) -> Result<()> {
        let mut values = Vec::new();
        for column in &self.columns {
            let mut value = serde_json::to_value(&column.all)?;
            value["categories"] = serde_json::to_value(&column.categories)?;
            if let Some(share) = column.in_context {
                value[IN_CONTEXT] = json!(share);
            }
            if let Some((questions, nothing)) = column.unanswerable {
                value["unanswerable"] = json!({ "queries": questions, "nothing_found": nothing });
            }
            values.push((column.name, value));
        }
        let mut values = values.into_iter();
        let mut printed = values.next().map_or(Value::Null, |(_, value)| value);
        for (name, value) in values {
            printed[name] = value;
        }
        if let Some((agreement, differences)) = &self.against {
            printed["agreement"] = serde_json::to_value(agreement)?;
            for (name, difference) in differences {
                let key =
                    if *name == "all" { "difference".to_owned() } else { format!("difference, {name}") };
                printed[key] = json!(difference);
            }
        }
        println!("{printed}");
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the result of the command")]
    fn print_tables(&self) -> Result<()> {
        let heads: String = self.columns.iter().map(|column| format!("{:>12}", column.name)).collect();
        println!("{:<20}{heads}", "");
        for key in KEYS {
            println!("{key:<20}{}", self.line(key, |column| Some(&column.all))?);
        }
        if self.columns.iter().any(|column| column.in_context.is_some()) {
            let share =
                |column: &Column| column.in_context.map_or_else(String::new, |share| format!("{share:.3}"));
            let line: String = self.columns.iter().map(|column| format!("{:>12}", share(column))).collect();
            println!("{IN_CONTEXT:<20}{line}");
        }
        for category in self.columns.iter().take(1).flat_map(|column| column.categories.keys()) {
            for key in CATEGORY_KEYS {
                let line = self.line(key, |column| column.categories.get(category))?;
                println!("{:<20}{line}", format!("{category}: {key}"));
            }
        }
        for Column { name, unanswerable, .. } in &self.columns {
            if let Some((questions, nothing)) = unanswerable {
                println!("{name}: of {questions} questions without an answer {nothing:.3} find nothing");
            }
        }
        if let Some((Agreement { same_order, shared }, differences)) = &self.against {
            println!("the first 10 are the same in the same order for {same_order:.4} of the questions;");
            println!("{shared:.4} of the first 10 are in both;");
            for (name, difference) in differences {
                for (key, [mean, low, high]) in
                    [("ndcg@10", difference.ndcg_10), ("any@10", difference.any_10)]
                {
                    print!("{name}: {key} differs by {mean:+.4}, ");
                    println!("in 95 of 100 resamples by {low:+.4} to {high:+.4}");
                }
            }
        }
        Ok(())
    }

    fn line<'s>(&'s self, key: &str, of: impl Fn(&'s Column) -> Option<&'s Summary>) -> Result<String> {
        let mut line = String::new();
        for column in &self.columns {
            let value = of(column).map(serde_json::to_value).transpose()?;
            line += &match value.as_ref().and_then(|value| value[key].as_f64()) {
                Some(number) if key == "queries" => format!("{number:>12}"),
                Some(number) => format!("{number:>12.3}"),
                None => format!("{:>12}", ""),
            };
        }
        Ok(line)
    }

    fn column(&self, name: &'static str, outcome: &Outcome) -> Column {
        let mut categories: BTreeMap<String, (Vec<Scores>, Vec<f64>)> = BTreeMap::new();
        let (mut scores, mut times) = (Vec::new(), Vec::new());
        let (mut unanswerable, mut nothing) = (0_usize, 0_usize);
        let outcomes = outcome.rankings.iter().zip(&outcome.times).enumerate();
        for (question, (at, (ranking, &time))) in self.set.questions.iter().zip(outcomes) {
            let found = ranking.first_ten();
            if question.relevant.is_empty() {
                unanswerable += 1;
                nothing += usize::from(found.is_empty());
                continue;
            }
            // Two scopes may have sessions of one name, but a question has one scope.
            let session = |id| self.sessions.get(id).copied().unwrap_or(id);
            let score = Scores::of(&found, &question.relevant);
            let score = score.with_sessions(&found, &question.relevant, session);
            let passage = |rank: usize| outcome.passages.get(at)?.get(rank).copied()?;
            let is_shown =
                |(rank, &id): (usize, &&str)| self.set.shows_answer(&question.id, id, passage(rank));
            let score = score.with_passage(found.iter().enumerate().any(is_shown));
            scores.push(score);
            times.push(time);
            let place = self.set.has_joined().then(|| match self.set.answers_in(question) {
                AnswersIn::Short => "answers in short".to_owned(),
                AnswersIn::Long => "answers in long".to_owned(),
            });
            for category in question.category_name().into_iter().chain(place) {
                let category = categories.entry(category).or_default();
                category.0.push(score);
                category.1.push(time);
            }
        }
        let categories =
            categories.into_iter().map(|(name, (scores, times))| (name, summarize(&scores, times)));
        Column {
            name,
            all: summarize(&scores, times),
            unanswerable: (unanswerable > 0).then(|| (unanswerable, nothing as f64 / unanswerable as f64)),
            categories: categories.collect(),
            in_context: share_in_context(&self.set.questions, &outcome.in_context),
        }
    }
}

/// Of the questions that have an answer, the share of those for which one was shown; none where that was not
/// asked.
fn share_in_context(questions: &[Question], in_context: &[bool]) -> Option<f64> {
    let asked = questions.iter().zip(in_context).filter(|(question, _)| !question.relevant.is_empty());
    let shown: Vec<bool> = asked.map(|(_, shown)| *shown).collect();
    let met = shown.iter().filter(|shown| **shown).count();
    (!shown.is_empty()).then(|| met as f64 / shown.len() as f64)
}
