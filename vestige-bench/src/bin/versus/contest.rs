//! The contenders take turns, so that a busy machine is busy for all of them.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
pub(crate) use vestige_bench::times::Times;

use crate::table;

/// How many questions one answers before it is the next one's turn.
pub(crate) const TURN: usize = 10;

/// Answers a question, by its number, with the numbers of what was found, and with the milliseconds that it
/// took where another clock than the contest's counted them.
type Answer<'a> = Box<dyn FnMut(usize) -> Result<(Vec<usize>, Option<f64>)> + 'a>;

pub(crate) struct Contender<'a> {
    name: String,
    note: String,
    truth: Option<&'a [HashSet<usize>]>,
    answer: Answer<'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        mut answer: impl FnMut(usize) -> Result<Vec<usize>> + 'a,
    ) -> Self {
        let answer = Box::new(move |n| Ok((answer(n)?, None)));
        Self { name: name.into(), note: String::new(), truth: None, answer }
    }

    /// One that tells how many milliseconds a question took it, and not what it found.
    #[cfg(feature = "postgres")]
    pub(crate) fn timed(name: impl Into<String>, mut answer: impl FnMut(usize) -> Result<f64> + 'a) -> Self {
        let answer = Box::new(move |n| Ok((Vec::new(), Some(answer(n)?))));
        Self { name: name.into(), note: String::new(), truth: None, answer }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// What it should find for each question.
    pub(crate) fn truth(mut self, truth: &'a [HashSet<usize>]) -> Self {
        self.truth = Some(truth);
        self
    }
}

/// Lets all answer all questions, after one round that is not counted, and prints a line for each.
///
/// A contender that follows one which reads much memory finds the processor's caches cold. So each round has
/// its own random order, and at the beginning of its turn each contender is asked its last question once
/// more, which does not count.
pub(crate) fn run(name: &str, questions: usize, mut contenders: Vec<Contender<'_>>) -> Result<()> {
    let mut times = vec![Vec::with_capacity(questions); contenders.len()];
    let mut shares = vec![0.0; contenders.len()];
    for contender in &mut contenders {
        for question in 0..questions.min(2 * TURN) {
            (contender.answer)(question)?;
        }
    }
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut lots = StdRng::seed_from_u64(1);
    for first in (0..questions).step_by(TURN) {
        order.shuffle(&mut lots);
        for &at in &order {
            let contender = &mut contenders[at];
            (contender.answer)(first.saturating_sub(1))?;
            for question in first..questions.min(first + TURN) {
                let started = Instant::now();
                let (found, took) = (contender.answer)(question)?;
                times[at].push(took.unwrap_or_else(|| started.elapsed().as_secs_f64() * 1e3));
                let Some(truth) = contender.truth.map(|truth| &truth[question]) else { continue };
                let hits = found.iter().filter(|n| truth.contains(n)).count();
                shares[at] += hits as f64 / truth.len().max(1) as f64;
            }
        }
    }
    table::section(name);
    let times: Vec<Times> = times.into_iter().map(Times::of).collect();
    let first = times.first().map_or(f64::NAN, |times| times.percentile(0.5));
    for ((contender, times), shares) in contenders.iter().zip(&times).zip(shares) {
        // A question may have no answer, such as one that demands a phrase which no memory holds.
        let truth = contender.truth.unwrap_or_default().iter();
        let recall = shares / truth.filter(|truth| !truth.is_empty()).count() as f64;
        // A contender that only reads bytes finds nothing.
        let recall = (recall > 0.0).then_some(recall);
        table::row(&contender.name, times, first, recall, &contender.note);
    }
    Ok(())
}
