//! Importing pages of rows.

mod identity;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::transfer::{Checkpoint, ImportReport, RowIssue, TransferKind, TransferRow};
use vestige_traits::{
    Domain, MemoryEdge, MemoryRecord, MemoryStoreError, MemoryStoreResult, ModelSignature, ReviewEvent,
    SchedulingState,
};

use crate::connection::Connections;
use crate::registry::BoundModel;
use crate::rows::{DomainRow, MemoryRow, ReviewRow, SchedulingRow};
use crate::session::Session;
use crate::{copy, error, registry, rows, transfer};

/// How often a page is tried. Another transaction may have added one of its rows meanwhile.
const ATTEMPTS: usize = 5;

pub(crate) async fn import_page(
    connections: &Connections,
    page: &[TransferRow],
    checkpoint: Option<&Checkpoint>,
    model: &BoundModel,
) -> MemoryStoreResult<ImportReport> {
    let mut concurrent = None;
    for _ in 0..ATTEMPTS {
        match try_page(connections.transaction().await?, page, checkpoint, model).await {
            Ok(report) => return Ok(report),
            Err(Halt::Error(error)) => return Err(error),
            Err(Halt::ConcurrentChange(error)) => concurrent = Some(error.into()),
        }
    }
    Err(MemoryStoreError::Unavailable {
        reason: "others keep adding or removing rows that this page is about; try again".to_owned(),
        retryable: true,
        source: concurrent,
    })
}

async fn try_page(
    mut transaction: Session,
    page: &[TransferRow],
    checkpoint: Option<&Checkpoint>,
    model: &BoundModel,
) -> Result<ImportReport, Halt> {
    copy::lock_for_vectors(&mut transaction).await?;
    let mut import = Import {
        registered: registry::registered_model(&mut transaction).await?,
        model: model.clone(),
        transaction: Some(transaction),
        report: ImportReport::default(),
    };
    for run in page.chunk_by(|a, b| a.kind() == b.kind()) {
        import.run(run).await?;
    }
    let Import { transaction, report, .. } = import;
    let mut transaction = transaction.expect("no COPY is running any more");
    if let Some(checkpoint) = checkpoint {
        transfer::put_checkpoint(&mut transaction, checkpoint).await?;
    }
    transaction.commit().await.map_err(error::map)?;
    Ok(report)
}

/// Why a page was not imported.
enum Halt {
    /// Another transaction added one of its rows, or removed a row that one refers to, after the lookup.
    ConcurrentChange(sqlx::Error),
    Error(MemoryStoreError),
}

impl From<MemoryStoreError> for Halt {
    fn from(error: MemoryStoreError) -> Self {
        Self::Error(error)
    }
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        if error::is_concurrent_change(&error) {
            Self::ConcurrentChange(error)
        } else {
            Self::Error(error::map(error))
        }
    }
}

type Step = Result<(), Halt>;

struct Import {
    /// None only while a COPY has it.
    transaction: Option<Session>,
    registered: Option<ModelSignature>,
    model: BoundModel,
    report: ImportReport,
}

impl Import {
    /// Imports rows of one kind.
    async fn run(&mut self, run: &[TransferRow]) -> Step {
        match run.first().map(TransferRow::kind) {
            None => Ok(()),
            Some(TransferKind::User) => self.users(run).await,
            Some(TransferKind::Group) => self.groups(run).await,
            Some(TransferKind::GroupMembership) => self.memberships(run).await,
            Some(TransferKind::Domain) => self.domains(run).await,
            Some(TransferKind::Memory) => self.memories(run).await,
            Some(TransferKind::Scheduling) => self.scheduling(run).await,
            Some(TransferKind::Edge) => self.edges(run).await,
            Some(TransferKind::ReviewEvent) => self.reviews(run).await,
        }
    }

    fn connection(&mut self) -> &mut Session {
        self.transaction.as_mut().expect("no COPY is running")
    }

    fn check_vector(&self, vector: Option<&Vec<f32>>) -> MemoryStoreResult<()> {
        match vector {
            Some(vector) => self.model.check(self.registered.as_ref(), vector.len()),
            None => Ok(()),
        }
    }

