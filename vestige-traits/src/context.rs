use serde::{Deserialize, Serialize};

use crate::error::MemoryStoreResult;
use crate::limits;
use crate::record::MemoryRecord;

/// The memories just before and just after a memory in its session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionContext {
    /// Those before it, oldest first: the nearest is the last.
    pub before: Vec<MemoryRecord>,
    /// Those after it, oldest first: the nearest is the first.
    pub after: Vec<MemoryRecord>,
}

impl SessionContext {
    /// Checks what [`get_context`](crate::MemoryStore::get_context) is asked for: how many memories, and how
    /// many before and after each. So an answer has at most `2 * MAX_LIMIT` memories.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming `ids` above [`limits::MAX_LIMIT`], and
    /// `context` above [`limits::MAX_CONTEXT`], or where it is more than [`limits::MAX_LIMIT`] in all.
    pub fn check(ids: usize, context: usize) -> MemoryStoreResult<()> {
        limits::check_len("ids", ids, limits::MAX_LIMIT)?;
        let most = limits::MAX_CONTEXT.min(limits::MAX_LIMIT / ids.max(1));
        let rule = || format!("is {context}, must be at most {most} for {ids} memories");
        limits::check("context", context <= most, rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_memories_have_less_context_each() {
        for (ids, context, fits) in [
            (0, 20, true),
            (1, 20, true),
            (1, 21, false),
            (50, 20, true),
            (51, 20, false),
            (1000, 1, true),
            (1000, 2, false),
            (1001, 0, false),
            (usize::MAX, usize::MAX, false),
        ] {
            assert_eq!(SessionContext::check(ids, context).is_ok(), fits, "{context} each of {ids}");
        }
        let error = SessionContext::check(100, 11).unwrap_err().to_string();
        assert_eq!(error, "context: is 11, must be at most 10 for 100 memories");
    }
}
