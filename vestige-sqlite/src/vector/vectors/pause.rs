//! How long searches do without a step that ruled out too little.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many searches skip a step after it ruled out too little.
const PAUSED_SEARCHES: u32 = 30;

/// How many coming searches skip a step.
#[derive(Debug, Default)]
pub(super) struct Pause(AtomicU32);

/// A pause for each kind of search: for few results or many, and with a filter or without. A step that rules
/// out too little for one kind may be worth its time for another.
pub(super) type Pauses = [[Pause; 2]; 2];

impl Pause {
    /// Whether this search skips the step.
    pub(super) fn skip(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    pub(super) fn begin(&self) {
        self.0.store(PAUSED_SEARCHES, Ordering::Relaxed);
    }
}
