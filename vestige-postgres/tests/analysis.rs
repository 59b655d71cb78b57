//! The terms that the database stores are those that the client computes, whoever wrote the memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{TestDatabase, eventually};
use sqlx::migrate::Migrator;
use sqlx::{Executor, PgPool, Row};
use vestige_conformance::fixtures::{embedded, id, memory, model};
use vestige_postgres::PgMemoryStore;
use vestige_traits::analysis::{AnalyzedDocument, Analyzer};
use vestige_traits::stats::{Finding, Severity};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreError, SearchQuery, limits};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Texts of many scripts, and texts that look like the syntax of tsvector, tsquery or SQL.
const TEXTS: [&str; 32] = [
    "",
    "the of and",
    "Running CAFÉS, naïvely; don't",
    "E0308 in src/ledger_v2.rs",
    "ﬁle № 4²",
    "1e5 1e5x 12e3abc 0x1f 1.5e10 -3 +4 1e999 007 9999999999999999999999",
    "http://example.com/a?b=c&d#e user@example.com <b>tag</b> &amp; &#65; foo-bar-baz",
    "'quoted' \"double\" back\\slash a:1A,2B 'x':3 | & ! <-> <2> (",
    "İstanbul ISTANBUL ıspanak",
    "ΣΊΣΥΦΟΣ σίσυφος ς",
    "straße STRASSE ẞ",
    "日本語のテキスト 中文字符 한국어 텍스트",
    "हिन्दी में पाठ",
    "العربية نص עברית טקסט",
    "ไทยไม่มีช่องว่าง",
    "e\u{301}a\u{300} é à",
    "a\u{200b}b a\u{ad}b a\u{feff}b a\u{a0}b",
    "①②③ ⅷ Ⅷ ৴ ½ ¾ ㊿",
    "२ab٣ing running٣",
    "😀😃 family👨‍👩‍👧‍👦 flag🇩🇪",
    "\u{fdfa}\u{fdfa} ㌀㌁㌂",
    "ǅ ǆ Ǆ K Å ſt",
    "tab\tnew\nline\r\u{85}\u{2028}x",
    "under_score __init__ a_b getUserName parseHTMLResponse",
    "C++ C# F# .NET node.js v1.2.3-rc1",
    "x²y³ H₂O",
    "broke then broken, THOUGHTS thought",
    "\u{1}\u{2}\u{7f}x",
    "x'; DROP TABLE knowledge_nodes; --",
    "%s %d {} ${x} $(y) `z`",
    "Über die Größe der Häuser wird in der Zeitung viel geschrieben",
    "Сегодня вечером мы говорили о больших домах",
];

fn records() -> Vec<MemoryRecord> {
    let tags = |text: &str| text.split(' ').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    let records = TEXTS.iter().zip(1..).map(|(text, n)| {
        let mut record = memory(n, format!("{text} memory"));
        record.node_type = "bug report".to_owned();
        record.tags = tags(&text.replace(|c: char| c.is_control(), ""));
        record
    });
    records.collect()
}

