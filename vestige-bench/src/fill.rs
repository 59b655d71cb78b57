//! Taking a sample in.

use std::time::Instant;

use anyhow::Result;
use vestige_traits::{MemoryRecord, MemoryStore};

use crate::sample::Sample;

/// Memories in one transaction.
pub const BATCH: usize = 1000;

/// What a store took to be filled, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    /// For all batches.
    pub insert: f64,
    /// For building, once they were in, what a bulk load leaves for its end.
    pub index: f64,
}

/// Fills an empty store as a bulk load. Making the records is not counted.
///
/// # Errors
///
/// The store's.
pub async fn fill(store: &impl MemoryStore, sample: &Sample) -> Result<Filling> {
    fill_with(store, sample, |n| sample.record(n)).await
}

/// As [`fill`], with the records that are made for each number.
///
/// # Errors
///
/// The store's.
pub async fn fill_with(
    store: &impl MemoryStore,
    sample: &Sample,
    record: impl Fn(usize) -> MemoryRecord,
) -> Result<Filling> {
    store.register_model(&sample.signature()).await?;
    store.begin_bulk_load().await?;
    let mut insert = 0.0;
    for first in (0..sample.texts.len()).step_by(BATCH) {
        let last = sample.texts.len().min(first + BATCH);
        let records: Vec<_> = (first..last).map(&record).collect();
        let started = Instant::now();
        store.insert_batch(&records).await?;
        insert += started.elapsed().as_secs_f64();
    }
    let started = Instant::now();
    store.finish_bulk_load().await?;
    Ok(Filling { insert, index: started.elapsed().as_secs_f64() })
}
