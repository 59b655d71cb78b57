//! Writes into a store that holds memories: `ingest/one/BACKEND/SIZE` and `ingest/batch-100/BACKEND/SIZE`.

mod common;

use std::time::{Duration, Instant};

use common::Home;
use criterion::{Criterion, criterion_group, criterion_main};
use vestige_bench::sample::Sample;
use vestige_traits::{AnyMemoryStore, MemoryRecord, MemoryStore};

/// Memories like those of the sample, with new ids.
fn records(sample: &Sample, count: usize, next: &mut usize) -> Vec<MemoryRecord> {
    let record = |n: usize| sample.record(n % sample.texts.len()).id(MemoryRecord::new("").id);
    let first = *next;
    *next += count;
    (first..*next).map(record).collect()
}

/// The time of one write, and takes away again what it wrote, so that the store stays as large as it is
/// called.
async fn write(store: &AnyMemoryStore, records: &[MemoryRecord]) -> Duration {
    let before = store.count().await.expect("a count");
    let began = Instant::now();
    match records {
        [record] => store.insert(record).await.expect("it is stored"),
        records => store.insert_batch(records).await.expect("they are stored"),
    }
    let took = began.elapsed();
    assert_eq!(store.count().await.expect("a count"), before + records.len() as u64);
    for record in records {
        store.delete(record.id).await.expect("it is deleted");
    }
    took
}

fn ingest(criterion: &mut Criterion) {
    let (runtime, home) = (common::runtime(), Home::new());
    for (memories, size) in common::sizes() {
        let sample = common::sample(memories);
        for (backend, store) in home.empty(&runtime) {
            runtime.block_on(common::fill(&store, &sample));
            for (name, count) in [("one", 1), ("batch-100", 100)] {
                let mut next = 0;
                criterion.bench_function(&format!("ingest/{name}/{backend}/{size}"), |bencher| {
                    bencher.iter_custom(|iterations| {
                        (0..iterations)
                            .map(|_| runtime.block_on(write(&store, &records(&sample, count, &mut next))))
                            .sum()
                    });
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = ingest
}
criterion_main!(benches);