    /// Reports a row that is not written. An error that is not the row's fault ends the page: the handle is
    /// bound to a model that the store no longer has.
    fn refuse(&mut self, row: &TransferRow, error: MemoryStoreError) -> Step {
        let stale = matches!(error, MemoryStoreError::ModelMismatch { .. })
            && self.model.signature().is_some_and(|bound| self.registered.as_ref() != Some(bound));
        if stale {
            return Err(Halt::Error(error));
        }
        self.report.rejected.push(issue(row, error.to_string()));
        Ok(())
    }

    /// Whether a checked row is new. If not, it is reported as unchanged or as a conflict. A new row is known
    /// from then on.
    fn is_new<K: Eq + Hash, V: PartialEq + Clone>(
        &mut self,
        row: &TransferRow,
        known: &mut HashMap<K, V>,
        key: K,
        value: &V,
    ) -> bool {
        match known.get(&key) {
            Some(there) if there == value => self.report.unchanged += 1,
            Some(_) => self.report.conflicts.push(issue(row, "is there with other content".to_owned())),
            None => {
                known.insert(key, value.clone());
                self.report.inserted += 1;
                return true;
            }
        }
        false
    }

    async fn existing_users(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
        let found = sqlx::query_scalar!("SELECT id FROM users WHERE id = ANY ($1)", ids);
        Ok(found.fetch_all(self.connection()).await?.into_iter().collect())
    }

    async fn existing_groups(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
        let found = sqlx::query_scalar!("SELECT id FROM groups WHERE id = ANY ($1)", ids);
        Ok(found.fetch_all(self.connection()).await?.into_iter().collect())
    }

    async fn existing_memories(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
        let found = sqlx::query_scalar!("SELECT id FROM knowledge_nodes WHERE id = ANY ($1)", ids);
        Ok(found.fetch_all(self.connection()).await?.into_iter().collect())
    }

    /// The same, and locks them so that no other transaction schedules them until this one ends.
    async fn locked_memories(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
        let found = sqlx::query_scalar!(
            "SELECT id FROM knowledge_nodes WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
            ids
        );
        Ok(found.fetch_all(self.connection()).await?.into_iter().collect())
    }

