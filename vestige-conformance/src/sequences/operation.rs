use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Reason, TestRunner};
use vestige_traits::scheduling::SchedulingState;
use vestige_traits::transfer::{ScheduledMemory, TransferRow};
use vestige_traits::{
    Domain, Fusion, FusionMethod, ListQuery, MemoryEdge, MemoryFilter, MemoryRecord, ModelSignature,
    SearchMode, SearchQuery, TimeSpan,
};

use crate::fixtures::{edge, id, model, model_of_same_dimension, now, smaller_model};

/// One step of a sequence. The first number of most is the handle that takes it.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Advance(TimeDelta),
    RegisterModel(usize, ModelSignature),
    Insert(usize, Box<MemoryRecord>),
    InsertBatch(usize, Vec<MemoryRecord>),
    Update(usize, Box<MemoryRecord>),
    Delete(usize, u8),
    SetScheduling(usize, u8, SchedulingState),
    Review {
        handle: usize,
        event: u8,
        memory: u8,
        stale: bool,
        new: SchedulingState,
    },
    AddEdge(usize, MemoryEdge),
    /// Of the edges of a memory, the one at this place.
    RemoveEdge(usize, u8, usize),
    UpsertDomain(usize, Domain),
    DeleteDomain(usize, &'static str),
    Import(usize, Vec<TransferRow>),
    BeginReembedding(usize, ModelSignature),
    WriteReembedded(usize, usize),
    FinishReembedding(usize),
    /// Begins, writes everything, and finishes.
    Reembed(usize, ModelSignature),
    AbortReembedding(usize),
    Search(usize, Box<SearchQuery>),
    List(usize, Box<ListQuery>),
    Context(usize, Vec<u8>, usize),
    Due(usize, i64),
    Neighbors(usize, u8, usize),
    Classify(usize, Vec<f32>),
}

impl Operation {
    pub(super) fn handle(&self) -> usize {
        match self {
            Self::Advance(_) => 0,
            Self::RegisterModel(handle, _)
            | Self::Insert(handle, _)
            | Self::InsertBatch(handle, _)
            | Self::Update(handle, _)
            | Self::Delete(handle, _)
            | Self::SetScheduling(handle, ..)
            | Self::Review { handle, .. }
            | Self::AddEdge(handle, _)
            | Self::RemoveEdge(handle, ..)
            | Self::UpsertDomain(handle, _)
            | Self::DeleteDomain(handle, _)
            | Self::Import(handle, _)
            | Self::BeginReembedding(handle, _)
            | Self::WriteReembedded(handle, _)
            | Self::FinishReembedding(handle)
            | Self::Reembed(handle, _)
            | Self::AbortReembedding(handle)
            | Self::Search(handle, _)
            | Self::List(handle, _)
            | Self::Context(handle, ..)
            | Self::Due(handle, _)
            | Self::Neighbors(handle, ..)
            | Self::Classify(handle, _) => *handle,
        }
    }
}

/// Words that every Porter-like stemmer of English treats alike, stop words and inflections among them.
const WORDS: [&str; 24] = [
    "lamp",
    "lamps",
    "table",
    "tables",
    "run",
    "running",
    "connect",
    "connected",
    "connection",
    "pump",
    "leak",
    "leaking",
    "green",
    "red",
    "E0308",
    "v2",
    "the",
    "of",
    "and",
    "is",
    "Lamp",
    "café",
    "ledger_v2",
    "port-5433",
];
const TYPES: [&str; 3] = ["general", "fact", "red decision"];
const TAGS: [&str; 4] = ["red", "Red", "build pumps", "ops"];
const CODEBASES: [&str; 2] = ["atlas", "Atlas"];
const SESSIONS: [&str; 3] = ["monday", "tuesday", "Monday"];
const DOMAINS: [&str; 3] = ["builds", "Builds", "ops"];
const EDGE_TYPES: [&str; 2] = ["related", "causes"];
pub(super) const IDS: u8 = 5;

/// An operation that can be made simpler.
pub(super) type OperationTree = Box<dyn ValueTree<Value = Operation>>;

