//! The bundled model: `embed/bundled/one` and `embed/bundled/batch-100`.

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vestige_embed::StaticEmbedder;
use vestige_traits::Embedder;

fn embed(criterion: &mut Criterion) {
    let (runtime, sample) = (common::runtime(), common::sample(1000));
    let model = StaticEmbedder::bundled();
    let known = |text: &&str| model.embed(text).is_some();
    // A generated text has no word that a model of English knows.
    let english = ["The kitten was treated for an ear infection.", "The invoice run takes four minutes."];
    let mut texts: Vec<&str> = sample.texts.iter().map(String::as_str).filter(known).collect();
    while texts.len() < 100 {
        texts.extend(english);
    }
    let mut group = criterion.benchmark_group("embed/bundled");
    for (name, count) in [("one", 1), ("batch-100", 100)] {
        group.throughput(Throughput::Elements(count as u64));
        let mut next = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                next = (next + 1) % (texts.len() - count + 1);
                let vectors = runtime.block_on(model.embed_documents(&texts[next..next + count]));
                assert_eq!(vectors.expect("vectors").len(), count);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
