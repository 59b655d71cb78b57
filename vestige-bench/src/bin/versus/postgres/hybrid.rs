//! Search by words and meaning at once.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;
use vestige_bench::sample::{number, only};
use vestige_postgres::PgMemoryStore;
use vestige_traits::{MemoryStore, SearchQuery};

use super::database::{Filled, pool};
use super::statement::{self, Asked, Pgbench};
use crate::contest::{self, Contender, TURN};
use crate::table;

/// The legs that a client would fuse: $1 is the vector, $2 the question, $3 the code base or null.
const NEAR: &str = "
    SELECT id FROM knowledge_nodes WHERE ($3::text IS NULL OR codebase = $3) AND $2 = $2
    ORDER BY embedding <=> $1::real[]::vector LIMIT 100";

/// Any word of the question, which is more than most would ask for: all of them find nothing for most
/// questions.
const WORDS: &str = "
    WITH question AS MATERIALIZED (
      SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS words
      FROM unnest(to_tsvector('english', $2)) AS found (lexeme, positions, weights)
    )
    SELECT n.id FROM knowledge_nodes AS n, question
    WHERE n.search_vec @@ question.words AND ($3::text IS NULL OR codebase = $3) AND $1 IS NOT NULL
    ORDER BY ts_rank_cd(n.search_vec, question.words) DESC LIMIT 100";

/// Reciprocal rank fusion in one statement, after the example of pgvector.
const FUSED: &str = "
    WITH near AS MATERIALIZED (
      SELECT id, embedding <=> $1::real[]::vector AS distance FROM knowledge_nodes
      WHERE $3::text IS NULL OR codebase = $3
      ORDER BY embedding <=> $1::real[]::vector LIMIT 100
    ),
    question AS MATERIALIZED (
      SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS words
      FROM unnest(to_tsvector('english', $2)) AS found (lexeme, positions, weights)
    ),
    said AS MATERIALIZED (
      SELECT n.id, ts_rank_cd(n.search_vec, question.words) AS score
      FROM knowledge_nodes AS n, question
      WHERE n.search_vec @@ question.words AND ($3::text IS NULL OR codebase = $3)
      ORDER BY score DESC LIMIT 100
    )
    SELECT id FROM (
      SELECT id, 1.0::float8 / (60 + rank() OVER (ORDER BY distance)) AS score FROM near
      UNION ALL
      SELECT id, 1.0::float8 / (60 + rank() OVER (ORDER BY score DESC)) FROM said
    ) AS legs
    GROUP BY id ORDER BY sum(score) DESC LIMIT 10";

/// The filter is its share in words, and the code base.
pub(super) fn run(filled: &Filled<'_>, filter: Option<(&str, &'static str)>) -> Result<()> {
    let Filled { runtime, sample, options, store, exact } = filled;
    let runtime = *runtime;
    let questions = &sample.questions;
    let codebase = filter.map(|(_, codebase)| codebase);
    let restricted = only(codebase);
    let _inside = runtime.enter();
    let plain = pool(options, &[]);
    let told = pool(options, &statement::SETTINGS);
    let by_both = |n: usize| {
        let (text, vector) = &questions[n];
        SearchQuery::hybrid(text, vector.clone()).filter(restricted.clone())
    };
    let ask = |store: &PgMemoryStore, query: &SearchQuery| -> Result<Vec<usize>> {
        let found = runtime.block_on(store.search(query))?;
        Ok(found.iter().map(|hit| number(hit.record.id)).collect())
    };
    let peer = |sql: &'static str, n: usize| -> Result<Vec<Uuid>> {
        let (text, vector) = &questions[n];
        let asked = sqlx::query_scalar(sql).bind(vector).bind(text).bind(codebase);
        Ok(runtime.block_on(asked.fetch_all(&plain))?)
    };

    let pgbench = Pgbench::find(options)?;
    let turn = RefCell::new(Vec::new());
    let mut contenders = Vec::new();
    if filter.is_none() {
        let prepared = statement::search(sample, ["$1", "$2", "$3", "$4"]);
        for (n, question) in questions.iter().enumerate().take(TURN) {
            let mut found = [runtime.block_on(bare(&told, &prepared, question))?, ask(store, &by_both(n))?];
            found.iter_mut().for_each(|found| found.sort_unstable());
            let [bare, ours] = found;
            let asked = &question.0;
            ensure!(bare == ours, "the bare statement finds {bare:?} for {asked:?}, Vestige {ours:?}");
        }
        match &pgbench {
            None => table::note("No row by pgbench: this machine has none."),
            Some(pgbench) => {
                contenders.push(Contender::timed("floor: the same statement, pgbench -M prepared", |n| {
                    if n % TURN == 0 {
                        *turn.borrow_mut() = pgbench.turn(sample, n)?;
                    }
                    turn.borrow().get(n % TURN).copied().context("a question that was not asked")
                }));
            }
        }
        contenders.push(Contender::new("the same statement, prepared, by the driver", {
            let told = &told;
            move |n: usize| runtime.block_on(bare(told, &prepared, &questions[n]))
        }));
    }
    contenders.push(Contender::new("Vestige", |n| ask(store, &by_both(n))));
    if filter.is_none() {
        contenders.push(Contender::new("Vestige, words alone", |n| {
            ask(store, &SearchQuery::text(&questions[n].0))
        }));
        contenders.push(Contender::new("Vestige, meaning alone", |n| {
            ask(store, &SearchQuery::embedding(questions[n].1.clone()))
        }));
    }
    contenders.push(
        Contender::new("two statements, fused by the client", |n| {
            let mut scores: HashMap<Uuid, f64> = HashMap::new();
            for sql in [NEAR, WORDS] {
                for (rank, id) in (1..).zip(peer(sql, n)?) {
                    *scores.entry(id).or_default() += 1.0 / f64::from(60 + rank);
                }
            }
            let mut ranked: Vec<_> = scores.into_iter().collect();
            ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
            Ok(ranked.into_iter().take(10).map(|(id, _)| number(id)).collect())
        })
        .note("ids alone; another ranking"),
    );
    contenders.push(
        Contender::new("ts_rank_cd and RRF in one statement", |n| {
            Ok(peer(FUSED, n)?.into_iter().map(number).collect())
        })
        .note("ids alone; another ranking"),
    );
    // The same ranking with nothing left out: every vector compared, every memory with one of the words
    // scored.
    let truth: Vec<HashSet<usize>> = (0..questions.len())
        .map(|n| Ok(ask(exact, &by_both(n))?.into_iter().collect()))
        .collect::<Result<_>>()?;
    let name = filter.map_or(String::new(), |(share, _)| format!(", filter lets {share} through"));
    contest::run(
        &format!("Hybrid search, PostgreSQL, {} memories{name}", sample.texts.len()),
        questions.len(),
        contenders.into_iter().map(|one| one.truth(&truth)).collect(),
    )
}

/// What the statement finds without Vestige around it. All columns come, and the ids are read.
async fn bare(pool: &PgPool, sql: &str, (text, vector): &(String, Vec<f32>)) -> Result<Vec<usize>> {
    use sqlx::Row as _;
    let asked = Asked::new(text);
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(asked.terms)
        .bind(asked.weights)
        .bind(asked.admission)
        .bind(vector)
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Ok(number(row.try_get("id")?))).collect()
}