/// Checks the terms of every memory and its passages: positions, fields and length. Returns how many memories
/// there are.
async fn assert_terms_of_the_client(pool: &PgPool) -> usize {
    let analyzer = Analyzer::default();
    let memories = "SELECT id, content, node_type, tags, passages,
        vestige_length(search_vec) + coalesce((
          SELECT sum(vestige_length(p.search_vec)) FROM keyword_passages AS p WHERE p.memory_id = n.id
        ), 0)::bigint
        FROM knowledge_nodes AS n";
    let memories = sqlx::query(memories).fetch_all(pool).await.unwrap();
    for memory in &memories {
        let (content, node_type): (String, String) = (memory.get(1), memory.get(2));
        let tags = memory.get::<Vec<String>, _>(3);
        let documents: Vec<_> = AnalyzedDocument::of_memory(&analyzer, &content, &node_type, &tags).collect();
        let mut expected = Vec::new();
        for (document, number) in documents.iter().zip(0_i32..) {
            for (field, label) in document.fields.iter().zip(["A", "B", "C"]) {
                for term in field {
                    let position = i16::try_from(term.position).unwrap();
                    expected.push((number, term.text.clone(), position, label.to_owned()));
                }
            }
        }
        expected.sort();
        let mut stored: Vec<(i32, String, i16, String)> = sqlx::query_as(
            "SELECT number, lexeme, position, weight FROM (
               SELECT 0 AS number, search_vec FROM knowledge_nodes WHERE id = $1
               UNION ALL
               SELECT number, search_vec FROM keyword_passages WHERE memory_id = $1
             ) AS passages
             CROSS JOIN LATERAL unnest(search_vec)
             CROSS JOIN LATERAL unnest(positions, weights) AS place (position, weight)",
        )
        .bind(memory.get::<uuid::Uuid, _>(0))
        .fetch_all(pool)
        .await
        .unwrap();
        stored.sort();
        let start: String = content.chars().take(80).collect();
        assert!(stored == expected, "{start}: {:?}", stored.iter().zip(&expected).find(|(a, b)| a != b));
        let length: usize = documents.iter().map(AnalyzedDocument::len).sum();
        assert_eq!(usize::try_from(memory.get::<Option<i64>, _>(5).unwrap()).unwrap(), length, "{start}");
        assert_eq!(usize::try_from(memory.get::<i32, _>(4)).unwrap(), documents.len() - 1, "{start}");
    }
    memories.len()
}

async fn keyword_index(store: &PgMemoryStore) -> Finding {
    let findings = store.diagnose().await.unwrap();
    findings.into_iter().find(|finding| finding.subject == "keyword index").unwrap()
}

async fn queued(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM unanalyzed_memories").fetch_one(pool).await.unwrap()
}

/// Another program gives the store its analysis.
async fn analysed_by_another(pool: &PgPool, program: &str) {
    sqlx::query("UPDATE keyword_analysis SET version = version + 1, fingerprint = 'another', program = $1")
        .bind(program)
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn every_writer_stores_the_terms_of_the_client() {
    let (Some(database), Some(other)) = (TestDatabase::new().await, TestDatabase::new().await) else {
        return;
    };
    let (store, pool) = (database.store().await, database.pool().await);
    let records = records();
    for record in &records {
        store.insert(record).await.unwrap();
    }
    assert_eq!(assert_terms_of_the_client(&pool).await, TEXTS.len());
    let mut more = records.clone();
    for (record, n) in more.iter_mut().zip(1001..) {
        record.id = id(n);
    }
    store.insert_batch(&more).await.unwrap();
    assert_eq!(assert_terms_of_the_client(&pool).await, 2 * TEXTS.len());
    for (record, text) in records.iter().zip(TEXTS.iter().rev()) {
        let changed = record.clone().content(format!("{text} changed"));
        let version = store.update(&changed).await.unwrap();
        if text.len() % 2 == 0 {
            let changed = changed.content(format!("changed again: {text}"));
            store.update_unless_changed(&changed, version).await.unwrap();
        }
    }
    assert_terms_of_the_client(&pool).await;
    // As a restore and a copy write.
    let page = store.export_page(TransferKind::Memory, None, 1000).await.unwrap();
    let target = other.store().await;
    let mut rows = page.rows.clone();
    // The second of an id is not stored, nor are its terms.
    rows.insert(1, TransferRow::Memory(memory(rows.len() as u128 + 5000, "first of its id")));
    rows.insert(2, TransferRow::Memory(memory(rows.len() as u128 + 4999, "second of its id")));
    let report = target.import_page(&rows, None).await.unwrap();
    assert_eq!(report.inserted, 2 * TEXTS.len() as u64 + 1, "{report:?}");
    let copied = other.pool().await;
    assert_eq!(assert_terms_of_the_client(&copied).await, 2 * TEXTS.len() + 1);
    for store in [&store, &target] {
        let finding = keyword_index(store).await;
        assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
    }
    assert_eq!(queued(&copied).await, 0);
    for (store, pool, database) in [(store, pool, database), (target, copied, other)] {
        store.close().await;
        pool.close().await;
        database.drop().await;
    }
}

/// Numbers without a pattern (xorshift64*), so that a failure comes again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }
}

