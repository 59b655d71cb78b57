//! The further passages of memories whose content has several: documents of the keyword index beside the
//! first one, whose terms are in the row of the memory.

use std::collections::HashMap;

use uuid::Uuid;
use vestige_traits::MemoryStoreResult;

use crate::error;
use crate::session::Session;
use crate::tsvector::{MemoryTerms, TsVector};

/// Passages to be written, as columns.
#[derive(Default)]
pub(crate) struct Passages {
    memories: Vec<Uuid>,
    numbers: Vec<i32>,
    terms: Vec<TsVector>,
}

impl Passages {
    /// The further passages of one memory.
    pub(crate) fn of(memory: Uuid, terms: MemoryTerms) -> Self {
        let mut passages = Self::default();
        passages.add(memory, terms.further);
        passages
    }

    pub(crate) fn add(&mut self, memory: Uuid, further: Vec<TsVector>) {
        for (terms, number) in further.into_iter().zip(1..) {
            self.memories.push(memory);
            self.numbers.push(number);
            self.terms.push(terms);
        }
    }

    /// Writes them, in the place of those that are there. In the transaction that wrote the rows of their
    /// memories, which is why no other writes them meanwhile. A passage beyond the last is no more: a trigger
    /// has removed it with the change of the row.
    pub(crate) async fn write(&self, transaction: &mut Session) -> sqlx::Result<()> {
        if self.memories.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO keyword_passages AS known (memory_id, number, search_vec)
             SELECT * FROM unnest($1::uuid[], $2::int[], $3::tsvector[])
             ON CONFLICT (memory_id, number) DO UPDATE SET search_vec = excluded.search_vec
               WHERE known.search_vec <> excluded.search_vec",
            &self.memories,
            &self.numbers,
            &self.terms as _,
        )
        .execute(transaction)
        .await?;
        Ok(())
    }
}

/// The terms of the further passages of memories, in their order. A number that is missing makes them others
/// than those of the memory.
pub(crate) async fn stored(
    session: &mut Session,
    memories: &[Uuid],
) -> MemoryStoreResult<HashMap<Uuid, Vec<TsVector>>> {
    let rows = sqlx::query!(
        r#"SELECT memory_id, search_vec AS "search_vec: TsVector",
             number = row_number() OVER (PARTITION BY memory_id ORDER BY number) AS "in_order!"
           FROM keyword_passages WHERE memory_id = ANY ($1) ORDER BY memory_id, number"#,
        memories,
    )
    .fetch_all(session)
    .await
    .map_err(error::map)?;
    let mut passages = HashMap::<Uuid, Vec<TsVector>>::new();
    for row in rows {
        let known = passages.entry(row.memory_id).or_default();
        if row.in_order {
            known.push(row.search_vec);
        }
    }
    Ok(passages)
}
