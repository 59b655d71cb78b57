//! Importing users, groups and memberships.

use std::collections::HashMap;

use uuid::Uuid;
use vestige_traits::backend::{Named, NamedRow, Prepared, PreparedRow};
use vestige_traits::identity::GroupMembership;
use vestige_traits::transfer::TransferKind;

use super::{Import, LookedUp, Pick, Row, Step, given};

impl Import {
    /// Imports users or groups.
    pub(super) async fn named<'r, T: Named>(&mut self, run: &'r [Row<'r>], pick: Pick<'r, T>) -> Step {
        let given = given(run, pick);
        let ids: Vec<Uuid> = given.iter().map(|row| row.id()).collect();
        let handles: Vec<String> = given.iter().map(|row| row.name().to_owned()).collect();
        let there = self.stored_named(T::KIND, &ids, &handles).await?;
        let holders = there.iter().map(|row| (row.handle.clone(), row.id)).collect();
        let stored = there.into_iter().map(|row| (row.id, T::from_row(row))).collect();
        let found = LookedUp { holders, ..LookedUp::stored(stored) };
        for row in self.decide(run, pick, T::id, found)? {
            self.insert_named(row).await?;
        }
        Ok(())
    }

    /// The users or groups with one of these ids or handles.
    async fn stored_named(
        &mut self,
        kind: TransferKind,
        ids: &[Uuid],
        handles: &[String],
    ) -> sqlx::Result<Vec<NamedRow>> {
        if kind == TransferKind::Group {
            return sqlx::query_as!(
                NamedRow,
                "SELECT id, handle, display_name, created_at, metadata FROM groups
             WHERE id = ANY ($1) OR handle = ANY ($2)",
                ids,
                handles,
            )
            .fetch_all(self.connection())
            .await;
        }
        sqlx::query_as!(
            NamedRow,
            "SELECT id, handle, display_name, created_at, metadata FROM users
             WHERE id = ANY ($1) OR handle = ANY ($2)",
            ids,
            handles,
        )
        .fetch_all(self.connection())
        .await
    }

    async fn insert_named<T: Named>(&mut self, row: &Prepared<'_, T>) -> sqlx::Result<()> {
        let NamedRow { id, handle, display_name, created_at, metadata } = row.to_row();
        let insert = match T::KIND {
            TransferKind::Group => sqlx::query!(
                "INSERT INTO groups (id, handle, display_name, created_at, metadata) VALUES ($1, $2, $3, $4, $5)",
                id,
                handle,
                display_name,
                created_at,
                metadata,
            ),
            _ => sqlx::query!(
                "INSERT INTO users (id, handle, display_name, created_at, metadata) VALUES ($1, $2, $3, $4, $5)",
                id,
                handle,
                display_name,
                created_at,
                metadata,
            ),
        };
        insert.execute(self.connection()).await?;
        Ok(())
    }

    pub(super) async fn memberships<'r>(&mut self, run: &'r [Row<'r>]) -> Step {
        let pick: Pick<'r, GroupMembership> =
            |row| if let PreparedRow::GroupMembership(given) = row { Some(given) } else { None };
        let given = given(run, pick);
        let user_ids: Vec<Uuid> = given.iter().map(|membership| membership.user_id).collect();
        let group_ids: Vec<Uuid> = given.iter().map(|membership| membership.group_id).collect();
        let mut targets = self.existing_users(&user_ids).await?;
        targets.extend(self.existing_groups(&group_ids).await?);
        let there = sqlx::query!(
            "SELECT user_id, group_id, role, joined_at FROM group_memberships
             WHERE (user_id, group_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
            &user_ids,
            &group_ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut stored = HashMap::new();
        for row in there {
            let (user_id, group_id) = (row.user_id, row.group_id);
            let membership =
                GroupMembership { user_id, group_id, role: row.role.parse()?, joined_at: row.joined_at };
            stored.insert((user_id, group_id), membership);
        }
        let key = |membership: &GroupMembership| (membership.user_id, membership.group_id);
        let new = self.decide(run, pick, key, LookedUp { targets, ..LookedUp::stored(stored) })?;
        for membership in new {
            sqlx::query!(
                "INSERT INTO group_memberships (user_id, group_id, role, joined_at) VALUES ($1, $2, $3, $4)",
                membership.user_id,
                membership.group_id,
                membership.role.as_str(),
                membership.joined_at,
            )
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }
}