/// No legal memory may fail because its words do not fit into a tsvector.
#[tokio::test]
async fn the_largest_memories_are_indexed_without_an_error() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    let mut numbers = Numbers(7);
    let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyz".chars().collect();
    let wide: Vec<char> = ('\u{20000}'..'\u{2a000}').collect();
    let expanding: Vec<char> = ('\u{3300}'..='\u{3357}').collect();
    let mut contents = vec!["word ".repeat(200_000), "x ".repeat(500_000), "é".repeat(500_000)];
    for (alphabet, length) in [(&letters, 1_000_000), (&wide, 250_000), (&expanding, 340_000)] {
        let mut text = String::new();
        while text.chars().count() < length && text.len() < limits::MAX_CONTENT_BYTES - 1000 {
            for _ in 0..20 {
                text.extend((0..3).map(|_| alphabet[numbers.next(alphabet.len())]));
                text.push(' ');
            }
        }
        contents.push(text);
    }
    let long_word: String =
        (0..limits::MAX_CONTENT_BYTES / 4).map(|_| wide[numbers.next(wide.len())]).collect();
    contents.push(long_word);
    let records: Vec<MemoryRecord> = contents
        .iter()
        .zip(1..)
        .map(|(content, n)| {
            let mut record = memory(n, content.clone());
            // As many long tags as there may be.
            let start: Vec<char> = content.chars().filter(|c| *c != ' ').take(200_000).collect();
            record.tags = start.chunks(200).take(limits::MAX_LIST_ITEMS).map(String::from_iter).collect();
            record.tags.sort();
            record.tags.dedup();
            record
        })
        .collect();
    let (alone, together) = records.split_at(records.len() / 2);
    for record in alone {
        store.insert(record).await.unwrap_or_else(|error| panic!("{}: {error}", record.id));
    }
    store.update(&alone[0]).await.unwrap();
    store.insert_batch(together).await.unwrap();
    assert_eq!(assert_terms_of_the_client(&pool).await, contents.len());
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn what_others_write_without_terms_is_found_and_mended() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.insert_batch(&records()).await.unwrap();
    pool.execute("INSERT INTO knowledge_nodes (id, content) VALUES (gen_random_uuid(), 'a zebra')")
        .await
        .unwrap();
    pool.execute("UPDATE knowledge_nodes SET content = 'a giraffe' WHERE content LIKE 'C++%'").await.unwrap();
    assert_eq!(queued(&pool).await, 2, "the triggers notice both");
    let finding = keyword_index(&store).await;
    assert_eq!(finding.severity, Severity::Error, "{finding:?}");
    assert!(finding.message.contains("1 memories are indexed by other words"), "{finding:?}");
    assert!(finding.message.contains("1 by none"), "{finding:?}");
    assert!(store.search(&SearchQuery::text("zebra")).await.unwrap().is_empty());
    // Whoever opens it next mends it.
    let next = database.store().await;
    for word in ["zebra", "giraffe"] {
        assert_eq!(store.search(&SearchQuery::text(word)).await.unwrap().len(), 1, "{word}");
    }
    assert_eq!((keyword_index(&next).await.severity, queued(&pool).await), (Severity::Ok, 0));
    // Terms that are wrong and not missing are mended on demand, and no trigger notices them.
    pool.execute("UPDATE knowledge_nodes SET search_vec = 'lion:1A' WHERE content = 'a zebra'")
        .await
        .unwrap();
    assert_eq!(queued(&pool).await, 0);
    assert_eq!(keyword_index(&store).await.severity, Severity::Error);
    store.rebuild_indexes().await.unwrap();
    let finding = keyword_index(&store).await;
    assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
    assert_terms_of_the_client(&pool).await;
    for (word, found) in [("zebra", 1), ("lion", 0)] {
        assert_eq!(store.search(&SearchQuery::text(word)).await.unwrap().len(), found, "{word}");
    }
    pool.execute("TRUNCATE knowledge_nodes CASCADE").await.unwrap();
    assert_eq!(keyword_index(&store).await.severity, Severity::Ok);
    store.close().await;
    next.close().await;
    pool.close().await;
    database.drop().await;
}

