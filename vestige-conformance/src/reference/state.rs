use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::identity::{Group, GroupMembership, User};
use vestige_traits::scheduling::{ReviewEvent, SchedulingState};
use vestige_traits::transfer::Checkpoint;
use vestige_traits::{Domain, MemoryEdge, MemoryFilter, MemoryRecord, ModelSignature, limits};

/// Everything a store holds, each kind in the order of its keys.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) model: Option<ModelSignature>,
    pub(super) users: BTreeMap<Uuid, User>,
    pub(super) groups: BTreeMap<Uuid, Group>,
    pub(super) memberships: BTreeMap<(Uuid, Uuid), GroupMembership>,
    pub(super) domains: BTreeMap<String, Domain>,
    pub(super) memories: BTreeMap<Uuid, MemoryRecord>,
    /// How many memories were ever added.
    pub(super) added: u128,
    pub(super) scheduling: BTreeMap<Uuid, SchedulingState>,
    pub(super) edges: BTreeMap<(Uuid, Uuid, String), MemoryEdge>,
    pub(super) reviews: BTreeMap<Uuid, ReviewEvent>,
    pub(super) checkpoints: BTreeMap<String, Checkpoint>,
    pub(super) reembedding: Option<Reembedding>,
}

/// Vectors of another model, built beside the present ones.
#[derive(Clone, Debug)]
pub(super) struct Reembedding {
    pub(super) model: ModelSignature,
    /// By memory. A memory that is not here is still to do.
    pub(super) done: BTreeMap<Uuid, Option<Vec<f32>>>,
}

impl State {
    pub(super) fn new() -> Self {
        let local = User::local();
        Self {
            model: None,
            users: BTreeMap::from([(local.id, local)]),
            groups: BTreeMap::new(),
            memberships: BTreeMap::new(),
            domains: BTreeMap::new(),
            memories: BTreeMap::new(),
            added: 0,
            scheduling: BTreeMap::new(),
            edges: BTreeMap::new(),
            reviews: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            reembedding: None,
        }
    }

    /// Whether a memory meets every part of a filter at `now`.
    pub(super) fn matches(&self, record: &MemoryRecord, filter: &MemoryFilter, now: DateTime<Utc>) -> bool {
        let any = |wanted: &[String], has: &[String]| {
            wanted.is_empty() || wanted.iter().any(|value| has.contains(value))
        };
        any(&filter.domains, &record.domains)
            && any(&filter.tags, &record.tags)
            && (filter.node_types.is_empty() || filter.node_types.contains(&record.node_type))
            && (filter.codebases.is_empty()
                || record.codebase.as_ref().is_some_and(|codebase| filter.codebases.contains(codebase)))
            && (filter.sessions.is_empty()
                || record.session.as_ref().is_some_and(|session| filter.sessions.contains(session)))
            && filter.created_from.is_none_or(|from| record.created_at >= limits::to_micros(from))
            && filter.created_before.is_none_or(|before| record.created_at < limits::to_micros(before))
            && filter.min_retrievability.is_none_or(|minimum| {
                self.scheduling.get(&record.id).is_none_or(|state| state.is_retrievable(minimum, now))
            })
    }
}