/// A sequence: mostly a store that has a model and some memories, and then anything.
pub(super) fn sequence(runner: &mut TestRunner, longest: usize) -> Result<Vec<OperationTree>, Reason> {
    let model = option::weighted(0.9, Just(Operation::RegisterModel(0, model())));
    let memories = IDS - 2..=IDS;
    let (model, memories, length) = (model, memories, 1..=longest).new_tree(runner)?.current();
    let mut trees: Vec<OperationTree> = Vec::new();
    if let Some(model) = model {
        trees.push(Box::new(Just(model)));
    }
    for n in 1..=memories {
        let insert = records().prop_map(move |record| {
            let record = record.id(id(u128::from(n)));
            Operation::Insert(0, Box::new(record))
        });
        trees.push(Box::new(insert.new_tree(runner)?));
    }
    let operations = operations();
    for _ in 0..length {
        trees.push(Box::new(operations.new_tree(runner)?));
    }
    Ok(trees)
}

fn operations() -> impl Strategy<Value = Operation> {
    let handle = || prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)];
    let any_id = || 1..=IDS;
    let boxed = |record: MemoryRecord| Box::new(record);
    prop_oneof![
        2 => advance().prop_map(Operation::Advance),
        3 => (handle(), models()).prop_map(|(h, model)| Operation::RegisterModel(h, model)),
        12 => (handle(), records().prop_map(boxed)).prop_map(|(h, record)| Operation::Insert(h, record)),
        3 => (handle(), vec(records(), 0..6)).prop_map(|(h, batch)| Operation::InsertBatch(h, batch)),
        6 => (handle(), records().prop_map(boxed)).prop_map(|(h, record)| Operation::Update(h, record)),
        3 => (handle(), any_id()).prop_map(|(h, id)| Operation::Delete(h, id)),
        3 => (handle(), any_id(), states()).prop_map(|(h, id, state)| Operation::SetScheduling(h, id, state)),
        4 => (handle(), 0_u8..6, any_id(), prop::bool::weighted(0.2), states()).prop_map(
            |(handle, event, memory, stale, new)| Operation::Review { handle, event, memory, stale, new }
        ),
        5 => (handle(), edges()).prop_map(|(h, edge)| Operation::AddEdge(h, edge)),
        2 => (handle(), any_id(), 0_usize..3).prop_map(|(h, id, at)| Operation::RemoveEdge(h, id, at)),
        2 => (handle(), domains()).prop_map(|(h, domain)| Operation::UpsertDomain(h, domain)),
        1 => (handle(), select(&DOMAINS[..])).prop_map(|(h, name)| Operation::DeleteDomain(h, name)),
        4 => (handle(), vec(rows(), 0..8)).prop_map(|(h, rows)| Operation::Import(h, rows)),
        2 => (handle(), models()).prop_map(|(h, model)| Operation::BeginReembedding(h, model)),
        4 => (handle(), 1_usize..8).prop_map(|(h, count)| Operation::WriteReembedded(h, count)),
        1 => handle().prop_map(Operation::FinishReembedding),
        2 => (handle(), models()).prop_map(|(h, model)| Operation::Reembed(h, model)),
        1 => handle().prop_map(Operation::AbortReembedding),
        8 => (handle(), queries()).prop_map(|(h, query)| Operation::Search(h, Box::new(query))),
        3 => (handle(), filters(), 0_usize..6).prop_map(|(h, filter, limit)| {
            Operation::List(h, Box::new(ListQuery::new().filter(filter).limit(limit)))
        }),
        3 => (handle(), vec(0..=IDS, 0..4), 0_usize..4).prop_map(|(h, ids, n)| Operation::Context(h, ids, n)),
        1 => (handle(), 0_i64..20).prop_map(|(h, days)| Operation::Due(h, days)),
        2 => (handle(), any_id(), 0_usize..5).prop_map(|(h, id, depth)| Operation::Neighbors(h, id, depth)),
        1 => (handle(), vectors()).prop_map(|(h, vector)| Operation::Classify(h, vector)),
    ]
}

