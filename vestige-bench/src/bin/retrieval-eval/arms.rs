//! What can be asked a question.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rusqlite::{Connection, params};
use uuid::Uuid;
use vestige_bench::agreement::Ranking;
use vestige_bench::conversation::{Sessions, asked_at, records};
use vestige_bench::data::{Question, SetMemory, record_id};
use vestige_bench::subject::{Backend, Subject};
use vestige_memory::{Memory, Recall};
use vestige_traits::clock::ManualClock;
use vestige_traits::{AnyEmbedder, Fusion, MemoryFilter, Passage, SearchMode};

/// What answers the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arm {
    /// The store's search by words.
    Keyword,
    /// The store's search by meaning.
    Vector,
    /// The store's search by both.
    Hybrid,
    /// FTS5 as it comes: its `bm25()`, its porter tokenizer, any word, stop words searched like others.
    Bm25,
    /// Ten memories of the scope, drawn by lot, the same in every run.
    Random,
    /// PostgreSQL's `ts_rank_cd` on the store's table, any word.
    #[cfg(feature = "postgres")]
    TsRankCd,
}

impl From<SearchMode> for Arm {
    fn from(mode: SearchMode) -> Self {
        match mode {
            SearchMode::Keyword => Self::Keyword,
            SearchMode::Vector => Self::Vector,
            _ => Self::Hybrid,
        }
    }
}

impl Arm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Vector => "vector",
            Self::Hybrid => "hybrid",
            Self::Bm25 => "bm25",
            Self::Random => "random",
            #[cfg(feature = "postgres")]
            Self::TsRankCd => "ts_rank_cd",
        }
    }
}

/// What an arm found for each question, and the milliseconds that each took.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) rankings: Vec<Ranking>,
    /// The passages of what was found, one for each id of a ranking; empty of an arm that knows none.
    pub(crate) passages: Vec<Vec<Option<Passage>>>,
    pub(crate) times: Vec<f64>,
    /// Whether an answer is one of the first ten or stands beside one; empty where that was not asked.
    pub(crate) in_context: Vec<bool>,
}

/// A filled store and the questions that it is asked.
pub(crate) struct Ground<'a> {
    memories: &'a [SetMemory],
    questions: &'a [Question],
    names: HashMap<Uuid, &'a str>,
    subject: Subject,
    model: AnyEmbedder,
    fusion: Fusion,
    context: usize,
    /// When each question is asked; none where nothing says so, or where dates are off.
    asked: Vec<Option<DateTime<Utc>>>,
    #[cfg(feature = "postgres")]
    url: Option<&'a str>,
}

