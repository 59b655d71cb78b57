//! The database finds the same terms in a text as `vestige_traits::analysis`, position by position.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::path::Path;

use common::TestDatabase;
use sqlx::{Executor, PgPool, Row};
use vestige_traits::analysis::{AnalyzedDocument, Analyzer, Term, replaced_stems};
use vestige_traits::limits;

/// What a tsvector cannot hold: positions beyond the last, and more than so many of one term.
const LAST_POSITION: u32 = 16_383;
const MOST_POSITIONS: usize = 255;

async fn terms(pool: &PgPool, texts: &[String]) -> Vec<Vec<Term>> {
    let rows = sqlx::query(
        "SELECT place, lexeme, position
         FROM unnest($1::text[]) WITH ORDINALITY AS given (body, place)
         CROSS JOIN LATERAL unnest(vestige_terms(body)) AS found
         CROSS JOIN LATERAL unnest(positions) AS position
         ORDER BY place, position",
    )
    .bind(texts)
    .fetch_all(pool)
    .await
    .unwrap();
    let mut found = vec![Vec::new(); texts.len()];
    for row in rows {
        let place = usize::try_from(row.get::<i64, _>(0)).unwrap() - 1;
        let position = u32::try_from(row.get::<i16, _>(2)).unwrap();
        found[place].push(Term { text: row.get(1), position });
    }
    found
}

/// The texts that the database reads otherwise.
async fn disagreements(pool: &PgPool, texts: &[String]) -> Vec<(String, String)> {
    let analyzer = Analyzer::default();
    let mut differing = Vec::new();
    for chunk in texts.chunks(500) {
        for (text, found) in chunk.iter().zip(terms(pool, chunk).await) {
            let expected = analyzer.terms(text);
            if found != expected {
                let at = found.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(0);
                let difference = format!("found {:?}, expected {:?}", found.get(at), expected.get(at));
                differing.push((text.chars().take(80).collect(), difference));
            }
        }
    }
    differing
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

#[tokio::test]
async fn the_same_stems_are_replaced() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let replaced: serde_json::Value =
        sqlx::query_scalar("SELECT vestige_replaced_stems()").fetch_one(&pool).await.unwrap();
    assert_eq!(replaced, serde_json::json!(replaced_stems()));
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn hostile_texts_have_the_same_terms() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let mut texts: Vec<String> = [
        "", " ", "the of and", "Running CAFÉS, naïvely; don't", "E0308 in src/ledger_v2.rs", "ﬁle № 4²",
        "1e5 1e5x 12e3abc 0x1f 123abc 1.5e10 -3 +4 1e999 007 9999999999999999999999", "1e5x", "added egged adding",
        "http://example.com/a?b=c&d#e user@example.com ftp://x /usr/local/bin <b>tag</b> &amp; &#65; foo-bar-baz",
        "'quoted' \"double\" back\\slash a:1A,2B 'x':3 | & ! <-> <2> (", "İstanbul ISTANBUL ıspanak", "ΣΊΣΥΦΟΣ σίσυφος ς",
        "straße STRASSE ẞ", "日本語のテキスト 中文字符 한국어 텍스트", "हिन्दी में पाठ", "العربية نص עברית טקסט", "ไทยไม่มีช่องว่าง",
        "e\u{301}a\u{300} é à", "a\u{200b}b a\u{ad}b a\u{feff}b a\u{a0}b", "①②③ ⅷ Ⅷ ৴ ½ ¾ ㊿", "२ab٣ing running٣",
        "😀😃 family👨‍👩‍👧‍👦 flag🇩🇪", "\u{fdfa}\u{fdfa}", "㌀㌁㌂", "ǅ ǆ Ǆ", "K Å ſt", "tab\tnew\nline\r\u{85}\u{2028}x",
        "under_score __init__ a_b", "C++ C# F# .NET node.js v1.2.3-rc1", "x²y³ H₂O", "don’t it’s o'clock",
        "didn't isn’t ve", "broke then broken, THOUGHTS thought", "\u{1}\u{2}\u{7f}x",
        "x'; DROP TABLE knowledge_nodes; --", "%s %d {} ${x} $(y) `z`",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("a".repeat(2046) + " " + &"b".repeat(2047) + " " + &"é".repeat(1100) + " c");
    texts.push("x".repeat(limits::MAX_INDEXED_CHARS + 10));
    texts.push("é ".repeat(100));
    texts.push("broke break ".repeat(MOST_POSITIONS / 2));
    texts.push("broke ".repeat(MOST_POSITIONS - 1) + "breaks");
    let differing = disagreements(&pool, &texts).await;
    assert!(differing.is_empty(), "{differing:#?}");
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn every_character_is_folded_alike() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    // Between two letters each, so that a separator shows. Of the many that are alike, some.
    let chosen = |c: char| match c {
        '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{f8ff}'
        | '\u{17000}'..='\u{1afff}'
        | '\u{20000}'..=char::MAX => u32::from(c) % 101 == 0,
        _ => c.is_alphanumeric() || u32::from(c) % 11 == 0,
    };
    let texts: Vec<String> = ('\u{1}'..=char::MAX).filter(|&c| chosen(c)).map(|c| format!("q{c}q")).collect();
    let differing = disagreements(&pool, &texts).await;
    // Characters that came after the Unicode of this server may differ.
    let mut known = Vec::new();
    for difference in differing {
        let assigned = sqlx::query_scalar("SELECT unicode_assigned($1)").bind(&difference.0);
        if assigned.fetch_one(&pool).await.unwrap() {
            known.push(difference);
        }
    }
    assert!(known.is_empty(), "{known:#?}");
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn random_texts_have_the_same_terms() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let mut numbers = Numbers(42);
    let syllables =
        ["run", "ing", "ed", "s", "ly", "e", "1", "0", "é", "ß", "Σ", "日", "٣", "x", "tion", "al"];
    let joints = [" ", "", "", "-", "_", "'", ".", "\u{301}", "/", "  "];
    let texts: Vec<String> = (0..20_000)
        .map(|_| {
            let parts = 1 + numbers.next(20);
            (0..parts)
                .map(|_| {
                    syllables[numbers.next(syllables.len())].to_owned() + joints[numbers.next(joints.len())]
                })
                .collect()
        })
        .collect();
    let differing = disagreements(&pool, &texts).await;
    assert!(
        differing.is_empty(),
        "{} of {}: {:#?}",
        differing.len(),
        texts.len(),
        &differing[..10.min(differing.len())]
    );
    pool.close().await;
    database.drop().await;
}

/// The dictionary texts that lie beside the repository where retrieval is measured.
#[tokio::test]
async fn dictionary_texts_have_the_same_terms() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/wordnet-dev/memories.jsonl");
    let Ok(lines) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: no wordnet-dev beside the repository");
        return;
    };
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let texts: Vec<String> = lines
        .lines()
        .map(|line| {
            let memory: serde_json::Value = serde_json::from_str(line).unwrap();
            memory["content"].as_str().unwrap().to_owned()
        })
        .collect();
    let differing = disagreements(&pool, &texts).await;
    assert!(differing.is_empty(), "{} of {}: {differing:#?}", differing.len(), texts.len());
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn fields_keep_their_labels_and_lengths() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let analyzer = Analyzer::default();
    let tags = vec!["alpha beta".to_owned(), "gamma".to_owned()];
    let document = AnalyzedDocument::new(&analyzer, "The running dogs ran", "bug report", &tags);
    let row = sqlx::query(
        "SELECT vestige_length(v), array(
           SELECT DISTINCT weight || lexeme FROM unnest(v), unnest(weights) AS weight ORDER BY 1
         )
         FROM vestige_search_vec('The running dogs ran', 'bug report', '{alpha beta,gamma}') AS v",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(usize::try_from(row.get::<i64, _>(0)).unwrap(), document.len());
    assert_eq!(
        row.get::<Vec<String>, _>(1),
        ["Adog", "Arun", "Bbug", "Breport", "Calpha", "Cbeta", "Cgamma"]
    );
    pool.close().await;
    database.drop().await;
}

