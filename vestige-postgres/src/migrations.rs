//! Creating and upgrading the schema.

use std::sync::LazyLock;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Executor, Row};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::{self, ServerMessage};
use crate::rights::Rights;
use crate::session::{Session, Sessions};
use crate::tables;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");
/// The advisory lock that one migrating process holds: the bytes of "vestige" as a number.
const LOCK: &str = "SELECT pg_advisory_xact_lock(33322211104450405)";
const MIN_SERVER: i32 = 180_000;
const MIN_PGVECTOR: (u32, u32) = (0, 8);

/// The newest version of the schema that this program knows.
pub(crate) fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings the schema up to date.
///
/// All missing migrations run in one transaction under a lock of that transaction. So many processes may
/// begin at once, a process that dies leaves nothing behind, and PgBouncer may give every transaction another
/// server process.
pub(crate) async fn run(sessions: &Sessions) -> MemoryStoreResult<()> {
    let found = version(sessions).await?;
    if found == Some(newest()) {
        return Ok(());
    }
    let mut transaction = sessions.begin_for_migrator().await.map_err(error::map)?;
    transaction.execute(LOCK).await.map_err(error::map)?;
    forget_statements(sessions, &mut transaction).await?;
    if let Some(found) = found {
        check_upgrades(&mut transaction, found).await?;
    }
    check_server(&mut transaction).await?;
    check_owner(&mut transaction).await?;
    transaction.connection().ensure_migrations_table(tables::MIGRATIONS).await.map_err(of_migrate)?;
    let applied =
        transaction.connection().list_applied_migrations(tables::MIGRATIONS).await.map_err(of_migrate)?;
    check_applied(&applied)?;
    if applied.is_empty() {
        check_names(&mut transaction).await?;
    }
    for migration in MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration()) {
        if !applied.iter().any(|known| known.version == migration.version) {
            tracing::info!(version = migration.version, name = %migration.description, "migrating the schema");
            transaction.connection().apply(tables::MIGRATIONS, migration).await.map_err(of_migrate)?;
        }
    }
    forget_statements(sessions, &mut transaction).await?;
    transaction.commit().await.map_err(error::map)
}

/// The driver's migrator names its statements. If they must not outlive the transaction, they are
/// deallocated, together with those of a migrator that was interrupted.
async fn forget_statements(sessions: &Sessions, transaction: &mut Session) -> MemoryStoreResult<()> {
    if !sessions.keeps_statements() {
        transaction.execute("DEALLOCATE ALL").await.map_err(error::map)?;
    }
    Ok(())
}

/// Checks that a store that is only read has the present schema.
pub(crate) async fn check(sessions: &Sessions) -> MemoryStoreResult<()> {
    match version(sessions).await? {
        Some(found) if found == newest() => Ok(()),
        Some(found) => Err(error::damaged(
            "the database",
            format!(
                "its schema has version {found}, this program reads {}; open it for writing once to upgrade it",
                newest()
            ),
        )),
        None => Err(error::damaged("the database", "it holds no Vestige store")),
    }
}

/// The version of the schema; none where there is none.
///
/// # Errors
///
/// [`SchemaTooNew`](MemoryStoreError::SchemaTooNew) if it is newer than this program.
pub(crate) async fn version(sessions: &Sessions) -> MemoryStoreResult<Option<i64>> {
    // Other programs with the same driver keep their migrations in a table of this name, which search_path
    // may find.
    static FOUND: LazyLock<String> = LazyLock::new(|| {
        let first = MIGRATOR.iter().find(|migration| migration.version == 1);
        let checksum =
            first.map(|migration| migration.checksum.iter().map(|byte| format!("{byte:02x}")).collect());
        format!(
            "SELECT CASE WHEN bool_or(version = 1 AND checksum = '\\x{}') THEN max(version) END
             FROM _sqlx_migrations WHERE success",
            checksum.unwrap_or_else(String::new)
        )
    });
    let mut session = sessions.open().await.map_err(error::map)?;
    let found = session.fetch_one(sqlx::raw_sql(AssertSqlSafe(FOUND.as_str()))).await;
    let found = match found {
        Ok(row) => row.get::<Option<i64>, _>(0),
        Err(error) if error::code(&error).as_deref() == Some("42P01") => {
            drop(session);
            check_hidden(sessions).await?;
            None
        }
        Err(error) => return Err(error::map(error)),
    };
    match found {
        Some(found) if found > newest() => Err(too_new(found)),
        found => Ok(found),
    }
}

