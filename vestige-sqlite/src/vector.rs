//! The vector leg, in three steps: sketches of two bits for each dimension rule out most vectors, quantised
//! codes rule out most others, and what is left is scored exactly.

mod blocks;
mod code;
mod estimate;
mod filtered;
mod index;
mod on_disk;
mod scan;
mod sketch;
mod slots;
mod top_k;
mod turned;
mod vectors;

use rusqlite::{Transaction, params};
use vestige_traits::MemoryStoreResult;

pub(crate) use code::encode;
pub(crate) use index::{SharedIndex, VectorIndex};
pub(crate) use top_k::Candidate;

use crate::error::map;

/// Writes the code of a node that has none.
pub(crate) fn add(tx: &Transaction<'_>, node: i64, embedding: &[f32]) -> MemoryStoreResult<()> {
    tx.prepare_cached("INSERT INTO vector_codes (node, code) VALUES (?, ?)")
        .and_then(|mut statement| statement.execute(params![node, encode(embedding)]))
        .map_err(map)?;
    Ok(())
}

/// Removes the code of a node, if it has one.
pub(crate) fn clear(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<()> {
    tx.prepare_cached("DELETE FROM vector_codes WHERE node = ?")
        .and_then(|mut statement| statement.execute([node]))
        .map_err(map)?;
    Ok(())
}

/// Numbers around 0, the same in every run.
#[cfg(test)]
fn noise() -> impl FnMut() -> f32 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}
