//! Where a memory comes from: every field from the request to the row, and back out by every way.

mod common;

use common::Vestige;
use common::mcp::Server;
use serde_json::{Value, json};

/// A field of the context: how a call says it, and where it stands in the row.
struct Field {
    name: &'static str,
    /// What the call says; null if the connection says it.
    said: Value,
    /// The path in a memory.
    row: &'static str,
    /// What stands there; null if only the server knows it.
    stands: Value,
}

fn fields() -> [Field; 10] {
    let field = |name, said, row, stands| Field { name, said, row, stands };
    [
        field(
            "content",
            json!("Tokens expire after 15 minutes."),
            "/content",
            json!("Tokens expire after 15 minutes."),
        ),
        field("type", json!("fact"), "/node_type", json!("fact")),
        field("tags", json!(["auth", "tokens"]), "/tags", json!(["auth", "tokens"])),
        field("codebase", json!("tidewater"), "/codebase", json!("tidewater")),
        field("file", json!("src/auth.rs"), "/metadata/file", json!("src/auth.rs")),
        field("topics", json!(["login", "säkerhet 🔑"]), "/metadata/topics", json!(["login", "säkerhet 🔑"])),
        field("metadata", json!({"ticket": {"id": 7}}), "/metadata/ticket", json!({"id": 7})),
        field("clientInfo", Value::Null, "/metadata/mcp_client_id", json!("tester 1.2")),
        field("session", Value::Null, "/metadata/session_id", Value::Null),
        field("session", Value::Null, "/session", Value::Null),
    ]
}

