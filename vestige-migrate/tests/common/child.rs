//! Work in a process of its own, which can be killed and measured.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vestige_migrate::{Copier, Phase, Reembedder};
use vestige_postgres::PgMemoryStore;
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::AnyMemoryStore;

use super::{Words, fill};

/// What the child process does, its parts separated by `|`: `fill|STORE|MEMORIES|DIMENSION`,
/// `copy|FROM|TO`, `plan-and-copy|FROM|TO` or `reembed|STORE`. A store is a path or a URL.
const CHILD: &str = "VESTIGE_MIGRATE_CHILD";

/// What a line begins with that says how many rows of a copy are committed.
const COMMITTED: &str = "committed ";

/// What the line begins with that says a child's peak memory in KiB.
const PEAK: &str = "peak memory ";

/// As `vestige migrate` opens it.
pub async fn open(place: &str) -> AnyMemoryStore {
    if place.starts_with("postgres://") {
        return AnyMemoryStore::new(PgMemoryStore::connect(place, 4).await.unwrap());
    }
    let builder = SqliteMemoryStore::builder(place)
        .memory_map(0)
        .indexes_in_memory(false)
        .readers(std::num::NonZeroUsize::MIN);
    AnyMemoryStore::new(builder.open().unwrap())
}

/// Does what the variable says; without it nothing. A test program calls it in a test named `child`.
pub async fn work() {
    let Ok(work) = std::env::var(CHILD) else { return };
    match work.split('|').collect::<Vec<_>>()[..] {
        ["fill", store, memories, dimension] => {
            fill(&open(store).await, memories.parse().unwrap(), dimension.parse().unwrap()).await;
        }
        ["copy", from, to] => {
            let (from, to) = (open(from).await, open(to).await);
            // Small pages, so that there are many moments at which to be killed.
            copy(&from, &to, 40, 0.0).await;
        }
        ["plan-and-copy", from, to] => {
            let (from, to) = (open(from).await, open(to).await);
            let plan = Copier::new("a", &from, &to).plan().await.unwrap();
            copy(&from, &to, 2000, plan.seconds).await;
        }
        ["reembed", store] => {
            let (store, model) = (open(store).await, Words::new(16));
            println!("begins");
            let reembedder = Reembedder::new(&store, &model).batch(20);
            reembedder
                .on_progress(|progress| {
                    if progress.phase == Phase::Embedding {
                        println!("{COMMITTED}{}", progress.done);
                    }
                })
                .run()
                .await
                .unwrap();
        }
        _ => panic!("what is {work:?}?"),
    }
    println!("{PEAK}{}", peak());
}

/// The peak resident memory of this process in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.unwrap().parse().unwrap()
}

async fn copy(from: &AnyMemoryStore, to: &AnyMemoryStore, page_rows: usize, planned: f64) {
    let (mut phase, mut began) = (String::new(), Instant::now());
    let start = began;
    let mut phases = Vec::new();
    println!("begins");
    let report = Copier::new("a", from, to)
        .page_rows(page_rows)
        .sample(10)
        .on_progress(|progress| {
            if let Phase::Copying(_) = progress.phase {
                println!("{COMMITTED}{}", progress.done);
            }
            let now = progress.phase.to_string();
            if now != phase {
                let before = std::mem::replace(&mut phase, now);
                phases.push(format!("{before} {:.1} s, peak {} KiB", began.elapsed().as_secs_f64(), peak()));
                began = Instant::now();
            }
        })
        .run()
        .await
        .unwrap();
    assert!(report.is_lossless(), "{report:?}");
    println!(
        "resumed {}, moved {} of {} at {:.0} rows/s, {:.1} s of about {planned:.1} s; {}, {phase} {:.1} s",
        report.resumed,
        report.moved_now,
        report.rows.sum().total(),
        report.moved_now as f64 / report.elapsed.as_secs_f64(),
        start.elapsed().as_secs_f64(),
        phases[1..].join(", "),
        began.elapsed().as_secs_f64()
    );
}

pub fn spawn(work: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, work)
        // What is measured is what the program holds, not what the arenas of glibc strand between its
        // threads.
        .env("MALLOC_ARENA_MAX", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a child to its end, and returns its peak resident memory in KiB and what it said.
pub fn finish(child: Child) -> (u64, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let peak = said.lines().find_map(|line| line.strip_prefix(PEAK)?.parse().ok());
    (peak.unwrap(), said)
}

/// Chance that is the same every time.
pub struct Chance(pub u64);

impl Chance {
    pub fn number(&mut self, range: &Range<u64>) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        range.start + (self.0 >> 33) % (range.end - range.start)
    }
}

/// What is known of work that was killed again and again.
#[derive(Debug, Default)]
pub struct Killed {
    /// How often it was killed before it had ended by itself.
    pub times: u32,
    /// How many rows it last said were committed.
    pub committed: u64,
    /// Whether it ended by itself, and no longer needs to be started.
    pub ended: bool,
    /// What it last wrote to stderr.
    pub stderr: String,
}

impl Killed {
    /// Starts the work once and lets `kill` end it a moment after it has said `pages` times that a page is
    /// committed: counted in pages, so that the moment lies within the work on a fast machine and on a slow
    /// one. Asserts that it went on where the one before was killed.
    pub fn once(&mut self, work: &str, pages: u64, moment: Duration, kill: impl FnOnce(&mut Child)) {
        let mut child = spawn(work);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let mut left = pages + 1;
        while left > 0 {
            let Some(line) = lines.next() else { break };
            left -= u64::from(line == "begins" || line.starts_with(COMMITTED));
            said.push(line);
        }
        std::thread::sleep(moment);
        kill(&mut child);
        said.extend(lines);
        let output = child.wait_with_output().unwrap();
        let committed = said.iter().filter_map(|line| line.strip_prefix(COMMITTED)?.parse().ok());
        for rows in committed {
            assert!(
                rows >= self.committed,
                "{rows} rows after {} were committed: it began again",
                self.committed
            );
            self.committed = rows;
        }
        self.stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            self.ended = true;
        } else {
            self.times += 1;
        }
    }

    /// Kills the work up to `times` times, and lets it end.
    pub fn often(work: &str, times: u32, pages: Range<u64>) -> Self {
        let mut chance = Chance(7);
        let mut killed = Self::default();
        while killed.times < times && !killed.ended {
            let moment = Duration::from_micros(chance.number(&(0..5000)));
            killed.once(work, chance.number(&pages), moment, |child| child.kill().unwrap());
        }
        if !killed.ended {
            killed.once(work, u64::MAX - 1, Duration::ZERO, |_| ());
        }
        println!("killed {} times", killed.times);
        assert!(killed.ended && killed.times >= 3, "{killed:?}: the work failed, or is too short");
        killed
    }
}
