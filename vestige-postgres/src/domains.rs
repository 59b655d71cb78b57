//! Regions of meaning.

use vestige_traits::{Domain, DomainScore, MemoryStoreError, MemoryStoreResult, limits};

use crate::error;
use crate::rows::{self, DomainRow};
use crate::store::PgMemoryStore;

impl PgMemoryStore {
    pub(crate) async fn read_domains(&self) -> MemoryStoreResult<Vec<Domain>> {
        let mut connection = self.connection().await?;
        sqlx::query_as!(
            DomainRow,
            "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
             FROM domains ORDER BY id"
        )
        .fetch_all(&mut connection)
        .await
        .map_err(error::of)?
        .into_iter()
        .map(Domain::try_from)
        .collect()
    }

    pub(crate) async fn read_domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>> {
        limits::check_name("domain.id", id)?;
        let mut connection = self.connection().await?;
        sqlx::query_as!(
            DomainRow,
            "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
             FROM domains WHERE id = $1",
            id,
        )
        .fetch_optional(&mut connection)
        .await
        .map_err(error::of)?
        .map(Domain::try_from)
        .transpose()
    }

    pub(crate) async fn write_domain(&self, domain: &Domain) -> MemoryStoreResult<()> {
        domain.validate()?;
        let domain = domain.clone().prepared();
        let spoken = self.spoken_parameters();
        let vector = domain.centroid.as_ref().map_or(0, Vec::len);
        let mut connection = self.writer().await?;
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
            spoken.name(),
            spoken.dimension(),
            spoken.hash(),
        )
        .execute(&mut connection)
        .await
        .map_err(|error| spoken.error(error, vector))?;
        connection.commit().await.map_err(error::of)
    }

    pub(crate) async fn remove_domain(&self, id: &str) -> MemoryStoreResult<()> {
        limits::check_name("domain.id", id)?;
        let mut connection = self.writer().await?;
        let deleted = sqlx::query!("DELETE FROM domains WHERE id = $1", id)
            .execute(&mut connection)
            .await
            .map_err(error::of)?;
        connection.commit().await.map_err(error::of)?;
        match deleted.rows_affected() {
            0 => Err(MemoryStoreError::not_found("domain", id)),
            _ => Ok(()),
        }
    }

    pub(crate) async fn score_domains(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>> {
        limits::check_embedding("embedding", embedding)?;
        let spoken = self.spoken_parameters();
        let mut connection = self.connection().await?;
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
            spoken.name(),
            spoken.dimension(),
            spoken.hash(),
        )
        .fetch_all(&mut connection)
        .await
        .map_err(|error| spoken.error(error, embedding.len()))
    }
}
