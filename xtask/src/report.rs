//! What a command of several steps did, for its last lines.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::{self, Quiet};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it is for.
    Passed,
    /// It failed.
    Failed,
    /// It could not run here, and why.
    NotRun(String),
}

/// The steps of a command, in the order in which they ran.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<(String, Outcome, Duration)>,
}

impl Report {
    /// Runs a step. Its failure is said at once and kept for the end, so that the other steps run too.
    ///
    /// # Errors
    ///
    /// Where a signal came in: then nothing more should run.
    pub fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        heading(name);
        let began = Instant::now();
        let done = step();
        let took = began.elapsed();
        if process::caught_signal()?.is_some() {
            return done.and(Err(Quiet(130).into()));
        }
        let outcome = match done {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                say(&format!("error: {error:#}"));
                Outcome::Failed
            }
        };
        self.steps.push((name.to_owned(), outcome, took));
        Ok(())
    }

    /// Notes a step that cannot run here.
    pub fn not_run(&mut self, name: &str, why: impl Into<String>) {
        self.steps.push((name.to_owned(), Outcome::NotRun(why.into()), Duration::ZERO));
    }

    /// Prints what ran, what did not and why.
    ///
    /// # Errors
    ///
    /// Where a step failed; or, if `strict`, did not run.
    pub fn close(self, title: &str, strict: bool) -> Result<()> {
        let total: Duration = self.steps.iter().map(|(.., took)| *took).sum();
        heading(&format!("{title}: {:.0} s", total.as_secs_f64()));
        for line in self.lines() {
            say(&line);
        }
        if self.succeeded(strict) { Ok(()) } else { Err(Quiet(1).into()) }
    }

    fn succeeded(&self, strict: bool) -> bool {
        self.steps.iter().all(|(_, outcome, _)| match outcome {
            Outcome::Passed => true,
            Outcome::Failed => false,
            Outcome::NotRun(_) => !strict,
        })
    }

    fn lines(&self) -> Vec<String> {
        let width = self.steps.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        self.steps
            .iter()
            .map(|(name, outcome, took)| match outcome {
                Outcome::Passed => format!("  passed   {name:width$}  {:>6.1} s", took.as_secs_f64()),
                Outcome::Failed => format!("  FAILED   {name:width$}  {:>6.1} s", took.as_secs_f64()),
                Outcome::NotRun(why) => format!("  NOT RUN  {name:width$}  {why}"),
            })
            .collect()
    }
}

fn heading(text: &str) {
    say(&format!("\n── {text}"));
}

#[allow(clippy::print_stderr, reason = "this is a command-line program")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.step("a", || Ok(())).unwrap();
        report
    }

    #[test]
    fn a_step_that_did_not_run_fails_only_a_strict_report() {
        let mut report = report();
        report.not_run("b", "no server");
        assert!(report.succeeded(false));
        assert!(!report.succeeded(true));
        assert!(report.lines()[1].contains("NOT RUN  b  no server"));
    }

    #[test]
    fn a_failed_step_fails_the_report_and_the_next_one_still_runs() {
        let mut report = report();
        report.step("b", || bail!("no")).unwrap();
        report.step("c", || Ok(())).unwrap();
        assert!(!report.succeeded(false));
        assert_eq!(report.lines().len(), 3);
    }
}
