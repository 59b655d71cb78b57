//! The table, and what is said about a bound that does not hold.

use anyhow::Result;
use vestige_bench::ratio::{Ratios, Verdict};
use vestige_bench::sample::Sample;

use crate::bounds::{Bound, Ratio};

pub(crate) struct Report {
    beyond: Vec<String>,
}

impl Report {
    pub(crate) fn begin(sample: &Sample) -> Self {
        line(&format!(
            "{} memories, {} dimensions; a ratio is ours to the floor, times of one run in turn\n",
            sample.texts.len(),
            sample.dimension
        ));
        line("| ratio | median | middle half | at most | |");
        line("|---|---|---|---|---|");
        Self { beyond: Vec::new() }
    }

    /// Takes a measurement, and where that is beyond the bound another one, which counts: what a machine does
    /// for the length of a measurement is no regression.
    pub(crate) fn check(&mut self, ratio: Ratio, mut measure: impl FnMut() -> Result<Ratios>) -> Result<()> {
        let bound = ratio.bound();
        let mut measured = measure()?;
        if measured.judge(bound.most) == Verdict::Beyond {
            line(&row(&bound, &measured, "beyond its bound: measured again"));
            measured = measure()?;
        }
        let verdict = measured.judge(bound.most);
        line(&row(&bound, &measured, said(verdict)));
        if verdict == Verdict::Beyond {
            self.beyond.push(complaint(&bound, &measured));
        }
        Ok(())
    }

    pub(crate) fn without_postgres(&self) {
        line("\nPostgreSQL is left out: there is no server");
    }

    /// Whether every bound holds.
    pub(crate) fn end(self) -> bool {
        for complaint in &self.beyond {
            line(&format!("\n{complaint}"));
        }
        self.beyond.is_empty()
    }
}

fn row(bound: &Bound, measured: &Ratios, note: &str) -> String {
    let [lower, median, upper] = measured.quartiles();
    format!("| {} | {median:.3} | {lower:.3} to {upper:.3} | {} | {note} |", bound.what, bound.most)
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "",
        Verdict::Unclear => "not clear: the spread reaches the bound",
        Verdict::Beyond => "**beyond**",
    }
}

fn complaint(bound: &Bound, measured: &Ratios) -> String {
    let [lower, median, upper] = measured.quartiles();
    format!(
        "{}: {median:.3} (middle half {lower:.3} to {upper:.3}), at most {}.\n  The bound: {}.\n  Look at {}.\n  \
         If the cost is wanted, raise the bound in vestige-bench/src/bin/gate/bounds.rs and say why.",
        bound.what, bound.most, bound.why, bound.look
    )
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn line(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond() -> Ratios {
        let most = Ratio::KeywordToFts5.bound().most;
        Ratios::of(vec![most * 1.1, most * 1.2, most * 1.3])
    }

    fn within() -> Ratios {
        Ratios::of(vec![Ratio::KeywordToFts5.bound().most / 2.0])
    }

    fn report() -> Report {
        Report { beyond: Vec::new() }
    }

    #[test]
    fn a_ratio_that_stays_beyond_its_bound_fails_the_gate_and_says_what_to_do() {
        let mut report = report();
        report.check(Ratio::KeywordToFts5, || Ok(beyond())).unwrap();
        let complaint = &report.beyond[0];
        for part in ["keyword search", "middle half", "Look at", "bounds.rs"] {
            assert!(complaint.contains(part), "{complaint}");
        }
        assert!(!report.end());
    }

    #[test]
    fn a_ratio_that_is_beyond_only_once_passes() {
        let mut report = report();
        let mut measurements = [beyond(), within()].into_iter();
        report.check(Ratio::KeywordToFts5, || Ok(measurements.next().unwrap())).unwrap();
        assert!(measurements.next().is_none());
        assert!(report.end());
    }

    #[test]
    fn a_ratio_within_its_bound_is_measured_once() {
        let mut report = report();
        let mut measurements = [within()].into_iter();
        report.check(Ratio::KeywordToFts5, || Ok(measurements.next().unwrap())).unwrap();
        assert!(report.end());
    }
}