/// A statement of another program finds its functions wherever its search_path points.
#[tokio::test]
async fn a_writer_with_another_search_path_is_noticed_too() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    pool.execute(
        "SET search_path = pg_catalog;
         INSERT INTO public.knowledge_nodes (id, content) VALUES (gen_random_uuid(), 'one'), (gen_random_uuid(), 'two');
         UPDATE public.knowledge_nodes SET content = content || ' more';
         DELETE FROM public.knowledge_nodes WHERE content = 'one more'; RESET search_path",
    )
    .await
    .unwrap();
    assert_eq!(queued(&pool).await, 2);
    let next = database.store().await;
    assert_eq!(assert_terms_of_the_client(&pool).await, 1);
    assert_eq!(queued(&pool).await, 0, "also of the one that is gone");
    store.close().await;
    next.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_program_with_another_analysis_neither_writes_terms_nor_looks_for_them() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.register_model(&model()).await.unwrap();
    let kept = embedded(1, "a zebra", &[1.0, 0.0, 0.0, 0.0]);
    store.insert(&kept).await.unwrap();
    let page = store.export_page(TransferKind::Memory, None, 10).await.unwrap();
    analysed_by_another(&pool, "0.0.1").await;
    let vector = vec![1.0, 0.0, 0.0, 0.0];
    let refused = [
        store.insert(&memory(2, "new")).await,
        store.insert_batch(&[memory(2, "new")]).await,
        store.update(&kept.clone().content("changed")).await.map(drop),
        store.import_page(&page.rows, None).await.map(drop),
        store.search(&SearchQuery::text("zebra")).await.map(drop),
        store.search(&SearchQuery::text("unheard")).await.map(drop),
        store.search(&SearchQuery::hybrid("zebra -lion", vector.clone())).await.map(drop),
        store.explain_search(&SearchQuery::text("zebra")).await.map(drop),
        store.rebuild_indexes().await,
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        let Err(error) = refused else { panic!("{n} is not refused") };
        assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{n}: {error:?}");
        assert!(error.to_string().contains("another version of Vestige"), "{n}: {error}");
    }
    assert_eq!(keyword_index(&store).await.severity, Severity::Error);
    // What has to do with no words goes on.
    let by_meaning = store.search(&SearchQuery::embedding(vector.clone())).await.unwrap();
    assert_eq!(by_meaning.len(), 1);
    assert_eq!(store.get(kept.id).await.unwrap().unwrap().content, "a zebra");
    assert_eq!(store.count().await.unwrap(), 1);
    // A reader cannot analyse anything, and the next writer does.
    let error = database.builder().read_only(true).connect().await.expect_err("of another analysis");
    assert!(error.to_string().contains("open it for writing once"), "{error}");
    let next = database.store().await;
    assert_eq!(next.search(&SearchQuery::text("zebra")).await.unwrap().len(), 1);
    let error = store.search(&SearchQuery::text("zebra")).await.expect_err("opened before");
    assert!(error.to_string().contains("another version of Vestige"), "{error}");
    store.init().await.unwrap();
    assert_eq!(store.search(&SearchQuery::hybrid("zebra", vector)).await.unwrap().len(), 1);
    assert_eq!(database.builder().read_only(true).connect().await.unwrap().count().await.unwrap(), 1);
    store.close().await;
    next.close().await;
    pool.close().await;
    database.drop().await;
}

