//! What stands around memories in their sessions.

use std::collections::HashMap;

use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStoreResult, SessionContext};

use crate::connection::Connections;
use crate::error;
use crate::records;
use crate::rows;

/// At most `each` memories before and after each of these.
pub(crate) async fn get_context(
    connections: &Connections,
    ids: &[Uuid],
    each: usize,
) -> MemoryStoreResult<Vec<SessionContext>> {
    let mut contexts = vec![SessionContext::default(); ids.len()];
    if ids.is_empty() || each == 0 {
        return Ok(contexts);
    }
    // What stands there and its rows are read by two statements, which have to see the same.
    let mut snapshot = connections.snapshot().await?;
    let around = sqlx::query_file!("src/sql/context.sql", ids, rows::parameter(each))
        .fetch_all(&mut snapshot)
        .await
        .map_err(error::map)?;
    let mut found: Vec<Uuid> = around.iter().map(|row| row.id).collect();
    found.sort_unstable();
    found.dedup();
    let records = records::get_many(&mut snapshot, &found).await?;
    snapshot.commit().await.map_err(error::map)?;

    let records: HashMap<Uuid, MemoryRecord> =
        records.into_iter().map(|record| (record.id, record)).collect();
    for row in around {
        let place = usize::try_from(row.number - 1).ok();
        let Some(context) = place.and_then(|place| contexts.get_mut(place)) else { continue };
        let side = if row.is_before { &mut context.before } else { &mut context.after };
        side.extend(records.get(&row.id).cloned());
    }
    Ok(contexts)
}
