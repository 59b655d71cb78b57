//! The times of one contender that answers many questions.

use std::time::Instant;

use anyhow::Result;

/// Times in milliseconds.
#[derive(Clone, Debug)]
pub struct Times(Vec<f64>);

impl Times {
    /// In any order.
    pub fn of(mut times: Vec<f64>) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        Self(times)
    }

    /// The smallest time that this share of all does not exceed.
    pub fn percentile(&self, share: f64) -> f64 {
        let at = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// How many milliseconds some work takes.
///
/// # Errors
///
/// The work's.
pub fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
