//! PostgreSQL's own ranking, `ts_rank_cd`, of the memories that hold any word of a question: what the keyword
//! leg of the Postgres store is measured against, on the same table and with the same words.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;
use vestige_traits::analysis::Analyzer;

use crate::agreement::Ranking;
use crate::data::Question;

const STATEMENT: &str = "
    WITH question AS MATERIALIZED (
      SELECT string_agg(quote_literal(term), ' | ')::tsquery AS words
      FROM unnest($1::text[]) AS asked (term)
    )
    SELECT n.id
    FROM knowledge_nodes AS n, question
    WHERE n.search_vec @@ question.words AND n.codebase = $2
    ORDER BY ts_rank_cd(n.search_vec, question.words) DESC, n.id
    LIMIT 10";

/// Asks every question of the store that has been filled at this URL: what is found, and the milliseconds it
/// took.
///
/// # Errors
///
/// Whatever the server says.
pub async fn run(
    url: &str,
    questions: &[Question],
    names: &HashMap<Uuid, &str>,
) -> Result<(Vec<Ranking>, Vec<f64>)> {
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await?;
    let (mut rankings, mut times) = (Vec::new(), Vec::new());
    let analyzer = Analyzer::default();
    for question in questions {
        let started = Instant::now();
        let terms: Vec<String> = analyzer.terms(&question.query).into_iter().map(|term| term.text).collect();
        let found: Vec<Uuid> =
            sqlx::query_scalar(STATEMENT).bind(terms).bind(&question.scope).fetch_all(&pool).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        let ranking: Vec<&str> = found.iter().filter_map(|id| names.get(id).copied()).collect();
        rankings.push(Ranking::new(&question.id, &ranking));
    }
    Ok((rankings, times))
}
