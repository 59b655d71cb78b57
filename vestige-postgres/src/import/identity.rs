//! Importing users, groups and memberships.

use std::collections::HashMap;

use uuid::Uuid;
use vestige_traits::identity::{Group, GroupMembership, User};
use vestige_traits::transfer::TransferRow;
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use super::{Import, Step, some};

impl Import {
    pub(super) async fn users(&mut self, run: &[TransferRow]) -> Step {
        let given: Vec<&User> =
            some(run, |row| if let TransferRow::User(user) = row { Some(user) } else { None });
        let ids: Vec<Uuid> = given.iter().map(|user| user.id).collect();
        let handles: Vec<String> = given.iter().map(|user| user.handle.replace('\0', "")).collect();
        let there = sqlx::query_as!(
            User,
            "SELECT id, handle, display_name, created_at, metadata FROM users
             WHERE id = ANY ($1) OR handle = ANY ($2)",
            &ids,
            &handles,
        )
        .fetch_all(self.connection())
        .await?;
        let mut holders: HashMap<String, Uuid> =
            there.iter().map(|user| (user.handle.clone(), user.id)).collect();
        let mut known: HashMap<Uuid, User> = there.into_iter().map(|user| (user.id, user)).collect();
        for row in run {
            let user = match row.prepared() {
                Ok(TransferRow::User(user)) => user,
                Ok(_) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            if let Err(error) = check_handle("user", &user.handle, user.id, &holders) {
                self.refuse(row, error)?;
                continue;
            }
            if self.is_new(row, &mut known, user.id, &user) {
                holders.insert(user.handle.clone(), user.id);
                sqlx::query!(
                    "INSERT INTO users (id, handle, display_name, created_at, metadata) VALUES ($1, $2, $3, $4, $5)",
                    user.id,
                    user.handle,
                    user.display_name,
                    user.created_at,
                    user.metadata,
                )
                .execute(self.connection())
                .await?;
            }
        }
        Ok(())
    }

    pub(super) async fn groups(&mut self, run: &[TransferRow]) -> Step {
        let given: Vec<&Group> =
            some(run, |row| if let TransferRow::Group(group) = row { Some(group) } else { None });
        let ids: Vec<Uuid> = given.iter().map(|group| group.id).collect();
        let handles: Vec<String> = given.iter().map(|group| group.handle.replace('\0', "")).collect();
        let there = sqlx::query_as!(
            Group,
            "SELECT id, handle, display_name, created_at, metadata FROM groups
             WHERE id = ANY ($1) OR handle = ANY ($2)",
            &ids,
            &handles,
        )
        .fetch_all(self.connection())
        .await?;
        let mut holders: HashMap<String, Uuid> =
            there.iter().map(|group| (group.handle.clone(), group.id)).collect();
        let mut known: HashMap<Uuid, Group> = there.into_iter().map(|group| (group.id, group)).collect();
        for row in run {
            let group = match row.prepared() {
                Ok(TransferRow::Group(group)) => group,
                Ok(_) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            if let Err(error) = check_handle("group", &group.handle, group.id, &holders) {
                self.refuse(row, error)?;
                continue;
            }
            if self.is_new(row, &mut known, group.id, &group) {
                holders.insert(group.handle.clone(), group.id);
                sqlx::query!(
                    "INSERT INTO groups (id, handle, display_name, created_at, metadata) VALUES ($1, $2, $3, $4, $5)",
                    group.id,
                    group.handle,
                    group.display_name,
                    group.created_at,
                    group.metadata,
                )
                .execute(self.connection())
                .await?;
            }
        }
        Ok(())
    }

    pub(super) async fn memberships(&mut self, run: &[TransferRow]) -> Step {
        let given: Vec<&GroupMembership> =
            some(run, |row| if let TransferRow::GroupMembership(given) = row { Some(given) } else { None });
        let user_ids: Vec<Uuid> = given.iter().map(|membership| membership.user_id).collect();
        let group_ids: Vec<Uuid> = given.iter().map(|membership| membership.group_id).collect();
        let users = self.existing_users(&user_ids).await?;
        let groups = self.existing_groups(&group_ids).await?;
        let there = sqlx::query!(
            "SELECT user_id, group_id, role, joined_at FROM group_memberships
             WHERE (user_id, group_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
            &user_ids,
            &group_ids,
        )
        .fetch_all(self.connection())
        .await?;
        let mut known = HashMap::new();
        for row in there {
            let (user_id, group_id) = (row.user_id, row.group_id);
            let membership =
                GroupMembership { user_id, group_id, role: row.role.parse()?, joined_at: row.joined_at };
            known.insert((user_id, group_id), membership);
        }
        for row in run {
            let membership = match row.prepared() {
                Ok(TransferRow::GroupMembership(membership)) => membership,
                Ok(_) => continue,
                Err(error) => {
                    self.refuse(row, error)?;
                    continue;
                }
            };
            let (user_id, group_id) = (membership.user_id, membership.group_id);
            if !users.contains(&user_id) {
                self.refuse(row, MemoryStoreError::not_found("user", user_id))?;
            } else if !groups.contains(&group_id) {
                self.refuse(row, MemoryStoreError::not_found("group", group_id))?;
            } else if self.is_new(row, &mut known, (user_id, group_id), &membership) {
                sqlx::query!(
                    "INSERT INTO group_memberships (user_id, group_id, role, joined_at) VALUES ($1, $2, $3, $4)",
                    user_id,
                    group_id,
                    membership.role.as_str(),
                    membership.joined_at,
                )
                .execute(self.connection())
                .await?;
            }
        }
        Ok(())
    }
}

fn check_handle(
    kind: &str,
    handle: &str,
    id: Uuid,
    holders: &HashMap<String, Uuid>,
) -> MemoryStoreResult<()> {
    match holders.get(handle) {
        Some(holder) if *holder != id => Err(MemoryStoreError::invalid(
            format!("{kind}.handle"),
            format!("{handle:?} belongs to another {kind}"),
        )),
        _ => Ok(()),
    }
}
