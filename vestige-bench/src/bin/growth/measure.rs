//! The searches that are measured.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::runtime::Runtime;
use vestige_bench::sample::{number, only};
use vestige_bench::times::Times;
use vestige_traits::{MemoryStore, SearchQuery};

use crate::data::{Kind, Latency};
use crate::task::Task;

/// Questions of one kind before it is the next one's turn.
const TURN: usize = 10;
/// Questions of each kind that are not counted.
const WARMING: usize = 50;

pub(crate) fn first_answer(runtime: &Runtime, store: &impl MemoryStore, task: &Task) -> Result<()> {
    let (text, vector) = task.questions.first().context("there are no questions")?;
    let found = runtime.block_on(store.search(&SearchQuery::hybrid(text, vector.clone())))?;
    ensure!(!found.is_empty(), "nothing was found");
    Ok(())
}

/// Every kind answers every question, ten at a time.
pub(crate) fn searches(
    runtime: &Runtime,
    store: &impl MemoryStore,
    task: &Task,
) -> Result<BTreeMap<Kind, Latency>> {
    let questions = task.questions.len();
    let mut times = BTreeMap::from(Kind::ALL.map(|kind| (kind, Vec::with_capacity(questions))));
    let mut hits = BTreeMap::from(Kind::ALL.map(|kind| (kind, 0)));
    for kind in Kind::ALL {
        for question in 0..questions.min(WARMING) {
            runtime.block_on(store.search(&query(task, kind, question)))?;
        }
    }
    for first in (0..questions).step_by(TURN) {
        for kind in Kind::ALL {
            for question in first..questions.min(first + TURN) {
                let query = query(task, kind, question);
                let started = Instant::now();
                let found = runtime.block_on(store.search(&query))?;
                times.entry(kind).or_default().push(started.elapsed().as_secs_f64() * 1e3);
                let found: Vec<usize> = found.iter().map(|hit| number(hit.record.id)).collect();
                let Some(truth) = truth(task, kind).get(question) else { continue };
                ensure!(found.len() >= truth.len(), "{} found instead of {}", found.len(), truth.len());
                *hits.entry(kind).or_default() += found.iter().filter(|n| truth.contains(n)).count();
            }
        }
    }
    let latency = |(kind, times): (Kind, Vec<f64>)| {
        let times = Times::of(times);
        let wanted: usize = truth(task, kind).iter().map(Vec::len).sum();
        let recall = (wanted > 0).then(|| hits[&kind] as f64 / wanted as f64);
        (kind, Latency { p50_ms: times.percentile(0.5), p99_ms: times.percentile(0.99), recall })
    };
    Ok(times.into_iter().map(latency).collect())
}

/// What the vectors alone decide has true answers; the others have none.
fn truth(task: &Task, kind: Kind) -> &[Vec<usize>] {
    match kind {
        Kind::Keyword | Kind::Hybrid => &[],
        Kind::Vector => &task.truth,
        Kind::Filtered => &task.filtered_truth,
    }
}

fn query(task: &Task, kind: Kind, question: usize) -> SearchQuery {
    let (text, vector) = &task.questions[question];
    match kind {
        Kind::Keyword => SearchQuery::text(text),
        Kind::Vector => SearchQuery::embedding(vector.clone()),
        Kind::Hybrid => SearchQuery::hybrid(text, vector.clone()),
        Kind::Filtered => SearchQuery::embedding(vector.clone()).filter(only(Some("hundredth"))),
    }
}
