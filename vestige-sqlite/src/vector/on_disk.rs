//! The same scan with the codes left in the file: slower, and in no memory.

use rusqlite::Transaction;
use vestige_traits::MemoryStoreResult;

use super::code::{quantize, split};
use super::scan::dot_rows;
use super::top_k::{Candidate, TopK};
use crate::error::map;
use crate::filter::Admission;

/// Nodes among which are the admitted `count` nearest to `query`, and those that tie with them. In no order.
pub(super) fn nearest(
    view: &Transaction<'_>,
    query: &[f32],
    admission: &Admission,
    count: usize,
) -> MemoryStoreResult<Vec<Candidate>> {
    let (_, query) = quantize(query);
    let enough = count + (count / 2).max(32);
    let mut top = TopK::new(enough);
    let mut row_codes = Vec::with_capacity(query.len());
    let mut statement =
        view.prepare_cached("SELECT node, code FROM vector_codes ORDER BY node").map_err(map)?;
    let mut rows = statement.query([]).map_err(map)?;
    while let Some(row) = rows.next().map_err(map)? {
        let node: i64 = row.get(0).map_err(map)?;
        // A row id that SQLite gives out is above 0.
        let Ok(slot) = usize::try_from(node) else { continue };
        let stored = row.get_ref(1).map_err(map)?.as_blob().unwrap_or_default();
        let Some((scale, codes)) = split(stored).filter(|(_, codes)| codes.len() == query.len()) else {
            continue;
        };
        if !admission.admits(node) {
            continue;
        }
        row_codes.clear();
        row_codes.extend(codes.iter().map(|byte| byte.cast_signed()));
        let mut sum = [0];
        dot_rows(&query, &row_codes, &mut sum);
        top.offer(sum[0] as f32 * scale, 0.0, slot);
    }
    let nodes = top.finish(enough).filter_map(|offer| i64::try_from(offer.slot).ok());
    Ok(nodes.map(Candidate::unknown).collect())
}