/// It names the version of before in a statement that begins before the change and waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_for_a_change_of_the_analysis_is_refused_after_it() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let record = memory(1, "written before");
    for n in 0..4 {
        // One connection, on which every statement is prepared.
        let store = database.builder().max_connections(1).connect().await.unwrap();
        if n == 0 {
            store.insert(&record).await.unwrap();
        }
        let page = store.export_page(TransferKind::Memory, None, 10).await.unwrap();
        store.update(&record).await.unwrap();
        let mut changing = pool.begin().await.unwrap();
        changing.execute("LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
        changing
            .execute(
                "UPDATE keyword_analysis SET version = version + 1, fingerprint = 'other', program = '0.0.1'",
            )
            .await
            .unwrap();
        let writing = tokio::spawn(async move {
            let record = memory(2, "new");
            match n {
                0 => store.insert(&record).await,
                1 => store.insert_batch(&[record]).await,
                2 => store.update(&memory(1, "changed")).await.map(drop),
                _ => store.import_page(&page.rows, None).await.map(drop),
            }
        });
        let waiting = "SELECT EXISTS (
            SELECT FROM pg_locks JOIN pg_database AS d ON d.oid = database
            WHERE datname = current_database() AND NOT granted AND relation = 'knowledge_nodes'::regclass)";
        eventually("a writer that waits", || async {
            sqlx::query_scalar::<_, bool>(waiting).fetch_one(&pool).await.unwrap()
        })
        .await;
        changing.commit().await.unwrap();
        let error = writing.await.unwrap().expect_err("of the analysis of before");
        assert!(error.to_string().contains("another version of Vestige"), "{n}: {error}");
    }
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT content FROM knowledge_nodes").fetch_all(&pool).await.unwrap();
    assert_eq!(kept, ["written before"]);
    pool.close().await;
    database.drop().await;
}

