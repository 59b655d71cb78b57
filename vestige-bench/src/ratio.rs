//! How many times as long one takes as another, judged on a machine that others use too.
//!
//! The two take turns, so that what slows the machine down slows both, and each pair of turns gives a ratio.
//! The middle half of the ratios, from the lower to the upper quartile, is the spread of the run. A bound
//! counts as broken only where that whole half is beyond it: three pairs out of four agree. What a neighbour
//! does to a few pairs moves a quartile little, and a median that is beyond the bound with a quartile that is
//! not tells nothing.

use anyhow::{Result, ensure};

/// The ratios of a run.
#[derive(Clone, Debug)]
pub struct Ratios(Vec<f64>);

/// What a run says about a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The median is within the bound.
    Within,
    /// The median is beyond the bound, and the spread of the run reaches back to it.
    Unclear,
    /// The whole middle half is beyond the bound.
    Beyond,
}

impl Ratios {
    /// Lets both take turns, after one pair that does not count. Which one is first changes from pair to
    /// pair. Each is given the number of the pair, and answers with its milliseconds.
    ///
    /// # Errors
    ///
    /// What either fails with, and a time that is no time.
    pub fn measure(
        pairs: usize,
        mut ours: impl FnMut(usize) -> Result<f64>,
        mut floor: impl FnMut(usize) -> Result<f64>,
    ) -> Result<Self> {
        let mut ratios = Vec::with_capacity(pairs);
        for pair in 0..=pairs {
            let (ours, floor) = if pair % 2 == 0 {
                let ours = ours(pair)?;
                (ours, floor(pair)?)
            } else {
                let floor = floor(pair)?;
                (ours(pair)?, floor)
            };
            ensure!(ours > 0.0 && floor > 0.0, "a pair took {ours} and {floor} ms: too little to measure");
            if pair > 0 {
                ratios.push(ours / floor);
            }
        }
        Ok(Self::of(ratios))
    }

    /// In any order.
    pub fn of(mut ratios: Vec<f64>) -> Self {
        ratios.sort_unstable_by(f64::total_cmp);
        Self(ratios)
    }

    /// The lower quartile, the median and the upper quartile, between the two nearest ratios where they fall
    /// there.
    pub fn quartiles(&self) -> [f64; 3] {
        [0.25, 0.5, 0.75].map(|share| {
            let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
            let at = share * last as f64;
            let (below, above) = (self.0[at as usize], self.0[(at as usize + 1).min(last)]);
            below + at.fract() * (above - below)
        })
    }

    /// Holds the run against the most that the ratio may be.
    pub fn judge(&self, most: f64) -> Verdict {
        let [lower, median, _] = self.quartiles();
        if lower > most {
            Verdict::Beyond
        } else if median <= most {
            Verdict::Within
        } else {
            // Or not a number: a run without ratios has shown nothing.
            Verdict::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;
    use crate::times::timed;

    #[test]
    fn quartiles_are_those_of_the_textbook() {
        assert_eq!(Ratios::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]).quartiles(), [2.0, 3.0, 4.0]);
        assert_eq!(Ratios::of(vec![1.0, 2.0]).quartiles(), [1.25, 1.5, 1.75]);
    }

    #[test]
    fn a_run_that_is_beyond_the_bound_as_a_whole_fails() {
        let slow = Ratios::of(vec![2.1, 2.2, 2.3, 2.2, 2.4]);
        assert_eq!(slow.judge(2.0), Verdict::Beyond);
        assert_eq!(slow.judge(2.5), Verdict::Within);
    }

    #[test]
    fn a_spread_that_reaches_the_bound_does_not_fail() {
        let noisy = Ratios::of(vec![1.5, 1.6, 1.7, 2.1, 2.4, 3.0, 9.0]);
        assert_eq!(noisy.judge(2.0), Verdict::Unclear);
    }

    #[test]
    fn a_few_disturbed_pairs_decide_nothing() {
        let disturbed = Ratios::of(vec![1.0, 1.0, 1.1, 1.1, 1.2, 40.0, 50.0, 60.0]);
        assert_eq!(disturbed.judge(1.5), Verdict::Within);
    }

    #[test]
    fn a_run_without_pairs_shows_nothing() {
        assert_eq!(Ratios::of(Vec::new()).judge(1.0), Verdict::Unclear);
    }

    #[test]
    fn ten_times_the_work_is_beyond_twice_the_time() {
        fn work(times: u64) -> Result<f64> {
            timed(|| {
                black_box((0..times * 200_000).fold(1_u64, |sum, n| black_box(sum.wrapping_mul(31) ^ n)));
                Ok(())
            })
        }
        let slow = Ratios::measure(9, |_| work(10), |_| work(1)).unwrap();
        assert_eq!(slow.judge(2.0), Verdict::Beyond, "{slow:?}");
        let alike = Ratios::measure(9, |_| work(1), |_| work(1)).unwrap();
        assert_ne!(alike.judge(2.0), Verdict::Beyond, "{alike:?}");
    }

    #[test]
    fn a_failure_of_either_is_the_failure_of_the_run() {
        let failed = Ratios::measure(3, |_| Ok(1.0), |_| anyhow::bail!("no floor"));
        assert_eq!(failed.unwrap_err().to_string(), "no floor");
    }
}
