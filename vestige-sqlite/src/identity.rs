//! Users, groups, and who belongs to which.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;
use vestige_traits::MemoryStoreResult;
use vestige_traits::backend::{Handle, Named, NamedRow, Prepared, Reference};
use vestige_traits::identity::GroupMembership;
use vestige_traits::transfer::TransferKind;

use crate::codec;
use crate::error::map;

/// The columns that [`named`] reads.
pub(crate) const NAMED_COLUMNS: &str = "id, handle, display_name, created_at, metadata";
/// The columns that [`membership`] reads.
pub(crate) const MEMBERSHIP_COLUMNS: &str = "user_id, group_id, role, joined_at";

/// Where users, groups and memories are, which other rows refer to.
fn table(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Group => "groups",
        TransferKind::Memory => "knowledge_nodes",
        _ => "users",
    }
}

/// Whether a row that others refer to is there.
pub(crate) fn exists(tx: &Transaction<'_>, reference: Reference) -> MemoryStoreResult<bool> {
    let (kind, id) = reference.target();
    tx.prepare_cached(&format!("SELECT 1 FROM {} WHERE id = ?", table(kind)))
        .and_then(|mut statement| statement.exists([id.into_bytes()]))
        .map_err(map)
}

/// The id of the user or the group that has this handle.
pub(crate) fn holder(tx: &Transaction<'_>, handle: Handle<'_>) -> MemoryStoreResult<Option<Uuid>> {
    let holder = tx
        .prepare_cached(&format!("SELECT id FROM {} WHERE handle = ?", table(handle.kind)))
        .and_then(|mut statement| {
            statement.query_row([handle.handle], |row| Ok(codec::uuid(row, 0, "id"))).optional()
        })
        .map_err(map)?;
    holder.transpose()
}

/// The user or the group with this id.
pub(crate) fn find<T: Named>(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<Option<T>> {
    let sql = format!("SELECT {NAMED_COLUMNS} FROM {} WHERE id = ?", table(T::KIND));
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([id.into_bytes()]).map_err(map)?;
    rows.next().map_err(map)?.map(named).transpose()
}

/// Adds a user or a group whose id and handle are free.
pub(crate) fn insert<T: Named>(tx: &Transaction<'_>, row: &Prepared<'_, T>) -> MemoryStoreResult<()> {
    let sql = format!("INSERT INTO {} ({NAMED_COLUMNS}) VALUES (?, ?, ?, ?, ?)", table(T::KIND));
    let NamedRow { id, handle, display_name, created_at, metadata } = row.to_row();
    tx.prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.execute(params![
                id.into_bytes(),
                handle,
                display_name,
                created_at.timestamp_micros(),
                metadata.to_string(),
            ])
        })
        .map_err(map)?;
    Ok(())
}

/// Reads a user or a group from the row's first columns, which are [`NAMED_COLUMNS`].
pub(crate) fn named<T: Named>(row: &Row<'_>) -> MemoryStoreResult<T> {
    Ok(T::from_row(NamedRow {
        id: codec::uuid(row, 0, "id")?,
        handle: row.get(1).map_err(map)?,
        display_name: row.get(2).map_err(map)?,
        created_at: codec::time(row, 3, "created_at")?,
        metadata: codec::json(row, 4, "metadata")?,
    }))
}

pub(crate) fn find_membership(
    tx: &Transaction<'_>,
    user_id: Uuid,
    group_id: Uuid,
) -> MemoryStoreResult<Option<GroupMembership>> {
    let sql =
        format!("SELECT {MEMBERSHIP_COLUMNS} FROM group_memberships WHERE user_id = ? AND group_id = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([user_id.into_bytes(), group_id.into_bytes()]).map_err(map)?;
    rows.next().map_err(map)?.map(membership).transpose()
}

/// Adds a membership of a user and a group that are there.
pub(crate) fn insert_membership(
    tx: &Transaction<'_>,
    membership: &Prepared<'_, GroupMembership>,
) -> MemoryStoreResult<()> {
    let sql = format!("INSERT INTO group_memberships ({MEMBERSHIP_COLUMNS}) VALUES (?, ?, ?, ?)");
    tx.prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.execute(params![
                membership.user_id.into_bytes(),
                membership.group_id.into_bytes(),
                membership.role.as_str(),
                membership.joined_at.timestamp_micros(),
            ])
        })
        .map_err(map)?;
    Ok(())
}

/// Reads a membership from the row's first columns, which are [`MEMBERSHIP_COLUMNS`].
pub(crate) fn membership(row: &Row<'_>) -> MemoryStoreResult<GroupMembership> {
    Ok(GroupMembership {
        user_id: codec::uuid(row, 0, "user_id")?,
        group_id: codec::uuid(row, 1, "group_id")?,
        role: codec::word(row, 2, "role")?,
        joined_at: codec::time(row, 3, "joined_at")?,
    })
}