fn advance() -> impl Strategy<Value = TimeDelta> {
    prop_oneof![
        (0_i64..3).prop_map(TimeDelta::microseconds),
        (1_i64..100).prop_map(TimeDelta::hours),
        (1_i64..100).prop_map(TimeDelta::days),
    ]
}

fn models() -> impl Strategy<Value = ModelSignature> {
    prop_oneof![4 => Just(model()), 1 => Just(model_of_same_dimension()), 2 => Just(smaller_model())]
}

/// Small whole numbers: sums of their products are exact in any precision and order.
fn vectors() -> impl Strategy<Value = Vec<f32>> {
    let dimension = prop_oneof![12 => Just(4_usize), 1 => Just(3_usize)];
    dimension.prop_flat_map(|dimension| vec(-3_i8..=3, dimension)).prop_map(|components| {
        let mut vector: Vec<f32> = components.into_iter().map(f32::from).collect();
        if vector.iter().all(|component| *component == 0.0) {
            vector[0] = 1.0;
        }
        vector
    })
}

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..4, 0_i64..3)
        .prop_map(|(days, micros)| now() + TimeDelta::days(days) + TimeDelta::microseconds(micros))
}

fn text() -> impl Strategy<Value = String> {
    vec(select(&WORDS[..]), 1..8).prop_map(|words| words.join(" "))
}

/// Mostly short, and of several passages now and then.
fn contents() -> impl Strategy<Value = String> {
    prop_oneof![8 => text(), 1 => vec(select(&WORDS[..]), 200..400).prop_map(|words| words.join(" "))]
}

