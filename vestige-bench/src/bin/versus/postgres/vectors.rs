//! Search by meaning, with and without a filter.

use anyhow::Result;
use sqlx::PgPool;
use uuid::Uuid;
use vestige_bench::sample::{number, only};
use vestige_traits::{MemoryStore, SearchQuery};

use super::database::{Filled, pool};
use crate::contest::{self, Contender};

const BARE: &str = "SELECT id FROM knowledge_nodes ORDER BY embedding <=> $1::real[]::vector LIMIT 10";
const FILTERED: &str = "SELECT id FROM knowledge_nodes WHERE codebase = $2 \
                        ORDER BY embedding <=> $1::real[]::vector LIMIT 10";

/// The filter is its share in words, and the code base.
pub(super) fn run(filled: &Filled<'_>, filter: Option<(&str, &'static str)>) -> Result<()> {
    let Filled { runtime, sample, options, store, .. } = filled;
    let runtime = *runtime;
    let codebase = filter.map(|(_, codebase)| codebase);
    let restricted = only(codebase);
    // What the server is told lasts as long as the connection, so that it costs no round trip.
    let _inside = runtime.enter();
    let wide = pool(options, &[("hnsw.ef_search", "200")]);
    let plain = pool(options, &[]);
    let iterative = pool(options, &[("hnsw.iterative_scan", "relaxed_order")]);
    let bare = |pool: PgPool| {
        move |n: usize| {
            let found = runtime.block_on(ids(&pool, codebase, &sample.questions[n].1))?;
            Ok(found.into_iter().map(number).collect())
        }
    };
    let contenders = vec![
        Contender::new("floor: the bare statement, ef_search 200", bare(wide)).note("ids alone"),
        Contender::new("Vestige", |n: usize| {
            let query = SearchQuery::embedding(sample.questions[n].1.clone()).filter(restricted.clone());
            let found = runtime.block_on(store.search(&query))?;
            Ok(found.iter().map(|hit| number(hit.record.id)).collect())
        }),
        Contender::new("pgvector's defaults", bare(plain)).note("ids alone"),
        Contender::new("pgvector's iterative scan, relaxed_order", bare(iterative)).note("ids alone"),
    ];
    let name = filter.map_or(String::new(), |(share, _)| format!(", filter lets {share} through"));
    let truth = sample.truth(codebase);
    contest::run(
        &format!("Vector search, PostgreSQL{name}"),
        sample.questions.len(),
        contenders.into_iter().map(|one| one.truth(&truth)).collect(),
    )
}

async fn ids(pool: &PgPool, codebase: Option<&str>, vector: &[f32]) -> sqlx::Result<Vec<Uuid>> {
    match codebase {
        None => sqlx::query_scalar(BARE).bind(vector).fetch_all(pool).await,
        Some(codebase) => sqlx::query_scalar(FILTERED).bind(vector).bind(codebase).fetch_all(pool).await,
    }
}