/// Runs the test on both backends, with a way to read the only row as the database itself holds it.
fn on_sqlite_and_postgres(test: impl Fn(&Vestige, &dyn Fn() -> Value)) {
    let vestige = Vestige::new();
    test(&vestige, &|| {
        let file = rusqlite::Connection::open(vestige.db()).expect("the store");
        let sql = "SELECT json_object('content', content, 'node_type', node_type, 'tags', json(tags), \
                   'codebase', codebase, 'session', session, 'metadata', json(metadata)) FROM knowledge_nodes";
        read(&file.query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row"))
    });
    #[cfg(feature = "postgres-backend")]
    if let Some(database) = common::database::Database::new("context on PostgreSQL") {
        use sqlx::Connection;

        test(&Vestige::on_postgres(&database.url), &|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let row = runtime.expect("a runtime").block_on(async {
                let mut connection = sqlx::PgConnection::connect(&database.url).await.expect("it answers");
                let sql = "SELECT row_to_json(knowledge_nodes)::text FROM knowledge_nodes";
                sqlx::query_scalar::<_, String>(sql).fetch_one(&mut connection).await.expect("a row")
            });
            read(&row)
        });
    }
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

/// The memory in an archive.
fn archived(archive: &str) -> Value {
    let mut rows = archive.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    rows.find(|row| row["kind"] == "memory").expect("a memory")
}

fn assert_row(whence: &str, memory: &Value, session: &Value) {
    for field in fields() {
        let expected = if field.stands.is_null() { session } else { &field.stands };
        // Agents read `type`, rows have `node_type`.
        let found = memory.pointer(field.row).or_else(|| memory.get(field.row.trim_start_matches("/node_")));
        assert_eq!(found, Some(expected), "{} from {whence}: {memory}", field.name);
    }
}

#[test]
fn every_field_reaches_the_row_and_comes_back_by_every_way() {
    on_sqlite_and_postgres(|vestige, row_of_database| {
        let mut memory = serde_json::Map::new();
        for field in fields().into_iter().filter(|field| !field.said.is_null()) {
            memory.insert(field.name.to_owned(), field.said);
        }
        let mut server = Server::start(vestige);
        let stored = server.ok("remember", &json!({"memories": [memory]}));
        let id = stored["results"][0]["id"].as_str().expect("an id").to_owned();

        let row = vestige.json(&["get", &id])[0].clone();
        let session = row["metadata"]["session_id"].clone();
        assert!(session.as_str().is_some_and(|session| session.len() == 36), "{row}");
        assert_row("the row", &row_of_database(), &session);
        assert_row("get by the command", &row, &session);
        for mode in ["hybrid", "keyword", "vector"] {
            let found = server.ok("recall", &json!({"query": "when do tokens expire?", "mode": mode}));
            assert_row(mode, &found["results"][0], &session);
        }
        assert_row("get", &server.ok("get", &json!({"ids": [id]}))["memories"][0], &session);
        assert_row("search", &vestige.json(&["search", "tokens"])[0], &session);
        assert_row("list", &vestige.json(&["list"])[0], &session);

        // An update that says nothing of it leaves it; one that does replaces it.
        server.ok("update", &json!({"id": id, "tags": ["auth", "tokens"], "type": "fact"}));
        assert_row("update", &vestige.json(&["get", &id])[0], &session);

        let archive = vestige.ok(&["export", "-"]);
        assert_row("export", &archived(&archive), &session);
        let restored = Vestige::new();
        restored.write("a.jsonl", &archive);
        restored.ok(&["restore", "a.jsonl"]);
        assert_row("restore", &restored.json(&["get", &id])[0], &session);
    });
}

#[cfg(feature = "postgres-backend")]
#[test]
fn every_field_survives_the_way_to_postgres_and_back() {
    let Some(database) = common::database::Database::new("context by migrate") else { return };
    let sqlite = Vestige::new();
    let mut memory = serde_json::Map::new();
    for field in fields().into_iter().filter(|field| !field.said.is_null()) {
        memory.insert(field.name.to_owned(), field.said);
    }
    let stored = Server::start(&sqlite).ok("remember", &json!({"memories": [memory]}));
    let id = stored["results"][0]["id"].as_str().expect("an id").to_owned();
    let session = sqlite.json(&["get", &id])[0]["metadata"]["session_id"].clone();

    let path = sqlite.db().display().to_string();
    let places = ["--sqlite-path", &path, "--postgres-url", &database.url];
    sqlite.ok(&[&["migrate", "--from", "sqlite", "--to", "postgres"], &places[..]].concat());
    let postgres = Vestige::on_postgres(&database.url);
    assert_row("migrate to postgres", &postgres.json(&["get", &id])[0], &session);
    let found = Server::start(&postgres).ok("recall", &json!({"query": "tokens"}));
    assert_row("recall on postgres", &found["results"][0], &session);

    let back = Vestige::new();
    let path = back.db().display().to_string();
    let places = ["--sqlite-path", &path, "--postgres-url", &database.url];
    back.ok(&[&["migrate", "--from", "postgres", "--to", "sqlite"], &places[..]].concat());
    assert_row("migrate back", &back.json(&["get", &id])[0], &session);
}

/// The code base of a memory whose call named none.
fn unnamed_codebase(server: &mut Server, vestige: &Vestige) -> Value {
    let id = server.remember("a memory of no code base in particular");
    vestige.json(&["get", &id])[0]["codebase"].clone()
}

#[test]
fn the_code_base_is_the_calls_then_the_first_root_then_the_repository() {
    let vestige = Vestige::new();
    let inside = vestige.path("lighthouse/src");
    std::fs::create_dir_all(&inside).expect("a folder");
    let mut server = Server::start_in(&vestige, &inside, &json!({}));
    assert_eq!(unnamed_codebase(&mut server, &vestige), Value::Null);
    drop(server);
    std::fs::create_dir(vestige.path("lighthouse/.git")).expect("a folder");

    let mut server = Server::start_in(&vestige, &inside, &json!({}));
    assert_eq!(unnamed_codebase(&mut server, &vestige), "lighthouse");
    let named = json!({"memories": [{"content": "named", "codebase": "tidewater"}], "force": true});
    let id = server.ok("remember", &named)["results"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(vestige.json(&["get", &id])[0]["codebase"], "tidewater");
    drop(server);

    let with_roots = json!({"roots": {"listChanged": true}});
    let mut server = Server::start_in(&vestige, &inside, &with_roots);
    server.roots =
        json!([{"uri": "file:///home/ada/harbour", "name": "shown"}, {"uri": "file:///home/ada/other"}]);
    assert_eq!(unnamed_codebase(&mut server, &vestige), "harbour");
    server.roots = json!([{"uri": "file:///home/ada/pier"}]);
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
    assert_eq!(unnamed_codebase(&mut server, &vestige), "pier");
    drop(server);

    let mut server = Server::start_in(&vestige, &inside, &with_roots);
    assert_eq!(unnamed_codebase(&mut server, &vestige), "lighthouse", "a client with no root");
}

#[test]
fn each_connection_is_a_session_of_its_own() {
    let vestige = Vestige::new();
    let session = |server: &mut Server| {
        let id = server.remember("said in a session");
        let memory = vestige.json(&["get", &id])[0].clone();
        assert_eq!(memory["session"], memory["metadata"]["session_id"]);
        memory["session"].clone()
    };
    let (mut one, mut other) = (Server::start(&vestige), Server::start(&vestige));
    let first = session(&mut one);
    assert_eq!(session(&mut one), first);
    assert_ne!(session(&mut other), first);
    // A call may name another one, for one memory of several.
    let said = json!([{"content": "a lamp", "session": "monday"}, {"content": "some boats"}]);
    let stored = other.ok("remember", &json!({"memories": said}));
    let of = |at: usize| {
        let id = stored["results"][at]["id"].as_str().expect("an id");
        vestige.json(&["get", id])[0]["session"].clone()
    };
    assert_eq!((of(0), of(1)), (json!("monday"), session(&mut other)));
    let said = json!({"memories": [{"content": "a ferry", "session": " "}]});
    let refused = other.call("remember", &said).to_string();
    assert!(refused.contains("memories[0]") && refused.contains("session"), "{refused}");
}

#[test]
fn a_project_cannot_redirect_the_memory_of_a_server_started_in_it() {
    let vestige = Vestige::new();
    vestige.write("vestige.toml", "[storage.sqlite]\npath = \"spy.db\"\n");
    let mut command = vestige.command();
    let output = command.env_remove("VESTIGE_DB").arg("mcp").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!vestige.path("spy.db").exists());
}

#[test]
fn changed_roots_count_for_the_requests_that_follow_the_notification() {
    let vestige = Vestige::new();
    let mut server = Server::start_in(&vestige, vestige.folder(), &json!({"roots": {"listChanged": true}}));
    for n in 0..40 {
        server.roots = json!([{"uri": format!("file:///code/base-{n}"), "name": "root"}]);
        let changed = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"});
        let call = json!({"jsonrpc": "2.0", "id": format!("call {n}"), "method": "tools/call", "params": {
            "name": "remember", "arguments": {"memories": [{"content": format!("note {n}")}], "force": true},
        }});
        server.send_bytes(format!("{changed}\n{call}\n").as_bytes());
        let stored = server.answer(&json!(format!("call {n}")));
        let id = &stored["result"]["structuredContent"]["results"][0]["id"];
        let memory = server.ok("get", &json!({"ids": [id]}))["memories"][0].clone();
        assert_eq!(memory["codebase"], format!("base-{n}"), "{memory}");
    }
}
