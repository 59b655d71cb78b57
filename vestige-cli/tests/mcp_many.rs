//! Ten servers on one memory, as when ten agents work at once.

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::Vestige;
use common::mcp::Server;
use serde_json::json;

const SERVERS: usize = 10;
const EACH: usize = 100;

fn text(server: usize, n: usize) -> String {
    format!("server{server} saw vessel{n}of{server}")
}

/// How many memories of each server are acknowledged.
struct Acknowledged([AtomicUsize; SERVERS]);

impl Acknowledged {
    /// Waits until so many of a server are acknowledged. Of one that failed no more are, so this ends too.
    fn wait_for(&self, server: usize, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.0[server].load(Ordering::Acquire) < count {
            assert!(Instant::now() < deadline, "server {server} never came to {count}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Each remembers [`EACH`] one by one, and after every tenth recalls what is acknowledged of another by then.
fn remember_and_recall(vestige: &Vestige) {
    let acknowledged = Acknowledged(std::array::from_fn(|_| AtomicUsize::new(0)));
    thread::scope(|scope| {
        for me in 0..SERVERS {
            let (vestige, acknowledged) = (vestige, &acknowledged);
            scope.spawn(move || {
                let mut server = Server::start(vestige);
                for n in 0..EACH {
                    server.remember(&text(me, n));
                    acknowledged.0[me].store(n + 1, Ordering::Release);
                    if n % 10 == 9 {
                        let other = (me + 1 + n / 10 % (SERVERS - 1)) % SERVERS;
                        acknowledged.wait_for(other, n + 1);
                        for mode in ["keyword", "hybrid"] {
                            let question =
                                json!({"query": format!("vessel{n}of{other}"), "mode": mode, "limit": 1});
                            assert_eq!(server.recall(&question), [text(other, n)], "server {me}, {mode}");
                        }
                    }
                }
                // Everything of everybody, by words.
                for other in 0..SERVERS {
                    acknowledged.wait_for(other, EACH);
                    let question =
                        json!({"query": format!("server{other}"), "mode": "keyword", "limit": 100});
                    let mut found = server.recall(&question);
                    found.sort();
                    let mut expected: Vec<_> = (0..EACH).map(|n| text(other, n)).collect();
                    expected.sort();
                    assert_eq!(found, expected, "server {me} of server {other}");
                }
                // And by meaning, which comes from an index that each holds in memory.
                let last = text((me + 3) % SERVERS, EACH - 1);
                let vector = json!({"query": last, "mode": "vector", "limit": 100});
                assert_eq!(server.recall(&vector).len(), 100);
                let (status, stderr) = server.close();
                assert!(status.success() && !stderr.contains("lock"), "{stderr}");
            });
        }
    });
    assert_eq!(vestige.count(), (SERVERS * EACH) as u64);
    assert_eq!(vestige.json(&["stats"])["embedded"], json!(SERVERS * EACH));
    vestige.ok(&["doctor"]);
}

#[test]
fn ten_servers_on_one_file_lose_nothing_and_see_each_other() {
    remember_and_recall(&Vestige::new());
}

#[cfg(feature = "postgres-backend")]
#[test]
fn ten_servers_on_one_postgres_lose_nothing_and_see_each_other() {
    let Some(database) = common::database::Database::new("ten servers on one PostgreSQL") else { return };
    remember_and_recall(&Vestige::on_postgres(&database.url));
}

/// Each server is asked to remember the same at the same moment.
fn remember_the_same_at_once(vestige: &Vestige) {
    const SAME: usize = 8;
    let texts = [
        "The ferry leaves at nine.",
        "Deploys are frozen on Fridays after noon.",
        "The kitten was treated for an ear infection.",
        "Staging listens on port 5433.",
    ];
    let mut servers: Vec<Server> = (0..SAME).map(|_| Server::start(vestige)).collect();
    // Opens the store and its model.
    servers.iter_mut().for_each(|server| drop(server.recall(&json!({"query": "nothing"}))));
    let start = Barrier::new(SAME);
    for text in texts {
        let answers: Vec<_> = thread::scope(|scope| {
            let remember = |server| {
                let start = &start;
                move || -> serde_json::Value {
                    let server: &mut Server = server;
                    start.wait();
                    server.ok("remember", &json!({"memories": [{"content": text}]}))
                }
            };
            let calls: Vec<_> = servers.iter_mut().map(|server| scope.spawn(remember(server))).collect();
            calls.into_iter().map(|call| call.join().expect("it answers")).collect()
        });
        let results = answers.iter().map(|answer| &answer["results"][0]);
        let (stored, refused): (Vec<_>, Vec<_>) = results.partition(|result| result["stored"] == true);
        assert_eq!((stored.len(), refused.len()), (1, SAME - 1), "{answers:?}");
        assert!(refused.iter().all(|result| result["near"]["id"] == stored[0]["id"]), "{answers:?}");
    }
    assert_eq!(vestige.count(), texts.len() as u64);
}

#[test]
fn of_eight_servers_that_remember_the_same_at_once_in_one_file_one_stores_it() {
    remember_the_same_at_once(&Vestige::new());
}

#[cfg(feature = "postgres-backend")]
#[test]
fn of_eight_servers_that_remember_the_same_at_once_in_one_postgres_one_stores_it() {
    let Some(database) = common::database::Database::new("eight servers on one PostgreSQL") else { return };
    remember_the_same_at_once(&Vestige::on_postgres(&database.url));
}

#[cfg(feature = "postgres-backend")]
#[test]
fn a_server_whose_connections_were_cut_goes_on() {
    let Some(database) = common::database::Database::new("cut connections of an MCP server") else { return };
    let vestige = Vestige::on_postgres(&database.url);
    let mut server = Server::start(&vestige);
    server.remember("The ferry leaves at nine.");
    let name = database.url.rsplit('/').next().and_then(|name| name.split('?').next()).expect("a name");
    for _ in 0..3 {
        database.admin(format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ));
        // A connection that was lost while idle may cost one call each, which says so.
        let answers = (0..20).map(|_| server.call("recall", &json!({"query": "ferry"}))["result"].clone());
        let failed: Vec<_> = answers.filter(|answer| answer["isError"] == true).collect();
        for answer in &failed {
            let text = answer["content"][0]["text"].as_str().expect("a text");
            assert!(text.contains("try the same call again"), "{text}");
        }
        assert!(failed.len() <= 5, "{} of 20 calls failed", failed.len());
        assert_eq!(server.recall(&json!({"query": "ferry"})), ["The ferry leaves at nine."]);
    }
}

#[test]
fn what_one_server_changes_or_forgets_is_so_for_the_others_at_once() {
    let vestige = Vestige::new();
    let (mut one, mut other) = (Server::start(&vestige), Server::start(&vestige));
    let id = one.remember("The ferry leaves at nine.");
    assert_eq!(other.recall(&json!({"query": "ferry", "mode": "vector"})), ["The ferry leaves at nine."]);
    other.ok("update", &json!({"id": id, "content": "The tram stops at the market."}));
    assert_eq!(
        one.recall(&json!({"query": "market tram", "mode": "vector"})),
        ["The tram stops at the market."]
    );
    assert!(one.recall(&json!({"query": "ferry", "mode": "keyword"})).is_empty());
    for (server, reps) in [(&mut one, 1), (&mut other, 2)] {
        let reviewed = server.ok("review", &json!({"id": id, "rating": "good"}));
        assert_eq!(reviewed["schedule"]["reps"], reps);
    }
    one.ok("forget", &json!({"ids": [id]}));
    assert!(other.recall(&json!({"query": "tram market"})).is_empty());
}

#[test]
fn changes_of_parts_of_one_memory_at_once_undo_nothing() {
    let vestige = Vestige::new();
    let (mut one, mut other) = (Server::start(&vestige), Server::start(&vestige));
    let id = one.remember("The ferry leaves at nine.");
    for round in 0..5 {
        let changes = [
            json!({"id": id, "content": format!("The ferry leaves at {round}.")}),
            json!({"id": id, "metadata": {format!("key{round}"): round}}),
            json!({"id": id, "type": format!("type{round}")}),
        ];
        let asked: Vec<_> = changes
            .iter()
            .map(|change| one.ask("tools/call", &json!({"name": "update", "arguments": change})))
            .collect();
        other.ok("update", &json!({"id": id, "tags": [format!("tag{round}")]}));
        for asked in asked {
            let answer = one.answer(&asked);
            assert_eq!(answer["result"]["isError"], false, "{answer}");
        }
        let memory = &other.ok("get", &json!({"ids": [id]}))["memories"][0];
        assert_eq!(memory["content"], format!("The ferry leaves at {round}."));
        assert_eq!(memory["metadata"][format!("key{round}")], round);
        assert_eq!(memory["type"], format!("type{round}"));
        assert_eq!(memory["tags"], json!([format!("tag{round}")]));
    }
}

#[test]
fn of_equal_calls_at_once_one_is_stored() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let calls: String = (0..8)
        .map(|id| {
            let arguments = json!({"memories": [{"content": "The deploy is frozen on Fridays."}]});
            let params = json!({"name": "remember", "arguments": arguments});
            let call = json!({"jsonrpc": "2.0", "id": format!("at once {id}"), "method": "tools/call", "params": params});
            format!("{call}\n")
        })
        .collect();
    server.send_bytes(calls.as_bytes());
    let stored = (0..8).filter(|id| {
        let answer = server.answer(&json!(format!("at once {id}")));
        answer["result"]["structuredContent"]["stored"] == 1
    });
    assert_eq!(stored.count(), 1);
    assert_eq!(vestige.count(), 1);
}