    async fn domains(&mut self, run: &[TransferRow]) -> Step {
        let given: Vec<&Domain> =
            some(run, |row| if let TransferRow::Domain(domain) = row { Some(domain) } else { None });
        let ids: Vec<String> = given.iter().map(|domain| domain.id.replace('\0', "")).collect();
        let there = sqlx::query_as!(
            DomainRow,
            "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
             FROM domains WHERE id = ANY ($1)",
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut known = HashMap::new();
        for row in there {
            known.insert(row.id.clone(), Domain::try_from(row)?);
        }
        for row in run {
            let checked = row.prepared().and_then(|row| match row {
                TransferRow::Domain(domain) => {
                    self.check_vector(domain.centroid.as_ref())?;
                    Ok(Some(domain))
                }
                _ => Ok(None),
            });
            let domain = match checked {
                Ok(Some(domain)) => domain,
                Ok(None) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            if self.is_new(row, &mut known, domain.id.clone(), &domain) {
                sqlx::query!(
                    "INSERT INTO domains (id, label, centroid, top_terms, memory_count, created_at, metadata)
                     VALUES ($1, $2, $3::real[]::vector, $4, $5, $6, $7)",
                    domain.id,
                    domain.label,
                    domain.centroid.as_deref() as Option<&[f32]>,
                    &domain.top_terms,
                    rows::big(domain.memory_count),
                    domain.created_at,
                    domain.metadata,
                )
                .execute(self.connection())
                .await?;
            }
        }
        Ok(())
    }

    async fn memories(&mut self, run: &[TransferRow]) -> Step {
        let given: Vec<&MemoryRecord> =
            some(run, |row| if let TransferRow::Memory(record) = row { Some(record) } else { None });
        let ids: Vec<Uuid> = given.iter().map(|record| record.id).collect();
        let owners: Vec<Uuid> =
            given.iter().map(|record| record.owner_user_id).collect::<HashSet<_>>().into_iter().collect();
        let owners = self.existing_users(&owners).await?;
        let there = sqlx::query_as!(
            MemoryRow,
            r#"SELECT id, content, node_type, tags, metadata, domains, domain_scores AS "domain_scores: _",
                 embedding::real[] AS embedding, codebase, owner_user_id, visibility, shared_with_groups,
                 created_at, updated_at
               FROM knowledge_nodes WHERE id = ANY ($1)"#,
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let there: HashMap<Uuid, MemoryRecord> =
            rows::records(there)?.into_iter().map(|record| (record.id, record)).collect();
        let mut places: HashMap<Uuid, usize> = HashMap::with_capacity(given.len());
        let mut new: Vec<MemoryRecord> = Vec::with_capacity(given.len());
        for row in run {
            let checked = row.prepared().and_then(|row| match row {
                TransferRow::Memory(record) => {
                    self.check_vector(record.embedding.as_ref())?;
                    if !owners.contains(&record.owner_user_id) {
                        let rule = format!("there is no user {}", record.owner_user_id);
                        return Err(MemoryStoreError::invalid("owner_user_id", rule));
                    }
                    Ok(Some(record))
                }
                _ => Ok(None),
            });
            let record = match checked {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            // As `is_new`, without a second copy of every memory of the page.
            match there.get(&record.id).or_else(|| places.get(&record.id).map(|&at| &new[at])) {
                Some(known) if *known == record => self.report.unchanged += 1,
                Some(_) => self.report.conflicts.push(issue(row, "is there with other content".to_owned())),
                None => {
                    self.report.inserted += 1;
                    places.insert(record.id, new.len());
                    new.push(record);
                }
            }
        }
        if !new.is_empty() {
            let transaction = self.transaction.take().expect("no COPY is running");
            self.transaction = Some(copy::memories(transaction, &new).await?);
        }
        Ok(())
    }

    async fn scheduling(&mut self, run: &[TransferRow]) -> Step {
        let ids: Vec<Uuid> =
            some(
                run,
                |row| if let TransferRow::Scheduling(given) = row { Some(given.memory_id) } else { None },
            );
        let memories = self.locked_memories(&ids).await?;
        let there = sqlx::query_as!(
            SchedulingRow,
            "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
             FROM scheduling WHERE memory_id = ANY ($1)",
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut known: HashMap<Uuid, SchedulingState> = HashMap::new();
        for row in there {
            known.insert(row.memory_id, SchedulingState::try_from(row)?);
        }
        let mut new = Vec::new();
        for row in run {
            let scheduled = match row.prepared() {
                Ok(TransferRow::Scheduling(scheduled)) => scheduled,
                Ok(_) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            if !memories.contains(&scheduled.memory_id) {
                self.refuse(row, MemoryStoreError::not_found("memory", scheduled.memory_id))?;
            } else if self.is_new(row, &mut known, scheduled.memory_id, &scheduled.state) {
                new.push(scheduled);
            }
        }
        let column = |value: fn(&SchedulingState) -> f64| -> Vec<f64> {
            new.iter().map(|scheduled| value(&scheduled.state)).collect()
        };
        sqlx::query!(
            "INSERT INTO scheduling
               (memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses)
             SELECT * FROM unnest($1::uuid[], $2::float8[], $3::float8[], $4::float8[], $5::timestamptz[],
               $6::timestamptz[], $7::int[], $8::int[])",
            &new.iter().map(|scheduled| scheduled.memory_id).collect::<Vec<_>>(),
            &column(|state| state.stability),
            &column(|state| state.difficulty),
            &column(|state| state.retrievability),
            &new.iter().map(|scheduled| scheduled.state.last_review).collect::<Vec<_>>() as _,
            &new.iter().map(|scheduled| scheduled.state.next_review).collect::<Vec<_>>() as _,
            &new.iter().map(|scheduled| rows::small(scheduled.state.reps)).collect::<Vec<_>>(),
            &new.iter().map(|scheduled| rows::small(scheduled.state.lapses)).collect::<Vec<_>>(),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn edges(&mut self, run: &[TransferRow]) -> Step {
        let given: Vec<&MemoryEdge> =
            some(run, |row| if let TransferRow::Edge(edge) = row { Some(edge) } else { None });
        let ids: HashSet<Uuid> = given.iter().flat_map(|edge| [edge.source_id, edge.target_id]).collect();
        let memories = self.existing_memories(&ids.into_iter().collect::<Vec<_>>()).await?;
        let there = sqlx::query_as!(
            MemoryEdge,
            "SELECT source_id, target_id, edge_type, weight, created_at FROM edges
             WHERE (source_id, target_id, edge_type) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]))",
            &given.iter().map(|edge| edge.source_id).collect::<Vec<_>>(),
            &given.iter().map(|edge| edge.target_id).collect::<Vec<_>>(),
            &given.iter().map(|edge| edge.edge_type.replace('\0', "")).collect::<Vec<_>>(),
        )
        .fetch_all(self.connection())
        .await?;
        let key = |edge: &MemoryEdge| (edge.source_id, edge.target_id, edge.edge_type.clone());
        let mut known: HashMap<_, MemoryEdge> = there.into_iter().map(|edge| (key(&edge), edge)).collect();
        let mut new = Vec::new();
        for row in run {
            let edge = match row.prepared() {
                Ok(TransferRow::Edge(edge)) => edge,
                Ok(_) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            let missing = [edge.source_id, edge.target_id].into_iter().find(|id| !memories.contains(id));
            if let Some(missing) = missing {
                self.refuse(row, MemoryStoreError::not_found("memory", missing))?;
            } else if self.is_new(row, &mut known, key(&edge), &edge) {
                new.push(edge);
            }
        }
        sqlx::query!(
            "INSERT INTO edges (source_id, target_id, edge_type, weight, created_at)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::timestamptz[])",
            &new.iter().map(|edge| edge.source_id).collect::<Vec<_>>(),
            &new.iter().map(|edge| edge.target_id).collect::<Vec<_>>(),
            &new.iter().map(|edge| edge.edge_type.clone()).collect::<Vec<_>>(),
            &new.iter().map(|edge| edge.weight).collect::<Vec<_>>(),
            &new.iter().map(|edge| edge.created_at).collect::<Vec<_>>(),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The log of reviews outlives its memories, so an event needs no memory.
    async fn reviews(&mut self, run: &[TransferRow]) -> Step {
        let ids: Vec<Uuid> =
            some(run, |row| if let TransferRow::ReviewEvent(event) = row { Some(event.id) } else { None });
        let there = sqlx::query_as!(
            ReviewRow,
            r#"SELECT id, memory_id, timestamp, rating, prior_state AS "prior_state: _", new_state AS "new_state: _"
               FROM review_events WHERE id = ANY ($1)"#,
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut known = HashMap::new();
        for row in there {
            known.insert(row.id, ReviewEvent::try_from(row)?);
        }
        let mut new = Vec::new();
        for row in run {
            let event = match row.prepared() {
                Ok(TransferRow::ReviewEvent(event)) => event,
                Ok(_) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            if self.is_new(row, &mut known, event.id, &event) {
                new.push(event);
            }
        }
        sqlx::query!(
            "INSERT INTO review_events (id, memory_id, timestamp, rating, prior_state, new_state)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::jsonb[], $6::jsonb[])",
            &new.iter().map(|event| event.id).collect::<Vec<_>>(),
            &new.iter().map(|event| event.memory_id).collect::<Vec<_>>(),
            &new.iter().map(|event| event.timestamp).collect::<Vec<_>>(),
            &new.iter().map(|event| event.rating.as_str().to_owned()).collect::<Vec<_>>(),
            &new.iter().map(|event| event.prior_state.map(Json)).collect::<Vec<_>>() as _,
            &new.iter().map(|event| Json(event.new_state)).collect::<Vec<_>>() as _,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

fn some<'r, T>(run: &'r [TransferRow], pick: impl Fn(&'r TransferRow) -> Option<T>) -> Vec<T> {
    run.iter().filter_map(pick).collect()
}

fn issue(row: &TransferRow, reason: String) -> RowIssue {
    RowIssue { key: row.key(), reason }
}
