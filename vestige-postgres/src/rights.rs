//! Which rights a role lacks, all of them at once.
//!
//! The server names the first right that is missing. Whoever grants it meets the next one. So a refusal is
//! followed by a look at the catalog.

use std::fmt;

use sqlx::{Executor, Postgres, Row};

use crate::tables;

/// What a role may not do with the store.
#[derive(Debug)]
pub(crate) struct Rights {
    pub(crate) role: String,
    /// The role that owns the store.
    pub(crate) owner: String,
    /// Whether the role has the rights of the owner.
    pub(crate) owns: bool,
    /// Whether the schema is closed to the role, so that it seems to hold no store.
    pub(crate) is_hidden: bool,
    /// What is missing to read, such as `SELECT on edges, users`.
    pub(crate) to_read: Vec<String>,
    /// What is missing to write rows, too.
    pub(crate) to_write: Vec<String>,
}

impl Rights {
    /// The rights on the store that `search_path` names; none if there is no store.
    pub(crate) async fn find<'c>(
        session: impl Executor<'c, Database = Postgres>,
    ) -> sqlx::Result<Option<Self>> {
        let found = sqlx::query(include_str!("sql/rights.sql"))
            .bind(&tables::TABLES[..])
            .bind(tables::MIGRATIONS)
            .persistent(false)
            .fetch_optional(session)
            .await?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(Self {
            role: row.try_get("role")?,
            owner: row.try_get("owner")?,
            owns: row.try_get("owns")?,
            is_hidden: row.try_get("is_hidden")?,
            to_read: row.try_get("to_read")?,
            to_write: row.try_get("to_write")?,
        }))
    }

    /// Whether no right to read or write rows is missing.
    pub(crate) fn are_complete(&self) -> bool {
        self.to_read.is_empty() && self.to_write.is_empty()
    }
}

/// Everything that is missing, as a part of a sentence.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (rights, purpose) in [(&self.to_read, "to read"), (&self.to_write, "to write")] {
            if !rights.is_empty() {
                parts.push(format!("{purpose} it lacks {}", rights.join("; ")));
            }
        }
        f.write_str(&parts.join(", and "))
    }
}