/// Refuses a store in a schema that is closed to the role: it would seem to hold none.
async fn check_hidden(sessions: &Sessions) -> MemoryStoreResult<()> {
    let mut session = sessions.open().await.map_err(error::map)?;
    match Rights::find(&mut session).await.map_err(error::map)? {
        Some(rights) if rights.is_hidden => Err(unusable(format!(
            "role {} may not use the store of {}: {rights}; see the runbook on roles",
            rights.role, rights.owner
        ))),
        _ => Ok(()),
    }
}

/// Refuses an upgrade by a role that may not change the schema.
async fn check_upgrades(transaction: &mut Session, found: i64) -> MemoryStoreResult<()> {
    match Rights::find(&mut *transaction).await.map_err(error::map)? {
        Some(rights) if !rights.owns => {
            let lacks = if rights.are_complete() { String::new() } else { format!("; {rights}") };
            Err(unusable(format!(
                "its schema has version {found}, this program needs {}, and role {} may not upgrade it; open it once as {}, \
                 who owns the store{lacks}",
                newest(),
                rights.role,
                rights.owner
            )))
        }
        _ => Ok(()),
    }
}

fn too_new(found: i64) -> MemoryStoreError {
    MemoryStoreError::SchemaTooNew { found, supported: newest() }
}