impl<'a> Ground<'a> {
    /// Fills a store, in the database of the URL where it is PostgreSQL.
    pub(crate) async fn prepare(
        (memories, sessions): (&'a [SetMemory], Sessions),
        questions: &'a [Question],
        (store, url): (Backend, Option<&'a str>),
        model: AnyEmbedder,
        (fusion, dates): (Fusion, bool),
        context: usize,
    ) -> Result<Self> {
        let subject = Subject::open(store, url).await?;
        subject.fill(records(memories, sessions)?, &model).await?;
        let name = |memory: &'a SetMemory| (record_id(&memory.id, &memory.content), memory.id.as_str());
        Ok(Self {
            memories,
            questions,
            names: memories.iter().map(name).collect(),
            subject,
            model,
            fusion,
            context,
            asked: if dates { asked_at(memories, questions)? } else { vec![None; questions.len()] },
            #[cfg(feature = "postgres")]
            url,
        })
    }

    /// Asks an arm every question.
    pub(crate) async fn ask(&self, arm: Arm) -> Result<Outcome> {
        match arm {
            Arm::Keyword => self.ask_store(SearchMode::Keyword).await,
            Arm::Vector => self.ask_store(SearchMode::Vector).await,
            Arm::Hybrid => self.ask_store(SearchMode::Hybrid).await,
            Arm::Bm25 => self.ask_fts5(),
            Arm::Random => Ok(self.draw()),
            #[cfg(feature = "postgres")]
            Arm::TsRankCd => {
                let url = self.url.context("ts-rank-cd needs --store postgres and --postgres-url")?;
                let (rankings, times) = vestige_bench::ts_rank::run(url, self.questions, &self.names).await?;
                Ok(Outcome { rankings, times, in_context: Vec::new(), passages: Vec::new() })
            }
        }
    }

    async fn ask_store(&self, mode: SearchMode) -> Result<Outcome> {
        // As users ask: through the facade.
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let memory = Memory::builder(self.subject.store.clone(), self.model.clone());
        let memory = memory.clock(Arc::clone(&clock)).build();
        let mut outcome = Outcome::default();
        for (question, asked) in self.questions.iter().zip(&self.asked) {
            if let Some(asked) = asked {
                clock.set(*asked);
            }
            let filter = MemoryFilter::new().codebases([question.scope.clone()]);
            let recall = Recall::new(&question.query).mode(mode).filter(filter).limit(10);
            let recall = recall.fusion(self.fusion).dates(asked.is_some());
            let started = Instant::now();
            let found = memory.recall(recall).await;
            let found = found.with_context(|| format!("question {}", question.id))?;
            let ranking: Vec<&str> = found.iter().map(|hit| self.names[&hit.record.id]).collect();
            outcome.push(question, &ranking, started);
            outcome.passages.push(found.iter().map(|hit| hit.passage).collect());
            if self.context > 0 {
                let found = memory.in_context(found, self.context).await?;
                let shown = found.iter().flat_map(|hit| {
                    let around = hit.before.iter().chain(&hit.after).map(|near| near.record.id);
                    around.chain([hit.result.record.id])
                });
                let answers = |id: Uuid| question.relevant.iter().any(|answer| answer == self.names[&id]);
                outcome.in_context.push(shown.into_iter().any(answers));
            }
        }
        Ok(outcome)
    }

    fn ask_fts5(&self) -> Result<Outcome> {
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE VIRTUAL TABLE notes USING fts5 (content, scope UNINDEXED, tokenize = 'porter unicode61')",
        )?;
        let tx = connection.transaction()?;
        for (n, memory) in self.memories.iter().enumerate() {
            tx.prepare_cached("INSERT INTO notes (rowid, content, scope) VALUES (?, ?, ?)")?
                .execute(params![n, memory.content, memory.scope])?;
        }
        tx.commit()?;
        let mut statement = connection.prepare(
            "SELECT rowid FROM notes WHERE notes MATCH ? AND scope = ? ORDER BY bm25(notes), rowid LIMIT 10",
        )?;
        let mut outcome = Outcome::default();
        for question in self.questions {
            let started = Instant::now();
            let words = question.query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            let any_word = words.map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ");
            let found = statement
                .query_map(params![any_word, question.scope], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<usize>>>()?;
            let ranking: Vec<&str> = found.iter().map(|&n| self.memories[n].id.as_str()).collect();
            outcome.push(question, &ranking, started);
        }
        Ok(outcome)
    }

    fn draw(&self) -> Outcome {
        let mut scopes: HashMap<&str, Vec<&str>> = HashMap::new();
        for memory in self.memories {
            scopes.entry(&memory.scope).or_default().push(&memory.id);
        }
        let mut outcome = Outcome::default();
        for question in self.questions {
            let started = Instant::now();
            let hash = blake3::hash(question.id.as_bytes());
            let mut lot = StdRng::from_seed(*hash.as_bytes());
            let scope = scopes.get(question.scope.as_str()).map_or(&[][..], Vec::as_slice);
            let ranking: Vec<&str> = scope.choose_multiple(&mut lot, 10).copied().collect();
            outcome.push(question, &ranking, started);
        }
        outcome
    }
}

impl Outcome {
    fn push(&mut self, question: &Question, ranking: &[&str], started: Instant) {
        self.times.push(started.elapsed().as_secs_f64() * 1e3);
        self.rankings.push(Ranking::new(&question.id, ranking));
    }
}
