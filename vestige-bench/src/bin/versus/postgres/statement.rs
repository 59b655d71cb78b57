//! Vestige's search statement without Vestige around it: by pgbench, and prepared through the driver.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use vestige_bench::sample::Sample;
use vestige_traits::analysis::{Analyzer, Phrase};
use vestige_traits::limits::MAX_QUERY_TERMS;
use vestige_traits::{Fusion, FusionMethod};

const SEARCH: &str = include_str!("../../../../../vestige-postgres/src/sql/search.sql");

/// What the store tells the server before the statement, as it is by default.
pub(super) const SETTINGS: [(&str, &str); 8] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("random_page_cost", "1.1"),
    ("hnsw.ef_search", "200"),
    ("hnsw.iterative_scan", "relaxed_order"),
    ("hnsw.max_scan_tuples", "20000"),
];

/// How many questions one run of pgbench answers: a turn of the contest.
const TURN: usize = crate::contest::TURN;

/// What a question asks for, as the statement takes it.
pub(super) struct Asked {
    pub(super) terms: Vec<String>,
    pub(super) weights: Vec<f64>,
    /// Its phrases and exclusions as a tsquery; empty if there are none.
    pub(super) admission: String,
}

impl Asked {
    pub(super) fn new(text: &str) -> Self {
        let asked = Analyzer::default().query(text);
        // The store would choose the rarest of more.
        let terms = asked.terms.iter().take(MAX_QUERY_TERMS);
        let (terms, weights) = terms.map(|term| (term.text.clone(), term.weight)).unzip();
        let required = asked.required.iter().map(|phrase| format!("({})", alternatives(phrase)));
        let excluded = asked.excluded.iter().map(|phrase| format!("!({})", alternatives(phrase)));
        let admission = required.chain(excluded).collect::<Vec<_>>().join(" & ");
        Self { terms, weights, admission }
    }
}

/// A phrase in each of the three fields, and what stands for the whole of it.
fn alternatives(phrase: &Phrase) -> String {
    let in_field = |label: char| {
        let mut chain = String::new();
        for (n, term) in phrase.terms.iter().enumerate() {
            if n > 0 {
                let _ = write!(chain, " <{}> ", term.position - phrase.terms[n - 1].position);
            }
            let _ = write!(chain, "'{}':{label}", term.text);
        }
        chain
    };
    let whole = phrase.whole.iter().map(|whole| format!("'{whole}'"));
    ['A', 'B', 'C'].map(in_field).into_iter().chain(whole).collect::<Vec<_>>().join(" | ")
}

/// The statement of a hybrid search for ten without a filter. `places` is what stands in the places of the
/// terms, their weights, the admission and the vector.
pub(super) fn search(sample: &Sample, places: [&str; 4]) -> String {
    let [terms, weights, admission, vector] = places;
    let (fusion, model) = (Fusion::default(), sample.signature());
    let limit = 10;
    let k = match fusion.method {
        FusionMethod::ReciprocalRank => fusion.k.to_string(),
        FusionMethod::RelativeScore => "NULL".to_owned(),
    };
    let parameters = [
        terms.to_owned(),
        weights.to_owned(),
        format!("nullif(btrim({admission}), '')"),
        vector.to_owned(),
        // Domains, tags, types, code bases, created from and before.
        "NULL".to_owned(),
        "NULL".to_owned(),
        "NULL".to_owned(),
        "NULL".to_owned(),
        "NULL".to_owned(),
        "NULL".to_owned(),
        // Now, elapsed stabilities.
        "now()".to_owned(),
        "NULL".to_owned(),
        limit.to_string(),
        fusion.leg_depth(limit).to_string(),
        k,
        fusion.keyword_weight.to_string(),
        fusion.vector_weight.to_string(),
        format!("'{}'", model.name),
        model.dimension.to_string(),
        format!("'{}'", model.hash),
        // The store's SearchSettings: exact_memories, exact_words, word_candidates.
        "5000".to_owned(),
        "20000".to_owned(),
        "2000".to_owned(),
        // The third parameter stands in here again, and may be null.
        format!("(btrim(coalesce({admission}, '')) <> '')"),
        // Whether the index finds enough; whether code bases are all that is asked for; the analysis.
        "true".to_owned(),
        "false".to_owned(),
        "(SELECT version FROM keyword_analysis)".to_owned(),
        // How many are wanted whole, and the sessions.
        limit.to_string(),
        // Each phrase, and what is excluded, for memories of several passages: there are none.
        "NULL".to_owned(),
        "NULL".to_owned(),
        "NULL".to_owned(),
    ];
    let mut sql = String::with_capacity(SEARCH.len());
    for line in SEARCH.lines() {
        // pgbench looks for its variables in comments too.
        let _ = writeln!(sql, "{}", line.split("--").next().unwrap_or_default().trim_end());
    }
    // From the last on: $1 is the beginning of $10.
    assert!(!SEARCH.contains(&format!("${}", parameters.len() + 1)), "a parameter of search.sql is missing");
    for (at, parameter) in parameters.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", at + 1), parameter);
    }
    sql
}

