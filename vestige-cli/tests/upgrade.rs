//! Stores that the version before wrote are upgraded while others read them, and where the upgrade is killed.
//!
//! `fixtures/schema3.db` and `fixtures/schema6.sql` (`pg_dump --inserts`) were made by that version: the same
//! sixteen memories in ten languages, a link and a review.

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::{Vestige, contents};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const KILLS: u32 = 10;

/// Kills the command that upgrades the store, at ever later moments, then lets it end.
fn upgrade_with_kills(vestige: &Vestige, step: Duration) {
    for kill in 0..KILLS {
        let mut child = vestige.spawn(&["list", "--limit", "1"], Stdio::null());
        std::thread::sleep(step * kill);
        // One that is done already is no longer there to be killed.
        let _ = child.kill();
        child.wait().expect("it ends");
    }
    vestige.ok(&["list", "--limit", "1"]);
}

/// What the version before stored is there, and is found in every script.
fn assert_whole(vestige: &Vestige) {
    for (question, expected) in [
        ("部署", "我们决定每周五中午之后不再部署。"),
        ("itgc", "重跑gen-itgc后清零"),
        ("水道", "東京都の水道局は午前三時に保守を行う。"),
        ("백업", "데이터베이스는 매일 밤 백업된다"),
        ("สำรอง", "ฐานข้อมูลสำรองทุกคืนเวลาสามนาฬิกา"),
        ("التشغيل", "الخادم يعيد التشغيل كل ليلة"),
        ("сервера", "Сервер базы данных перезапускается каждую ночь"),
        ("Rechnung", "Die Bundesregierung zahlt die Rechnungen am Monatsende."),
        ("certificados", "El despliegue falló porque el certificado había caducado."),
        ("html", "parseHTMLResponse in src/http/client_v2.rs returns None for a 204"),
        ("C#", "C++ and C# builds are separate; .NET 8 is the least"),
        ("9f15f4d", "commit 9f15f4d2c0a1b3e4 broke the build on Monday"),
        ("🐛", "🚀 released, 🐛 found: naïve café façade"),
        ("frozen deploy", "Deploys are frozen on Fridays after noon."),
        ("सर्वर", "नया सर्वर मुंबई में है"),
    ] {
        let found = vestige.json(&["search", question, "--mode", "keyword", "-n1"]);
        assert_eq!(contents(&found), [expected], "{question}");
    }
    let stats = vestige.json(&["stats"]);
    assert_eq!((&stats["edges"], &stats["review_events"]), (&1.into(), &1.into()), "{stats}");
    let report = vestige.json(&["doctor"]);
    // A test server has settings that doctor warns of.
    let most = |finding: &Value| if finding["subject"] == "schema" { "ok" } else { "warning" };
    let findings = report["findings"].as_array().expect("a list");
    assert!(
        findings.iter().all(|finding| finding["severity"] == "ok" || finding["severity"] == most(finding)),
        "{report}"
    );
}

#[test]
fn a_store_of_the_version_before_with_a_trigger_of_somebody_else_is_left_as_it_is() {
    let vestige = Vestige::new();
    std::fs::write(vestige.db(), include_bytes!("fixtures/schema3.db")).expect("a file is written");
    Connection::open(vestige.db())
        .and_then(|rows| {
            rows.execute_batch("CREATE TRIGGER t INSERT ON knowledge_nodes BEGIN DELETE FROM users; END")
        })
        .expect("a trigger");
    let before = std::fs::read(vestige.db()).expect("it is there");
    vestige.run(&["add", "one more"]).refuses(1, &["trigger t on knowledge_nodes", "DROP TRIGGER t"]);
    assert!(std::fs::read(vestige.db()).expect("it is there") == before, "the file was changed");
}

#[test]
fn an_sqlite_store_of_the_version_before_is_upgraded_while_it_is_read_and_killed() {
    let vestige = Vestige::new();
    std::fs::write(vestige.db(), include_bytes!("fixtures/schema3.db")).expect("a file is written");
    let rows = Connection::open(vestige.db()).expect("it opens");
    rows.execute_batch(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
         INSERT INTO knowledge_nodes (id, content, created_at, updated_at)
         SELECT randomblob(16), '第' || n || '条记录 filler' || n, 0, 0 FROM n",
    )
    .expect("more rows");
    drop(rows);
    let reader =
        Connection::open_with_flags(vestige.db(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reading = std::thread::spawn(move || {
        let mut reads = 0_u64;
        while stopped.try_recv().is_err() {
            let count =
                reader.query_row("SELECT count(*) FROM knowledge_nodes", [], |row| row.get::<_, i64>(0));
            assert_eq!(count.expect("readers are served"), 5016);
            reads += 1;
        }
        reads
    });
    upgrade_with_kills(&vestige, Duration::from_millis(8));
    stop.send(()).expect("it reads");
    assert!(reading.join().expect("it read") > 0);
    assert_whole(&vestige);
}

#[cfg(feature = "postgres-backend")]
#[test]
fn a_postgres_store_of_the_version_before_is_upgraded_while_it_is_read_and_killed() {
    use common::database::Database;
    use sqlx::Connection as _;

    let Some(database) = Database::new("a_postgres_store_of_the_version_before_is_upgraded") else { return };
    database.admin_here(include_str!("fixtures/schema6.sql"));
    database.admin_here(
        "INSERT INTO public.knowledge_nodes (id, content, created_at, updated_at)
         SELECT gen_random_uuid(), '第' || n || '条记录 filler' || n, 'epoch', 'epoch' FROM generate_series(1, 3000) AS n",
    );
    let vestige = Vestige::on_postgres(&database.url);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let url = database.url.clone();
    let reading = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut reader = sqlx::PgConnection::connect(&url).await.expect("the server answers");
            let mut reads = 0_u64;
            while stopped.try_recv().is_err() {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM public.knowledge_nodes")
                    .fetch_one(&mut reader)
                    .await
                    .expect("readers are served");
                assert_eq!(count, 3016);
                reads += 1;
            }
            reads
        })
    });
    upgrade_with_kills(&vestige, Duration::from_millis(60));
    stop.send(()).expect("it reads");
    assert!(reading.join().expect("it read") > 0);
    assert_whole(&vestige);
}