/// Otherwise two versions that are started in turn would analyse everything anew each time.
#[tokio::test]
async fn an_older_program_leaves_the_analysis_of_a_newer_one_alone() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.insert(&memory(1, "kept")).await.unwrap();
    store.close().await;
    analysed_by_another(&pool, "999.0.0").await;
    let row = "SELECT keyword_analysis::text FROM keyword_analysis";
    let before: String = sqlx::query_scalar(row).fetch_one(&pool).await.unwrap();
    for read_only in [false, true] {
        let error = database.builder().read_only(read_only).connect().await.expect_err("too old");
        assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
        assert!(error.to_string().contains("Vestige 999.0.0"), "{error}");
    }
    assert!(database.builder().connect_existing().await.is_err());
    let after: String = sqlx::query_scalar(row).fetch_one(&pool).await.unwrap();
    assert_eq!((after, queued(&pool).await), (before, 0));
    pool.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_version_6_is_upgraded_while_others_read_and_write() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    MIGRATOR.undo(&pool, 6).await.unwrap();
    pool.execute(
        "INSERT INTO knowledge_nodes (id, content, tags)
         SELECT gen_random_uuid(), 'the broken number ' || n || ' Größe 東京', '{one,two}' FROM generate_series(1, 700) AS n",
    )
    .await
    .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..2)
        .map(|n| {
            let (pool, done) = (pool.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut rounds = 0;
                // As a program of version 6: it reads, writes without terms, and deletes.
                while !done.load(Ordering::Relaxed) || rounds < 3 {
                    let read: i64 = sqlx::query_scalar(
                        "SELECT count(*) FROM knowledge_nodes WHERE content LIKE '%number%'",
                    )
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                    assert!(read >= 690, "{read}");
                    sqlx::query("INSERT INTO knowledge_nodes (id, content) VALUES (gen_random_uuid(), $1)")
                        .bind(format!("written by {n} meanwhile"))
                        .execute(&pool)
                        .await
                        .unwrap();
                    sqlx::query(
                        "UPDATE knowledge_nodes SET content = content || ' changed' WHERE content LIKE $1",
                    )
                    .bind(format!("the broken number {}{} %", 1 + n, rounds % 10))
                    .execute(&pool)
                    .await
                    .unwrap();
                    rounds += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    let opening: Vec<_> = (0..3)
        .map(|_| {
            let builder = database.builder();
            tokio::spawn(async move { builder.connect().await })
        })
        .collect();
    let mut stores = Vec::new();
    for opened in opening {
        let store = opened.await.unwrap().unwrap();
        let found = store.search(&SearchQuery::text("broken").limit(1000)).await.unwrap();
        assert_eq!(found.len(), 700, "an open store finds everything that was there before");
        stores.push(store);
    }
    done.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    stores[0].init().await.unwrap();
    let finding = keyword_index(&stores[0]).await;
    assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
    assert!(assert_terms_of_the_client(&pool).await > 700);
    // And back: the version before opens what is left, and computes its terms itself.
    for store in stores {
        store.close().await;
    }
    let count = "SELECT count(*)::int8 FROM knowledge_nodes WHERE search_vec @@ 'break'";
    MIGRATOR.undo(&pool, 6).await.unwrap();
    let found: i64 = sqlx::query_scalar(count).fetch_one(&pool).await.unwrap();
    assert_eq!(found, 700);
    let totals = "SELECT sum(documents)::int8 = (SELECT count(*) FROM knowledge_nodes)
        AND sum(terms)::int8 = (SELECT sum(vestige_length(search_vec))::int8 FROM knowledge_nodes)
        FROM keyword_totals";
    assert!(sqlx::query_scalar::<_, bool>(totals).fetch_one(&pool).await.unwrap());
    pool.close().await;
    database.drop().await;
}

/// What the process below runs; by itself it does nothing.
#[tokio::test]
async fn child_process() {
    let Ok(url) = std::env::var("VESTIGE_TEST_CHILD_URL") else { return };
    PgMemoryStore::connect(&url, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_between_two_batches_leaves_the_rest_to_the_next() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    let records: Vec<_> = (1..=1000).map(|n| memory(n, format!("memory number {n}"))).collect();
    store.insert_batch(&records).await.unwrap();
    store.close().await;
    pool.execute("UPDATE knowledge_nodes SET search_vec = 'old:1A'").await.unwrap();
    analysed_by_another(&pool, "0.0.1").await;
    // The sixth batch waits here.
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM knowledge_nodes WHERE id = $1 FOR UPDATE")
        .bind(id(550))
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process"])
        .env("VESTIGE_TEST_CHILD_URL", &database.url)
        .spawn()
        .unwrap();
    eventually("five batches", || async { queued(&pool).await == 500 }).await;
    let error = database.builder().read_only(true).connect().await.expect_err("not done");
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: true, .. }), "{error:?}");
    child.kill().await.unwrap();
    holder.rollback().await.unwrap();
    assert_eq!(queued(&pool).await, 500, "the batch that was under way is not half done");
    let (one, two) = tokio::join!(database.store(), database.store());
    assert_eq!(queued(&pool).await, 0);
    assert_eq!(assert_terms_of_the_client(&pool).await, 1000);
    for store in [one, two] {
        assert_eq!(store.search(&SearchQuery::text("number").limit(1000)).await.unwrap().len(), 1000);
        let finding = keyword_index(&store).await;
        assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
        store.close().await;
    }
    pool.close().await;
    database.drop().await;
}

/// The weight of a term multiplies its part of the score, and a question may have more terms than count.
#[tokio::test]
async fn of_a_question_with_too_many_words_the_rarest_count() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let words: Vec<String> = (0..200).map(|n| format!("word{n}")).collect();
    let mut records: Vec<_> = (1..=20).map(|n| memory(n, words.join(" "))).collect();
    records.push(memory(21, format!("{} alone", words[199])));
    store.insert_batch(&records).await.unwrap();
    let found = store.search(&SearchQuery::text(words.join(" ")).limit(50)).await.unwrap();
    assert!(found.len() >= 20, "{}", found.len());
    let plan = store.explain_search(&SearchQuery::text(words.join(" "))).await.unwrap();
    assert!(plan.steps.iter().any(|step| step.method.contains("one of 64 terms")), "{plan:?}");
    store.close().await;
    database.drop().await;
}