/// pgbench, and where it runs.
pub(super) struct Pgbench {
    database: String,
    home: TempDir,
}

impl Pgbench {
    /// None where this machine has no pgbench.
    pub(super) fn find(database: &PgConnectOptions) -> Result<Option<Self>> {
        let mut url = database.to_url_lossy();
        // What the driver adds there means nothing to libpq.
        url.set_query(None);
        let there = Command::new("pgbench").arg("--version").output().is_ok_and(|ran| ran.status.success());
        Ok(there.then_some(Self { database: url.into(), home: TempDir::new()? }))
    }

    /// The milliseconds of each question of a turn, all of them having been asked once before on the same
    /// connection.
    pub(super) fn turn(&self, sample: &Sample, first: usize) -> Result<Vec<f64>> {
        let questions = &sample.questions[first..sample.questions.len().min(first + TURN)];
        let script = self.home.path().join("search.sql");
        fs::write(&script, script_of(sample, questions.len()))?;
        let mut pgbench = Command::new("pgbench");
        pgbench
            .args(["--no-vacuum", "--protocol=prepared", "--client=1", "--log", "--log-prefix=times"])
            .arg(format!("--transactions={}", 2 * questions.len()))
            .arg(format!("--file={}", script.display()))
            .args(["--define=turn=-1"])
            .current_dir(self.home.path())
            // Not as an argument, which everybody on the machine can read.
            .env("PGDATABASE", &self.database)
            .env("PGOPTIONS", options());
        for (n, (text, vector)) in questions.iter().enumerate() {
            let asked = Asked::new(text);
            let weights: Vec<String> = asked.weights.iter().map(f64::to_string).collect();
            let vector: Vec<String> = vector.iter().map(f32::to_string).collect();
            pgbench
                .arg(format!("--define=terms{n}={}", array(&asked.terms)))
                .arg(format!("--define=weights{n}={{{}}}", weights.join(",")))
                // An empty value is refused.
                .arg(format!("--define=admission{n}={} ", asked.admission))
                .arg(format!("--define=vector{n}={{{}}}", vector.join(",")));
        }
        let ran = pgbench.output().context("cannot run pgbench")?;
        ensure!(ran.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&ran.stderr));
        self.times(questions.len())
    }

    /// Reads the log, a line for each transaction: client, number, microseconds and what else there is. The
    /// second half counts.
    fn times(&self, questions: usize) -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(questions);
        for entry in fs::read_dir(self.home.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines().skip(questions) {
                let took = line.split(' ').nth(2).context("a line of pgbench's log without a time")?;
                times.push(took.parse::<f64>()? / 1e3);
            }
            fs::remove_file(path)?;
        }
        ensure!(times.len() == questions, "pgbench logged {} questions of {questions}", times.len());
        Ok(times)
    }
}

/// One question after the other, and again from the first.
fn script_of(sample: &Sample, questions: usize) -> String {
    let mut script = format!("\\set turn (:turn + 1) % {questions}\n");
    for n in 0..questions {
        let branch = if n == 0 { "if" } else { "elif" };
        let variables = ["terms", "weights", "admission", "vector"].map(|name| format!(":{name}{n}"));
        let sql = search(sample, variables.each_ref().map(String::as_str));
        let _ = writeln!(script, "\\{branch} :turn = {n}\n{};", sql.trim_end());
    }
    script + "\\endif\n"
}

fn options() -> String {
    SETTINGS.iter().map(|(name, value)| format!("-c {name}={value} ")).collect()
}

/// An array of texts as PostgreSQL reads it.
fn array(texts: &[String]) -> String {
    let quoted: Vec<String> =
        texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}
