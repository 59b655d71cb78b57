use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{Prepared, round_score};
use vestige_traits::stats::StoreStats;
use vestige_traits::{Domain, DomainScore, MemoryStoreError, MemoryStoreResult, ModelSignature, limits};

use super::state::State;

impl State {
    pub(super) fn stats(&self, now: DateTime<Utc>) -> StoreStats {
        let count = |names: &mut dyn Iterator<Item = &String>| {
            names.fold(BTreeMap::new(), |mut counts: BTreeMap<String, u64>, name| {
                *counts.entry(name.clone()).or_default() += 1;
                counts
            })
        };
        let memories = || self.memories.values();
        let due = |state: &&vestige_traits::scheduling::SchedulingState| {
            state.next_review.is_some_and(|at| at <= now)
        };
        StoreStats {
            backend: "reference".to_owned(),
            memories: self.memories.len() as u64,
            embedded: memories().filter(|record| record.embedding.is_some()).count() as u64,
            by_type: count(&mut memories().map(|record| &record.node_type)),
            by_codebase: count(&mut memories().filter_map(|record| record.codebase.as_ref())),
            scheduled: self.scheduling.len() as u64,
            due: self.scheduling.values().filter(due).count() as u64,
            edges: self.edges.len() as u64,
            review_events: self.reviews.len() as u64,
            domains: self.domains.len() as u64,
            users: self.users.len() as u64,
            groups: self.groups.len() as u64,
            model: self.model.clone(),
            oldest: memories().map(|record| record.created_at).min(),
            newest: memories().map(|record| record.created_at).max(),
            size_bytes: 0,
            schema_version: 0,
        }
    }

    pub(super) fn domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>> {
        limits::check_name("domain.id", id)?;
        Ok(self.domains.get(id).cloned())
    }

    pub(super) fn upsert_domain(
        &mut self,
        domain: &Domain,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        let domain = Prepared::new(domain)?;
        self.check_vector(domain.centroid.as_deref(), spoken)?;
        self.domains.insert(domain.id.clone(), domain.into_owned());
        Ok(())
    }

    pub(super) fn delete_domain(&mut self, id: &str) -> MemoryStoreResult<()> {
        limits::check_name("domain.id", id)?;
        match self.domains.remove(id) {
            Some(_) => Ok(()),
            None => Err(MemoryStoreError::not_found("domain", id)),
        }
    }

    pub(super) fn classify(
        &self,
        embedding: &[f32],
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<Vec<DomainScore>> {
        limits::check_embedding("embedding", embedding)?;
        if !self.models(spoken).may_compare(embedding.len())? {
            return Ok(Vec::new());
        }
        let score = |domain: &Domain| {
            let score = round_score(cosine_similarity(embedding, domain.centroid.as_deref()?));
            Some(DomainScore { domain: domain.id.clone(), score })
        };
        let mut scores: Vec<_> = self.domains.values().filter_map(score).collect();
        scores.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.domain.cmp(&b.domain)));
        Ok(scores)
    }
}
