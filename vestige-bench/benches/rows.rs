//! Rows by their ids and as a whole: `get/BACKEND/SIZE`, `export/BACKEND/SIZE`, `open/sqlite/SIZE` (to the
//! first answer), `copy/sqlite-sqlite/SIZE`.

mod common;

use std::time::{Duration, Instant};

use common::Home;
use criterion::{Criterion, criterion_group, criterion_main};
use vestige_bench::sample::{Sample, id};
use vestige_migrate::Copier;
use vestige_migrate::archive::Exporter;
use vestige_traits::transfer::TransferKind;
use vestige_traits::{MemoryStore, SearchQuery};

fn get(criterion: &mut Criterion) {
    let (runtime, home) = (common::runtime(), Home::new());
    for (memories, size) in common::sizes() {
        let sample = common::sample(memories);
        for (backend, store) in home.filled(&runtime, &sample) {
            let mut next = 0;
            criterion.bench_function(&format!("get/{backend}/{size}"), |bencher| {
                bencher.iter(|| {
                    // A step that has no divisor in common with the sizes: all are read, in no order of the
                    // file.
                    next = (next + 7919) % memories;
                    let found = runtime.block_on(store.get(id(next))).expect("an answer");
                    assert_eq!(found.expect("it is there").content, sample.texts[next]);
                });
            });
            criterion.bench_function(&format!("export/{backend}/{size}"), |bencher| {
                bencher.iter(|| {
                    let report = runtime.block_on(Exporter::new(&store).write(&mut std::io::sink()));
                    let counts = report.expect("an archive").inventory.counts;
                    assert_eq!(counts[TransferKind::Memory], memories as u64);
                });
            });
        }
    }
}

fn open(criterion: &mut Criterion) {
    let (runtime, home) = (common::runtime(), Home::new());
    for (memories, size) in common::sizes() {
        let sample = common::sample(memories);
        let path = home.sqlite(&runtime, &sample);
        let (text, vector) = &sample.questions[0];
        let query = SearchQuery::hybrid(text, vector.clone());
        criterion.bench_function(&format!("open/sqlite/{size}"), |bencher| {
            bencher.iter(|| {
                let store = common::open(&path);
                let found = runtime.block_on(store.search(&query)).expect("an answer");
                assert_eq!(found.len(), 10);
            });
        });
    }
}

/// The time of a copy into a new file, which is checked by its count alone.
async fn copy_once(home: &Home, from: &Sample, path: &std::path::Path) -> Duration {
    let target = home.path("copy.db");
    for file in ["copy.db", "copy.db-wal", "copy.db-shm"] {
        drop(std::fs::remove_file(home.path(file)));
    }
    let (source, target) = (common::open(path), common::open(&target));
    let began = Instant::now();
    let report = Copier::new("bench", &source, &target).verify(false).run().await.expect("a copy");
    let took = began.elapsed();
    assert!(report.is_lossless());
    assert_eq!(target.count().await.expect("a count"), from.texts.len() as u64);
    took
}

fn copy(criterion: &mut Criterion) {
    let (runtime, home) = (common::runtime(), Home::new());
    for (memories, size) in common::sizes() {
        let sample = common::sample(memories);
        let path = home.sqlite(&runtime, &sample);
        criterion.bench_function(&format!("copy/sqlite-sqlite/{size}"), |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations).map(|_| runtime.block_on(copy_once(&home, &sample, &path))).sum()
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = get, open, copy
}
criterion_main!(benches);
