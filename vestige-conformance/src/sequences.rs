//! Random sequences of operations, applied to the reference store and to the store under test.
//!
//! The two must give the same answer, or the same kind of error, to every
//! operation, and hold the same at the end: every kind of row, lists,
//! searches in all modes, neighbours, statistics, order included.
//!
//! A sequence that tells the two apart is made as short as it can be, and
//! printed with the seed that makes it again.

mod answer;
mod apply;
mod operation;
mod snapshot;

use std::env;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vestige_traits::clock::ManualClock;

use self::operation::{Operation, OperationTree};
use super::random::SplitMix64;
use super::{ReferenceStore, StoreFactory, TestBed};

/// How many sequences to try, and which.
#[derive(Clone, Copy, Debug)]
pub struct SequenceConfig {
    /// How many sequences. The variable `VESTIGE_PROPTEST_CASES` decides the default, and without it 32.
    pub cases: u32,
    /// How many operations a sequence has at most, besides the memories it begins with.
    pub operations: usize,
    /// Where the first sequence begins. The variable `VESTIGE_PROPTEST_SEED` decides the default,
    /// and without it chance.
    pub seed: u64,
    /// How many shorter or simpler sequences are tried once one has failed.
    pub shrinks: u32,
}

impl Default for SequenceConfig {
    fn default() -> Self {
        let chance = || RandomState::new().build_hasher().finish();
        Self {
            cases: variable("VESTIGE_PROPTEST_CASES").unwrap_or(32),
            operations: 40,
            seed: variable("VESTIGE_PROPTEST_SEED").unwrap_or_else(chance),
            shrinks: 400,
        }
    }
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

/// A sequence that tells a store from the reference store.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The seed that makes the sequence again.
    pub seed: u64,
    /// The operations of the shortest sequence found, in words.
    pub operations: Vec<String>,
    /// What the two stores said.
    pub difference: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, operations, difference } = self;
        writeln!(f, "{difference}\n\nafter these operations (VESTIGE_PROPTEST_SEED={seed}):")?;
        (0..).zip(operations).try_for_each(|(n, operation): (usize, _)| writeln!(f, "  {n}: {operation}"))
    }
}

/// Tries random sequences on new stores of `factory`.
///
/// # Panics
///
/// If a store and the reference store disagree, with the [`Disagreement`].
pub async fn run_sequences<F: StoreFactory>(factory: &F, config: &SequenceConfig) {
    if let Some(disagreement) = find_disagreement(factory, config).await {
        panic!("{disagreement}");
    }
}

/// Looks for a sequence that tells a store of `factory` from the reference store.
pub async fn find_disagreement<F: StoreFactory>(
    factory: &F,
    config: &SequenceConfig,
) -> Option<Disagreement> {
    for case in 0..u64::from(config.cases) {
        let seed = config.seed.wrapping_add(case);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng(seed));
        let Ok(trees) = operation::sequence(&mut runner, config.operations) else { continue };
        let operations: Vec<_> = trees.iter().map(|tree| tree.current()).collect();
        if let Some(found) = difference(factory, &operations).await {
            let mut shrinking = Shrinking { factory, trees, operations, found, left: config.shrinks };
            shrinking.delete().await;
            shrinking.simplify().await;
            shrinking.cut();
            let Shrinking { operations, found, .. } = shrinking;
            let operations = operations.iter().map(|operation| format!("{operation:?}")).collect();
            return Some(Disagreement { seed, operations, difference: found.1 });
        }
    }
    None
}

/// A sequence that fails, on its way to a shorter one.
struct Shrinking<'f, F> {
    factory: &'f F,
    trees: Vec<OperationTree>,
    /// The shortest sequence that is known to fail: one operation for each tree.
    operations: Vec<Operation>,
    found: (usize, String),
    left: u32,
}

impl<F: StoreFactory> Shrinking<'_, F> {
    /// Leaves out what can be left out, the last operations first.
    async fn delete(&mut self) {
        self.cut();
        for at in (0..self.operations.len()).rev() {
            if at >= self.operations.len() {
                continue;
            }
            let mut fewer = self.operations.clone();
            fewer.remove(at);
            if self.still_fails(fewer).await {
                self.trees.remove(at);
                self.cut();
            }
        }
    }

    /// Makes each operation as simple as it can be.
    async fn simplify(&mut self) {
        for at in 0..self.operations.len() {
            let mut moved = self.trees[at].simplify();
            while moved && self.left > 0 {
                let mut simpler = self.operations.clone();
                simpler[at] = self.trees[at].current();
                moved = match self.still_fails(simpler).await {
                    true => self.trees[at].simplify(),
                    false => self.trees[at].complicate(),
                };
            }
        }
    }

    /// Drops what comes after the failure.
    fn cut(&mut self) {
        self.operations.truncate(self.found.0);
        self.trees.truncate(self.found.0);
    }

    async fn still_fails(&mut self, operations: Vec<Operation>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match difference(self.factory, &operations).await {
            Some(found) => {
                (self.operations, self.found) = (operations, found);
                true
            }
            None => false,
        }
    }
}

fn rng(seed: u64) -> TestRng {
    let mut numbers = SplitMix64(seed);
    let bytes: Vec<u8> = (0..4).flat_map(|_| numbers.next().to_le_bytes()).collect();
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// After how many of the operations the store under test differs from the reference store, and how; none
/// if it does not.
async fn difference<F: StoreFactory>(factory: &F, operations: &[Operation]) -> Option<(usize, String)> {
    let bed = TestBed::new(factory).await?;
    let mut steps = 0;
    let difference = match unpanicked(compare(&bed, operations, &mut steps)).await {
        Ok(difference) => difference,
        Err(panic) => Some(format!("the store panicked: {panic}")),
    };
    bed.remove().await;
    difference.map(|difference| (steps, difference))
}

/// Compares the answers to the operations, and then everything. Counts the operations in `steps`.
async fn compare<F: StoreFactory>(
    bed: &TestBed<&F>,
    operations: &[Operation],
    steps: &mut usize,
) -> Option<String> {
    let reference = ReferenceStore::new(Arc::<ManualClock>::clone(&bed.clock));
    let references = [reference.another_handle(), reference];
    let another = bed.another_handle().await;
    let stores = [&bed.store, &another];
    for operation in operations {
        *steps += 1;
        let expected = apply::apply(operation, &references[operation.handle()], &bed.clock).await;
        let actual = apply::apply(operation, stores[operation.handle()], &bed.clock).await;
        if !expected.agrees_with(&actual) {
            return Some(format!(
                "the last operation disagrees\nreference: {expected:?}\nthis store: {actual:?}"
            ));
        }
        if let Operation::Advance(delta) = operation {
            bed.clock.advance(*delta);
        }
    }
    for handle in 0..2 {
        let expected = snapshot::snapshot(&references[handle]).await;
        let actual = snapshot::snapshot(stores[handle]).await;
        for ((what, expected), (_, actual)) in expected.iter().zip(&actual) {
            if !expected.agrees_with(actual) {
                return Some(format!("{what} disagrees\nreference: {expected:?}\nthis store: {actual:?}"));
            }
        }
    }
    None
}

/// Awaits a future and turns its panic into an error.
async fn unpanicked<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Poll::Ready(Err(text.unwrap_or_default()))
        }
    })
    .await
}
