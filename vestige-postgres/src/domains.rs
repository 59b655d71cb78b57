//! Regions of meaning.

use vestige_traits::backend::Prepared;
use vestige_traits::{Domain, DomainScore, MemoryStoreError, MemoryStoreResult};

use crate::error;
use crate::registry::BoundModel;
use crate::rows::{self, DomainRow};
use crate::session::Session;

pub(crate) async fn list_domains(session: &mut Session) -> MemoryStoreResult<Vec<Domain>> {
    sqlx::query_as!(
        DomainRow,
        "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
         FROM domains ORDER BY id"
    )
    .fetch_all(session)
    .await
    .map_err(error::map)?
    .into_iter()
    .map(Domain::try_from)
    .collect()
}

pub(crate) async fn get_domain(session: &mut Session, id: &str) -> MemoryStoreResult<Option<Domain>> {
    sqlx::query_as!(
        DomainRow,
        "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
         FROM domains WHERE id = $1",
        id,
    )
    .fetch_optional(session)
    .await
    .map_err(error::map)?
    .map(Domain::try_from)
    .transpose()
}

pub(crate) async fn upsert_domain(
    mut session: Session,
    domain: &Prepared<'_, Domain>,
    model: &BoundModel,
) -> MemoryStoreResult<()> {
    let vector = domain.centroid.as_ref().map_or(0, Vec::len);
    sqlx::query!(
        "INSERT INTO domains (id, label, centroid, top_terms, memory_count, created_at, metadata)
         VALUES (
           $1, $2,
           CASE WHEN vestige_model_takes($8, $9, $10, cardinality($3::real[])) THEN $3::real[]::vector END,
           $4, $5, $6, $7
         )
         ON CONFLICT (id) DO UPDATE SET
           label = excluded.label, centroid = excluded.centroid, top_terms = excluded.top_terms,
           memory_count = excluded.memory_count, created_at = excluded.created_at,
           metadata = excluded.metadata",
        domain.id,
        domain.label,
        domain.centroid.as_deref() as Option<&[f32]>,
        &domain.top_terms,
        rows::big(domain.memory_count),
        domain.created_at,
        domain.metadata,
        model.name(),
        model.dimension(),
        model.hash(),
    )
    .execute(&mut session)
    .await
    .map_err(|error| model.map_error(error, vector))?;
    session.commit().await.map_err(error::map)
}

pub(crate) async fn delete_domain(mut session: Session, id: &str) -> MemoryStoreResult<()> {
    let deleted = sqlx::query!("DELETE FROM domains WHERE id = $1", id)
        .execute(&mut session)
        .await
        .map_err(error::map)?;
    session.commit().await.map_err(error::map)?;
    match deleted.rows_affected() {
        0 => Err(MemoryStoreError::not_found("domain", id)),
        _ => Ok(()),
    }
}

pub(crate) async fn classify(
    session: &mut Session,
    embedding: &[f32],
    model: &BoundModel,
) -> MemoryStoreResult<Vec<DomainScore>> {
    sqlx::query_as!(
        DomainScore,
        r#"SELECT id AS domain, similarity AS "score!"
           FROM domains
           CROSS JOIN LATERAL (
             SELECT round(sum(a::float8 * b) / sqrt(sum(a::float8 * a) * sum(b::float8 * b)) * 1e9) / 1e9
             FROM (SELECT unnest(centroid::real[]) AS a, unnest($1::real[]) AS b)
           ) AS measured (similarity)
           WHERE (SELECT vestige_model_matches($2, $3, $4, cardinality($1::real[]))) AND centroid IS NOT NULL
           ORDER BY 2 DESC, id"#,
        embedding,
        model.name(),
        model.dimension(),
        model.hash(),
    )
    .fetch_all(session)
    .await
    .map_err(|error| model.map_error(error, embedding.len()))
}