fn check_applied(applied: &[AppliedMigration]) -> MemoryStoreResult<()> {
    let begins = applied.iter().any(|known| known.version == 1);
    for known in applied {
        let ours = MIGRATOR.iter().find(|migration| {
            migration.version == known.version && migration.migration_type.is_up_migration()
        });
        match ours {
            None if known.version > newest() && begins => return Err(too_new(known.version)),
            None => {
                return Err(error::damaged(
                    "the database",
                    format!(
                        "it has a migration {} that Vestige never had; another program uses its _sqlx_migrations, so \
                         give Vestige a database or a schema of its own",
                        known.version
                    ),
                ));
            }
            Some(ours) if ours.checksum != known.checksum => {
                return Err(error::damaged(
                    "the database",
                    format!(
                        "its migration {} is not the one of this program; where another program uses its \
                         _sqlx_migrations, give Vestige a database or a schema of its own",
                        known.version
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Refuses a list of migrations that another role has put there: its triggers would run as this role.
async fn check_owner(transaction: &mut Session) -> MemoryStoreResult<()> {
    let owner: Option<String> = sqlx::query_scalar(
        "SELECT owner.rolname::text
         FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_roles AS owner ON owner.oid = c.relowner
         JOIN pg_catalog.pg_roles AS me ON me.rolname = current_user
         WHERE c.oid = pg_catalog.to_regclass($1) AND owner.oid <> me.oid AND NOT owner.rolsuper
           AND (me.rolsuper OR NOT pg_catalog.pg_has_role(owner.oid, 'USAGE'))
           AND pg_catalog.to_regclass('knowledge_nodes') IS NULL",
    )
    .bind(tables::MIGRATIONS)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(error::map)?;
    match owner {
        None => Ok(()),
        Some(owner) => Err(unusable(format!(
            "role {owner} has put a table {} where Vestige has to keep its migrations; drop it, or give Vestige a \
             schema in which no other role may create",
            tables::MIGRATIONS
        ))),
    }
}

/// Refuses a schema in which another program has a table or a view with a name that the first migration
/// needs. Other tables do not matter.
async fn check_names(connection: &mut Session) -> MemoryStoreResult<()> {
    let taken: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = current_schema() AND c.relname = ANY ($1)
         ORDER BY c.relname",
    )
    .bind(&tables::TABLES[..])
    .fetch_all(&mut *connection)
    .await
    .map_err(error::map)?;
    if taken.is_empty() {
        return Ok(());
    }
    let row = connection
        .fetch_one("SELECT quote_ident(current_schema()), current_database()::text")
        .await
        .map_err(error::map)?;
    let (schema, database): (String, String) = (row.get(0), row.get(1));
    Err(unusable(format!(
        "schema {schema} of database {database} already has {} of another program, where tables of Vestige have to be; \
         give Vestige a database of its own, or a schema: run CREATE SCHEMA vestige, and write \
         ?options=-csearch_path%3Dvestige,public in the URL",
        taken.join(" and ")
    )))
}

/// Refuses a server that cannot hold a store. Each reason is one line, which a failed migration would not
/// give.
async fn check_server(connection: &mut Session) -> MemoryStoreResult<()> {
    let row = connection
        .fetch_one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
               current_setting('server_encoding'), current_user::text, current_database()::text,
               has_database_privilege(current_database(), 'CREATE'),
               (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
               (SELECT default_version FROM pg_available_extensions WHERE name = 'vector'),
               coalesce((SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = 'vector'), false),
               (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
               has_schema_privilege(current_schema(), 'CREATE'), quote_ident(current_schema()),
               current_setting('search_path'),
               (SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = 'vector' AND to_regtype('vector') IS NULL)",
        )
        .await
        .map_err(error::map)?;
    let (version, version_text): (i32, String) = (row.get(0), row.get(1));
    let encoding: String = row.get(2);
    let (user, database): (String, String) = (row.get(3), row.get(4));
    let (may_create, installed, available): (bool, Option<String>, Option<String>) =
        (row.get(5), row.get(6), row.get(7));
    let (trusted, superuser): (bool, Option<bool>) = (row.get(8), row.get(9));
    if version < MIN_SERVER {
        return Err(unusable(format!(
            "the server is PostgreSQL {version_text}, Vestige needs 18 or later; upgrade the server"
        )));
    }
    if encoding != "UTF8" {
        return Err(unusable(format!(
            "database {database} is encoded in {encoding}, Vestige needs UTF8; create it with ENCODING 'UTF8'"
        )));
    }
    let (may_make_tables, schema): (Option<bool>, Option<String>) = (row.get(10), row.get(11));
    let (search_path, unseen): (String, Option<String>) = (row.get(12), row.get(13));
    let Some(schema) = schema else {
        return Err(unusable(format!(
            "no schema of search_path ({search_path}) is there for role {user}; run CREATE SCHEMA in database \
             {database}, or mend search_path"
        )));
    };
    if may_make_tables != Some(true) {
        return Err(unusable(format!(
            "role {user} may not create tables; run GRANT CREATE ON SCHEMA {schema} TO {user} in database {database}"
        )));
    }
    let may_install = superuser == Some(true) || (trusted && may_create);
    match (installed, available) {
        (Some(found), _) | (None, Some(found)) if !recent_pgvector(&found) => Err(unusable(format!(
            "pgvector is {found}, Vestige needs {}.{} or later; upgrade it and run ALTER EXTENSION vector UPDATE",
            MIN_PGVECTOR.0, MIN_PGVECTOR.1
        ))),
        (Some(_), _) => match unseen {
            Some(unseen) => Err(unusable(format!(
                "pgvector is in schema {unseen}, which search_path ({search_path}) does not name; add it there"
            ))),
            None => Ok(()),
        },
        (None, None) => Err(unusable(
            "the server has no pgvector; install it there (Debian: postgresql-18-pgvector)".to_owned(),
        )),
        (None, Some(_)) if !may_install => Err(unusable(format!(
            "role {user} may not create extensions; run CREATE EXTENSION vector in database {database} as a superuser"
        ))),
        (None, Some(_)) => Ok(()),
    }
}

fn recent_pgvector(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= MIN_PGVECTOR
}

pub(crate) fn unusable(reason: String) -> MemoryStoreError {
    MemoryStoreError::Unavailable { reason, retryable: false, source: None }
}

/// The store's error for an error of the migrator. If the cause is the server and not the migration, it is
/// mapped as everywhere: another attempt may succeed.
fn of_migrate(error: MigrateError) -> MemoryStoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if error::is_of_server(&error) =>
        {
            error::map(error)
        }
        MigrateError::Execute(error) => error::migration(ServerMessage::in_migration(None, error)),
        MigrateError::ExecuteMigration(error, version) => {
            error::migration(ServerMessage::in_migration(Some(version), error))
        }
        error => error::migration(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_pgvector_are_compared_as_numbers() {
        assert!(recent_pgvector("0.8.0") && recent_pgvector("0.10.1") && recent_pgvector("1.0"));
        assert!(!recent_pgvector("0.7.4") && !recent_pgvector("nonsense"));
    }

    #[test]
    fn every_table_of_the_migrations_is_looked_for() {
        let made: std::collections::BTreeSet<&str> = MIGRATOR
            .iter()
            .filter(|migration| migration.migration_type.is_up_migration())
            .flat_map(|migration| migration.sql.as_str().split("\nCREATE TABLE ").skip(1))
            .filter_map(|rest| rest.split(' ').next())
            .collect();
        assert_eq!(made.into_iter().collect::<Vec<_>>(), tables::TABLES);
    }

    #[test]
    fn the_first_migration_has_the_name_by_which_a_store_is_told() {
        let first = MIGRATOR.iter().find(|migration| migration.version == 1).unwrap();
        assert_eq!(first.description, "init");
    }

    #[test]
    fn every_migration_has_its_way_down() {
        for version in 1..=newest() {
            let ways = MIGRATOR.iter().filter(|migration| migration.version == version).count();
            assert_eq!(ways, 2, "migration {version}");
        }
    }
}
