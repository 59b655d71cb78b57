//! What a run found out, as tables or as JSON.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};
use vestige_bench::agreement::Agreement;
use vestige_bench::data::Question;
use vestige_bench::metrics::{Difference, Scores, Summary, summarize};

use crate::arms::Outcome;

/// The keys of a summary, in the order in which they are printed.
const KEYS: [&str; 8] = ["any@5", "any@10", "all@10", "ndcg@10", "mrr@10", "queries", "p50_ms", "p95_ms"];
/// Those that are printed for each category.
const CATEGORY_KEYS: [&str; 2] = ["ndcg@10", "any@10"];

/// The figures of an arm, over all questions and by their category.
struct Column {
    name: &'static str,
    all: Summary,
    categories: BTreeMap<String, Summary>,
}

pub(crate) struct Report<'a> {
    questions: &'a [Question],
    columns: Vec<Column>,
    against: Option<(Agreement, Difference)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(questions: &'a [Question], outcome: &Outcome) -> Self {
        let columns = vec![column("vestige", questions, outcome)];
        Self { questions, columns, against: None }
    }

    /// Adds another arm's answers.
    pub(crate) fn beside(&mut self, name: &'static str, outcome: &Outcome) {
        self.columns.push(column(name, self.questions, outcome));
    }

    /// Adds how the first arm compares with another run.
    pub(crate) fn against(&mut self, agreement: Agreement, difference: Difference) {
        self.against = Some((agreement, difference));
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
            values.push((column.name, value));
        }
        let mut values = values.into_iter();
        let mut printed = values.next().map_or(Value::Null, |(_, value)| value);
        for (name, value) in values {
            printed[name] = value;
        }
        if let Some((agreement, difference)) = &self.against {
            printed["agreement"] = serde_json::to_value(agreement)?;
            printed["difference"] = json!(difference);
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
        for category in self.columns.iter().take(1).flat_map(|column| column.categories.keys()) {
            for key in CATEGORY_KEYS {
                let line = self.line(key, |column| column.categories.get(category))?;
                println!("{:<20}{line}", format!("{category}: {key}"));
            }
        }
        if let Some((Agreement { same_order, shared }, difference)) = &self.against {
            println!("the first 10 are the same in the same order for {same_order:.4} of the questions;");
            println!("{shared:.4} of the first 10 are in both;");
            for (key, [mean, low, high]) in [("ndcg@10", difference.ndcg_10), ("any@10", difference.any_10)] {
                println!("{key} differs by {mean:+.4}, in 95 of 100 resamples by {low:+.4} to {high:+.4}");
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
}

fn column(name: &'static str, questions: &[Question], outcome: &Outcome) -> Column {
    let mut categories: BTreeMap<String, (Vec<Scores>, Vec<f64>)> = BTreeMap::new();
    let mut scores = Vec::with_capacity(questions.len());
    for ((question, ranking), &time) in questions.iter().zip(&outcome.rankings).zip(&outcome.times) {
        let score = Scores::of(&ranking.first_ten(), &question.relevant);
        scores.push(score);
        if let Some(category) = question.category_name() {
            let category = categories.entry(category).or_default();
            category.0.push(score);
            category.1.push(time);
        }
    }
    let categories = categories.into_iter().map(|(name, (scores, times))| (name, summarize(&scores, times)));
    Column { name, all: summarize(&scores, outcome.times.clone()), categories: categories.collect() }
}
