use std::fmt;
use std::time::{Duration, Instant};

use vestige_traits::transfer::TransferKind;

/// How far a piece of work has come, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How many rows of the phase are done.
    pub done: u64,
    /// How many there are, as far as is known; 0 if that is not known.
    pub total: u64,
    /// Rows per second since the phase began in this process; 0 at its beginning.
    pub rate: f64,
}

impl Progress {
    /// How long the phase will still take at this rate; none while that cannot be said.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.total.checked_sub(self.done).filter(|_| self.total > 0 && self.rate > 0.0)?;
        Duration::try_from_secs_f64(left as f64 / self.rate).ok()
    }
}

/// The phases of a piece of work. Not every work has every phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reading everything once, to count and to digest.
    Measuring,
    /// Checking an archive.
    Checking,
    /// Writing an archive.
    Exporting,
    /// Moving rows; the kind is the one at work.
    Copying(TransferKind),
    /// Building the indexes that were left out while rows were loaded.
    Indexing,
    /// Comparing every row of both sides.
    Verifying,
    /// Comparing searches of both sides.
    Searching,
    /// Computing vectors of the new model.
    Embedding,
    /// Computing vectors of what came in meanwhile.
    CatchingUp,
    /// Putting the new vectors in the place of the old ones.
    Switching,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measuring => f.write_str("measuring"),
            Self::Checking => f.write_str("checking the archive"),
            Self::Exporting => f.write_str("exporting"),
            Self::Copying(kind) => write!(f, "copying {}", plural(*kind)),
            Self::Indexing => f.write_str("building indexes"),
            Self::Verifying => f.write_str("verifying rows"),
            Self::Searching => f.write_str("comparing searches"),
            Self::Embedding => f.write_str("embedding"),
            Self::CatchingUp => f.write_str("catching up"),
            Self::Switching => f.write_str("switching to the new model"),
        }
    }
}

fn plural(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::User => "users",
        TransferKind::Group => "groups",
        TransferKind::GroupMembership => "group memberships",
        TransferKind::Domain => "domains",
        TransferKind::Memory => "memories",
        TransferKind::Scheduling => "scheduling states",
        TransferKind::Edge => "edges",
        TransferKind::ReviewEvent => "review events",
    }
}

type Callback<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;

/// Where progress goes: a callback, and the clock of the phase at work.
#[derive(Default)]
pub(crate) struct Reporter<'a> {
    callback: Option<Callback<'a>>,
    phase: Option<(Phase, Instant, u64)>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        Self { callback: Some(Box::new(callback)), phase: None }
    }

    /// Tells the callback. A change from one kind to the next goes on with the rate of the phase.
    pub(crate) fn report(&mut self, phase: Phase, done: u64, total: u64) {
        let Some(callback) = &mut self.callback else { return };
        let same = |known: Phase| match (known, phase) {
            (Phase::Copying(_), Phase::Copying(_)) => true,
            _ => known == phase,
        };
        let (_, began, at_begin) = match self.phase {
            Some(known) if same(known.0) && done >= known.2 => known,
            _ => *self.phase.insert((phase, Instant::now(), done)),
        };
        let seconds = began.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { (done - at_begin) as f64 / seconds } else { 0.0 };
        callback(&Progress { phase, done, total: if total == 0 { 0 } else { total.max(done) }, rate });
    }
}

impl fmt::Debug for Reporter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("phase", &self.phase).finish_non_exhaustive()
    }
}