/// No legal memory may fail because its words do not fit into a tsvector.
#[tokio::test]
async fn the_largest_memories_are_indexed_without_an_error() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let mut numbers = Numbers(7);
    let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyz".chars().collect();
    let wide: Vec<char> = ('\u{20000}'..'\u{2a000}').collect();
    let expanding: Vec<char> = ('\u{3300}'..='\u{3357}').collect();
    let mut contents = vec!["word ".repeat(200_000), "x ".repeat(500_000), "é".repeat(500_000)];
    for (alphabet, length) in [(&letters, 1_000_000), (&wide, 250_000), (&expanding, 340_000)] {
        let mut text = String::new();
        while text.chars().count() < length {
            text.extend((0..3).map(|_| alphabet[numbers.next(alphabet.len())]));
            text.push(' ');
            if text.len() > limits::MAX_CONTENT_BYTES - 16 {
                break;
            }
        }
        contents.push(text);
    }
    for content in &contents {
        // A thousand long tags, all different.
        let start: Vec<char> = content.chars().take(200_000).collect();
        let tags: Vec<String> = start
            .chunks(200)
            .take(limits::MAX_LIST_ITEMS)
            .map(|part| part.iter().collect::<String>())
            .collect();
        sqlx::query("INSERT INTO knowledge_nodes (id, content, tags) VALUES (gen_random_uuid(), $1, $2)")
            .bind(content)
            .bind(&tags)
            .execute(&pool)
            .await
            .unwrap_or_else(|error| panic!("{:?}: {error}", content.chars().take(20).collect::<String>()));
    }
    let indexed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM knowledge_nodes WHERE length(search_vec) > 0")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(usize::try_from(indexed).unwrap(), contents.len());
    let document = Analyzer::default().terms(&contents[0]);
    assert!(document.len() > MOST_POSITIONS && document.last().unwrap().position > LAST_POSITION);
    pool.execute("SELECT 1").await.unwrap();
    pool.close().await;
    database.drop().await;
}