fn names(names: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    vec(select(names), 0..3).prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn records() -> impl Strategy<Value = MemoryRecord> {
    let labels = (select(&TYPES[..]), names(&TAGS), names(&DOMAINS), option::of(select(&CODEBASES[..])));
    let sessions = option::weighted(0.3, select(&SESSIONS[..]));
    (1..=IDS, contents(), labels, option::weighted(0.7, vectors()), times(), sessions).prop_map(
        |(n, content, (node_type, tags, domains, codebase), embedding, created_at, session)| {
            let scores = domains.iter().map(|domain| (domain.clone(), 0.5)).collect();
            let mut record = MemoryRecord::new_at(content, created_at)
                .id(id(u128::from(n)))
                .node_type(node_type)
                .tags(tags)
                .domain_scores(scores)
                .domains(domains)
                .embedding(embedding);
            record.codebase = codebase.map(str::to_owned);
            record.session = session.map(str::to_owned);
            record
        },
    )
}

fn states() -> impl Strategy<Value = SchedulingState> {
    let stability = select(&[0.25, 1.0, 2.5, 30.0][..]);
    (stability, option::of(times()), option::of(times()), 0_u32..3).prop_map(
        |(stability, last_review, next_review, reps)| SchedulingState {
            stability,
            difficulty: 5.5,
            retrievability: 0.75,
            last_review,
            next_review,
            reps,
            lapses: 0,
        },
    )
}

fn edges() -> impl Strategy<Value = MemoryEdge> {
    let weight = select(&[0.0, 0.25, 0.5, 1.0][..]);
    let ends = (1..=IDS, prop_oneof![1 => Just(0), 20 => 1..IDS]);
    (ends, weight, select(&EDGE_TYPES[..]), times()).prop_map(
        |((source, further), weight, edge_type, created_at)| {
            let target = (source - 1 + further) % IDS + 1;
            MemoryEdge {
                edge_type: edge_type.to_owned(),
                created_at,
                ..edge(u128::from(source), u128::from(target), weight)
            }
        },
    )
}

fn domains() -> impl Strategy<Value = Domain> {
    (select(&DOMAINS[..]), text(), option::of(vectors()), 0_u64..5).prop_map(
        |(name, label, centroid, memory_count)| Domain {
            centroid,
            memory_count,
            ..Domain::new(name, label, now())
        },
    )
}

fn rows() -> impl Strategy<Value = TransferRow> {
    prop_oneof![
        5 => records().prop_map(TransferRow::Memory),
        2 => edges().prop_map(TransferRow::Edge),
        1 => (1..=IDS, states()).prop_map(|(n, state)| {
            TransferRow::Scheduling(ScheduledMemory { memory_id: id(u128::from(n)), state })
        }),
        1 => domains().prop_map(TransferRow::Domain),
    ]
}

/// Words, phrases and exclusions.
fn question() -> impl Strategy<Value = String> {
    let word = || select(&WORDS[..]);
    let part = prop_oneof![
        16 => word().prop_map(str::to_owned),
        2 => (word(), word()).prop_map(|(a, b)| format!("\"{a} {b}\"")),
        1 => (word(), word(), word()).prop_map(|(a, b, c)| format!("\"{a} {b} {c}\"")),
        1 => word().prop_map(|word| format!("-{word}")),
        1 => (word(), word()).prop_map(|(a, b)| format!("-\"{a} {b}\"")),
        1 => select(&["*", "(", "OR", "'", "😀", "-", "\""][..]).prop_map(str::to_owned),
    ];
    vec(part, 1..6).prop_map(|parts| parts.join(" "))
}

fn filters() -> impl Strategy<Value = MemoryFilter> {
    let types = vec(select(&TYPES[..]), 0..2);
    let codebases = vec(select(&CODEBASES[..]), 0..2);
    let sessions = vec(select(&SESSIONS[..]), 0..2);
    let part = || prop::bool::weighted(0.12);
    (
        (part(), part(), part(), part(), part()),
        (names(&TAGS), names(&DOMAINS), types, codebases, sessions),
        option::weighted(0.1, times()),
        option::weighted(0.1, times()),
        option::weighted(0.1, select(&[0.0, 0.5, 0.85, 0.9, 1.0][..])),
    )
        .prop_map(|(parts, lists, created_from, created_before, minimum)| {
            let (tags, domains, types, codebases, sessions) = lists;
            let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
            MemoryFilter::new()
                .tags(if parts.0 { tags } else { Vec::new() })
                .domains(if parts.1 { domains } else { Vec::new() })
                .node_types(if parts.2 { owned(types) } else { Vec::new() })
                .codebases(if parts.3 { owned(codebases) } else { Vec::new() })
                .sessions(if parts.4 { owned(sessions) } else { Vec::new() })
                .created_from(created_from)
                .created_before(created_before)
                .min_retrievability(minimum)
        })
}

fn fusions() -> impl Strategy<Value = Fusion> {
    let k = select(&[0.0, 1.0, 10.0, 60.0][..]);
    let weight = || select(&[0.0, 0.25, 0.5, 0.7, 1.0][..]);
    let method = select(&[FusionMethod::RelativeScore, FusionMethod::ReciprocalRank][..]);
    let random = (method, k, weight(), weight(), select(&[0_usize, 1, 3][..])).prop_map(
        |(method, k, keyword_weight, vector_weight, depth)| {
            Fusion::new()
                .method(method)
                .k(k)
                .keyword_weight(keyword_weight)
                .vector_weight(vector_weight)
                .depth(depth)
        },
    );
    prop_oneof![Just(Fusion::default()), random]
}

/// Spans of time to favour.
fn spans() -> impl Strategy<Value = Vec<TimeSpan>> {
    let span = (times(), 1_i64..50)
        .prop_map(|(from, hours)| TimeSpan { from, before: from + TimeDelta::hours(hours) });
    prop_oneof![3 => Just(Vec::new()), 1 => vec(span, 1..3)]
}

fn queries() -> impl Strategy<Value = SearchQuery> {
    let parts = (option::weighted(0.9, question()), option::weighted(0.6, vectors()));
    let mode = prop_oneof![
        3 => Just(SearchMode::Hybrid),
        1 => Just(SearchMode::Keyword),
        2 => Just(SearchMode::Vector),
    ];
    (parts, filters(), 0_usize..6, fusions(), mode, spans()).prop_map(
        |((text, embedding), filter, limit, fusion, mode, times)| {
            let mut query =
                SearchQuery::default().filter(filter).limit(limit).fusion(fusion).mode(mode).times(times);
            (query.text, query.embedding) = (text, embedding);
            query
        },
    )
}
