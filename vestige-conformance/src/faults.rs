use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use vestige_traits::backend::for_each_operation;
use vestige_traits::{MemoryStore, MemoryStoreError, MemoryStoreResult};

use super::random::SplitMix64;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does not reach the store, and its answer is an error.
    Before,
    /// The store does the work and commits it; the answer is lost on the way, so it is an error too.
    After,
    /// The call reaches the store after this time.
    Latency(Duration),
}

/// A fault, the calls that it may hit, and how often it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRule {
    operation: Option<&'static str>,
    fault: Fault,
    probability: f64,
}

impl FaultRule {
    /// Hits every call.
    pub fn always(fault: Fault) -> Self {
        Self { operation: None, fault, probability: 1.0 }
    }

    /// Hits calls of one operation alone, such as `insert_batch`.
    ///
    /// # Panics
    ///
    /// If [`MemoryStore`] has no operation of this name.
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        let known = OPERATIONS.iter().find(|name| **name == operation);
        assert!(known.is_some(), "MemoryStore has no operation {operation:?}");
        self.operation = known.copied();
        self
    }

    /// Hits each call with this probability, 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

/// A fault that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InjectedFault {
    /// The operation that was called.
    pub operation: &'static str,
    /// What went wrong with it.
    pub fault: Fault,
}

/// Any store, made slow and unreliable.
///
/// The same seed and the same calls give the same faults. Each rule is asked
/// for each call, in their order. The errors are
/// [`Unavailable`](MemoryStoreError::Unavailable) and retryable, like that of a
/// connection that was cut.
///
/// ```
/// use std::sync::Arc;
/// use vestige_conformance::{Fault, FaultRule, FaultStore, ReferenceStore};
/// use vestige_traits::clock::SystemClock;
/// use vestige_traits::{MemoryRecord, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultStore::new(ReferenceStore::new(Arc::new(SystemClock)), 42)
///     .rule(FaultRule::always(Fault::After).on("insert"));
/// let error = store.insert(&MemoryRecord::new("a note")).await.unwrap_err();
/// assert!(error.is_retryable());
/// assert_eq!(store.count().await.unwrap(), 1, "it was committed all the same");
/// # }
/// ```
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: S,
    rules: Mutex<Vec<FaultRule>>,
    random: Mutex<SplitMix64>,
    injected: Mutex<Vec<InjectedFault>>,
}

impl<S> FaultStore<S> {
    /// A store that behaves until a rule is added. `seed` decides which calls a rule hits.
    pub fn new(inner: S, seed: u64) -> Self {
        Self {
            inner,
            rules: Mutex::default(),
            random: Mutex::new(SplitMix64(seed)),
            injected: Mutex::default(),
        }
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(self, rule: FaultRule) -> Self {
        lock(&self.rules).push(rule);
        self
    }

    /// Puts other rules in the place of the present ones. None of them: the store behaves again.
    pub fn set_rules(&self, rules: Vec<FaultRule>) {
        *lock(&self.rules) = rules;
    }

    /// What was injected so far.
    pub fn injected(&self) -> Vec<InjectedFault> {
        lock(&self.injected).clone()
    }

    /// The store behind the faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Decides the faults of one call.
    fn plan(&self, operation: &'static str) -> Plan {
        let mut plan = Plan { operation, before: false, after: false, latency: Duration::ZERO };
        for rule in lock(&self.rules).iter() {
            let concerned = rule.operation.is_none_or(|name| name == operation);
            if !concerned || lock(&self.random).fraction() >= rule.probability {
                continue;
            }
            lock(&self.injected).push(InjectedFault { operation, fault: rule.fault });
            match rule.fault {
                Fault::Before => plan.before = true,
                Fault::After => plan.after = true,
                Fault::Latency(latency) => plan.latency += latency,
            }
        }
        plan
    }
}

struct Plan {
    operation: &'static str,
    before: bool,
    after: bool,
    latency: Duration,
}

impl Plan {
    async fn begin(&self) -> MemoryStoreResult<()> {
        sleep(self.latency).await;
        if self.before { Err(self.error("before")) } else { Ok(()) }
    }

    fn end<T>(&self, answer: MemoryStoreResult<T>) -> MemoryStoreResult<T> {
        if self.after && answer.is_ok() { Err(self.error("after")) } else { answer }
    }

    fn error(&self, when: &str) -> MemoryStoreError {
        let reason = format!("a fault was injected {when} {}", self.operation);
        MemoryStoreError::Unavailable { reason, retryable: true, source: None }
    }
}

macro_rules! inject_faults {
    ($( $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),*) -> $answer:ty; )*) => {
        const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        impl<S: MemoryStore + Sync> MemoryStore for FaultStore<S> {
            $( async fn $name $(<$life>)? (&self, $($arg: $type),*) -> MemoryStoreResult<$answer> {
                let plan = self.plan(stringify!($name));
                plan.begin().await?;
                plan.end(MemoryStore::$name(&self.inner, $($arg),*).await)
            } )*
        }
    };
}

for_each_operation!(inject_faults);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on a thread of its own, since this crate knows no runtime.
async fn sleep(duration: Duration) {
    if duration.is_zero() {
        return;
    }
    let alarm: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
    let ring = Arc::clone(&alarm);
    thread::spawn(move || {
        thread::sleep(duration);
        let mut alarm = lock(&ring);
        alarm.0 = true;
        if let Some(waker) = alarm.1.take() {
            waker.wake();
        }
    });
    poll_fn(|context| {
        let mut alarm = lock(&alarm);
        if alarm.0 {
            return Poll::Ready(());
        }
        alarm.1 = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}
