//! Importing pages of rows.

mod identity;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::analysis::Analyzer;
use vestige_traits::backend::{Found, ImportOutcome, Importable, Prepared, PreparedRow, Reference, classify};
use vestige_traits::scheduling::{ReviewEvent, SchedulingState};
use vestige_traits::transfer::{Checkpoint, ImportReport, ScheduledMemory, TransferKind, TransferRow};
use vestige_traits::{Domain, MemoryEdge, MemoryRecord, MemoryStoreError, MemoryStoreResult, ModelSignature};

use crate::analysis;
use crate::connection::Connections;
use crate::records::Written;
use crate::registry::BoundModel;
use crate::rows::{DomainRow, MemoryRow, ReviewRow, SchedulingRow};
use crate::session::Session;
use crate::tsvector::MemoryTerms;
use crate::{copy, error, registry, rows, transfer};

/// How often a page is tried. Another transaction may have added one of its rows meanwhile.
const ATTEMPTS: usize = 5;

pub(crate) async fn import_page(
    connections: &Connections,
    page: &[TransferRow],
    checkpoint: Option<&Prepared<'_, Checkpoint>>,
    written: Written<'_>,
) -> MemoryStoreResult<ImportReport> {
    let page = prepare(page).await;
    let mut concurrent = None;
    for _ in 0..ATTEMPTS {
        match try_page(connections.batch().await?, &page, checkpoint, written).await {
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

/// The rows of a page with the terms of its memories.
async fn prepare(page: &[TransferRow]) -> Vec<Row<'_>> {
    let mut rows = Vec::with_capacity(page.len());
    for turn in page.chunks(analysis::TURN) {
        if !rows.is_empty() {
            tokio::task::yield_now().await;
        }
        let analyzer = Analyzer::default();
        rows.extend(turn.iter().map(|row| {
            let prepared = PreparedRow::new(row);
            let terms = match &prepared {
                Ok(PreparedRow::Memory(record)) => Some(MemoryTerms::of_record(&analyzer, record)),
                _ => None,
            };
            Row { row, prepared, terms }
        }));
    }
    rows
}

async fn try_page(
    mut transaction: Session,
    page: &[Row<'_>],
    checkpoint: Option<&Prepared<'_, Checkpoint>>,
    written: Written<'_>,
) -> Result<ImportReport, Halt> {
    copy::lock_for_derived(&mut transaction, written.analysis).await?;
    let mut import = Import {
        registered: registry::registered_model(&mut transaction).await?,
        model: written.model.clone(),
        transaction: Some(transaction),
        report: ImportReport::default(),
    };
    for run in page.chunk_by(|a, b| a.row.kind() == b.row.kind()) {
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

/// A row of a page: as it came, and as it is stored or why it cannot be; a memory with its terms.
struct Row<'p> {
    row: &'p TransferRow,
    prepared: MemoryStoreResult<PreparedRow<'p>>,
    terms: Option<MemoryTerms>,
}

/// Takes the rows of one type.
type Pick<'r, T> = fn(&'r PreparedRow<'r>) -> Option<&'r Prepared<'r, T>>;

/// The rows of a run that can be stored.
fn given<'r, T: Clone>(run: &'r [Row<'r>], pick: Pick<'r, T>) -> Vec<&'r Prepared<'r, T>> {
    run.iter().filter_map(|row| row.prepared.as_ref().ok().and_then(pick)).collect()
}

/// What was looked up for a run of rows of one kind.
struct LookedUp<K, T> {
    /// The stored rows by their keys.
    stored: HashMap<K, T>,
    /// The rows that the run refers to, as far as they are there.
    targets: HashSet<(TransferKind, Uuid)>,
    /// The rows that have the handles of the run.
    holders: HashMap<String, Uuid>,
}

impl<K, T> LookedUp<K, T> {
    fn stored(stored: HashMap<K, T>) -> Self {
        Self { stored, targets: HashSet::new(), holders: HashMap::new() }
    }
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
    async fn run<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        match run.first().map(|row| row.row.kind()) {
            None => Ok(()),
            Some(TransferKind::User) => {
                self.named(run, |row| if let PreparedRow::User(user) = row { Some(user) } else { None }).await
            }
            Some(TransferKind::Group) => {
                self.named(run, |row| if let PreparedRow::Group(group) = row { Some(group) } else { None })
                    .await
            }
            Some(TransferKind::GroupMembership) => self.memberships(run).await,
            Some(TransferKind::Domain) => self.domains(run).await,
            Some(TransferKind::Memory) => self.memories(run).await,
            Some(TransferKind::Scheduling) => self.scheduling(run).await,
            Some(TransferKind::Edge) => self.edges(run).await,
            Some(TransferKind::ReviewEvent) => self.reviews(run).await,
        }
    }

    /// Decides about each row of a run and reports it. Returns the rows that are new.
    fn decide<'r, K: Eq + Hash, T: Importable>(
        &mut self,
        run: &'r [Row<'r>],
        pick: Pick<'r, T>,
        key: impl Fn(&T) -> K,
        found: LookedUp<K, T>,
    ) -> MemoryStoreResult<Vec<&'r Prepared<'r, T>>> {
        let LookedUp { stored, targets, mut holders } = found;
        let mut new: Vec<&Prepared<'_, T>> = Vec::new();
        let mut places: HashMap<K, usize> = HashMap::new();
        for Row { row, prepared, .. } in run {
            let prepared = match prepared {
                Ok(prepared) => prepared,
                Err(error) => {
                    ImportOutcome::rejected(error).add_to(&mut self.report, || row.key());
                    continue;
                }
            };
            let Some(prepared) = pick(prepared) else { continue };
            let key = key(prepared);
            let is_missing = |reference: &Reference| !targets.contains(&reference.target());
            let found = Found {
                stored: stored.get(&key).or_else(|| places.get(&key).map(|&at| &**new[at])),
                missing: prepared.references().into_iter().flatten().find(is_missing),
                handle_holder: prepared.handle().and_then(|handle| holders.get(handle.handle).copied()),
                models: self.model.models(self.registered.as_ref()),
            };
            let outcome = classify(prepared, &found)?;
            if outcome == ImportOutcome::Inserted {
                if let Some(handle) = prepared.handle() {
                    holders.insert(handle.handle.to_owned(), handle.id);
                }
                places.insert(key, new.len());
                new.push(prepared);
            }
            outcome.add_to(&mut self.report, || row.key());
        }
        Ok(new)
    }

    fn connection(&mut self) -> &mut Session {
        self.transaction.as_mut().expect("no COPY is running")
    }

    async fn existing_users(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<(TransferKind, Uuid)>> {
        let found = sqlx::query_scalar!("SELECT id FROM users WHERE id = ANY ($1)", ids);
        let ids = found.fetch_all(self.connection()).await?.into_iter();
        Ok(ids.map(|id| (TransferKind::User, id)).collect())
    }

    async fn existing_groups(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<(TransferKind, Uuid)>> {
        let found = sqlx::query_scalar!("SELECT id FROM groups WHERE id = ANY ($1)", ids);
        let ids = found.fetch_all(self.connection()).await?.into_iter();
        Ok(ids.map(|id| (TransferKind::Group, id)).collect())
    }

    async fn existing_memories(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<(TransferKind, Uuid)>> {
        let found = sqlx::query_scalar!("SELECT id FROM knowledge_nodes WHERE id = ANY ($1)", ids);
        let ids = found.fetch_all(self.connection()).await?.into_iter();
        Ok(ids.map(|id| (TransferKind::Memory, id)).collect())
    }

    /// The same, and locks them so that no other transaction schedules them until this one ends.
    async fn locked_memories(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<(TransferKind, Uuid)>> {
        let found = sqlx::query_scalar!(
            "SELECT id FROM knowledge_nodes WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
            ids
        );
        let ids = found.fetch_all(self.connection()).await?.into_iter();
        Ok(ids.map(|id| (TransferKind::Memory, id)).collect())
    }

    async fn domains<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        let pick: Pick<'r, Domain> =
            |row| if let PreparedRow::Domain(domain) = row { Some(domain) } else { None };
        let ids: Vec<String> = given(run, pick).iter().map(|domain| domain.id.clone()).collect();
        let there = sqlx::query_as!(
            DomainRow,
            "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
             FROM domains WHERE id = ANY ($1)",
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut stored = HashMap::new();
        for row in there {
            stored.insert(row.id.clone(), Domain::try_from(row)?);
        }
        for domain in self.decide(run, pick, |domain| domain.id.clone(), LookedUp::stored(stored))? {
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
        Ok(())
    }

    async fn memories<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        let pick: Pick<'r, MemoryRecord> =
            |row| if let PreparedRow::Memory(record) = row { Some(record) } else { None };
        let given = given(run, pick);
        let ids: Vec<Uuid> = given.iter().map(|record| record.id).collect();
        let owners: HashSet<Uuid> = given.iter().map(|record| record.owner_user_id).collect();
        let targets = self.existing_users(&owners.into_iter().collect::<Vec<_>>()).await?;
        let there = sqlx::query_as!(
            MemoryRow,
            r#"SELECT id, content, node_type, tags, metadata, domains, domain_scores AS "domain_scores: _",
                 embedding::real[] AS embedding, codebase, owner_user_id, visibility, shared_with_groups,
                 created_at, updated_at, session
               FROM knowledge_nodes WHERE id = ANY ($1)"#,
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let stored = rows::records(there)?.into_iter().map(|record| (record.id, record)).collect();
        let found = LookedUp { targets, ..LookedUp::stored(stored) };
        let new = self.decide(run, pick, |record| record.id, found)?;
        if !new.is_empty() {
            let transaction = self.transaction.take().expect("no COPY is running");
            // They are in the order of the run.
            let mut analyzed = run.iter().filter_map(|row| {
                let record = row.prepared.as_ref().ok().and_then(pick)?;
                Some((record, row.terms.as_ref()?))
            });
            let rows = new.into_iter().filter_map(|record| {
                let (_, terms) = analyzed.find(|(given, _)| std::ptr::eq(*given, record))?;
                Some((record.as_ref(), terms))
            });
            self.transaction = Some(copy::memories(transaction, rows).await?);
        }
        Ok(())
    }

    async fn scheduling<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        let pick: Pick<'r, ScheduledMemory> =
            |row| if let PreparedRow::Scheduling(scheduled) = row { Some(scheduled) } else { None };
        let ids: Vec<Uuid> = given(run, pick).iter().map(|scheduled| scheduled.memory_id).collect();
        let targets = self.locked_memories(&ids).await?;
        let there = sqlx::query_as!(
            SchedulingRow,
            "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
             FROM scheduling WHERE memory_id = ANY ($1)",
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut stored = HashMap::new();
        for row in there {
            let memory_id = row.memory_id;
            stored.insert(memory_id, ScheduledMemory { memory_id, state: row.try_into()? });
        }
        let found = LookedUp { targets, ..LookedUp::stored(stored) };
        let new = self.decide(run, pick, |scheduled| scheduled.memory_id, found)?;
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

    async fn edges<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        let pick: Pick<'r, MemoryEdge> =
            |row| if let PreparedRow::Edge(edge) = row { Some(edge) } else { None };
        let given = given(run, pick);
        let ids: HashSet<Uuid> = given.iter().flat_map(|edge| [edge.source_id, edge.target_id]).collect();
        let targets = self.existing_memories(&ids.into_iter().collect::<Vec<_>>()).await?;
        let there = sqlx::query_as!(
            MemoryEdge,
            "SELECT source_id, target_id, edge_type, weight, created_at FROM edges
             WHERE (source_id, target_id, edge_type) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]))",
            &given.iter().map(|edge| edge.source_id).collect::<Vec<_>>(),
            &given.iter().map(|edge| edge.target_id).collect::<Vec<_>>(),
            &given.iter().map(|edge| edge.edge_type.clone()).collect::<Vec<_>>(),
        )
        .fetch_all(self.connection())
        .await?;
        let key = |edge: &MemoryEdge| (edge.source_id, edge.target_id, edge.edge_type.clone());
        let stored = there.into_iter().map(|edge| (key(&edge), edge)).collect();
        let new = self.decide(run, pick, key, LookedUp { targets, ..LookedUp::stored(stored) })?;
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

    async fn reviews<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        let pick: Pick<'r, ReviewEvent> =
            |row| if let PreparedRow::ReviewEvent(event) = row { Some(event) } else { None };
        let ids: Vec<Uuid> = given(run, pick).iter().map(|event| event.id).collect();
        let there = sqlx::query_as!(
            ReviewRow,
            r#"SELECT id, memory_id, timestamp, rating, prior_state AS "prior_state: _", new_state AS "new_state: _"
               FROM review_events WHERE id = ANY ($1)"#,
            &ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut stored = HashMap::new();
        for row in there {
            stored.insert(row.id, ReviewEvent::try_from(row)?);
        }
        let new = self.decide(run, pick, |event| event.id, LookedUp::stored(stored))?;
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
