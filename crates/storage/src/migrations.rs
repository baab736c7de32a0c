//! The schema's versions. Append-only: a migration that was released is never
//! changed.

use sqlx::{
    SqlSafeStr,
    migrate::{AppliedMigration, Migration, MigrationType, Migrator},
};

use crate::{Error, Schema};

/// Where the migrations that were applied are written down.
pub(crate) const HISTORY: &str = "_sqlx_migrations";

/// A migration: its number, its name, its SQL.
type Source = (i64, &'static str, &'static str);

const SQLITE: &[Source] = &[
    (1, "initial", include_str!("../migrations/sqlite/0001_initial.sql")),
    (2, "pages", include_str!("../migrations/sqlite/0002_pages.sql")),
    (3, "epoch", include_str!("../migrations/sqlite/0003_epoch.sql")),
];

const POSTGRES: &[Source] = &[
    (1, "initial", include_str!("../migrations/postgres/0001_initial.sql")),
    (2, "pages", include_str!("../migrations/postgres/0002_pages.sql")),
    (3, "epoch", include_str!("../migrations/postgres/0003_epoch.sql")),
];

pub(crate) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

pub(crate) fn postgres() -> Migrator {
    migrator(POSTGRES)
}

fn migrator(sources: &[Source]) -> Migrator {
    let migration = |&(version, name, sql): &Source| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(sources.iter().map(migration).collect())
}

/// The version that this program brings a schema to.
pub(crate) fn newest() -> i64 {
    SQLITE.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

/// What the schema was and is, where these migrations had been applied.
pub(crate) fn schema(applied: &[AppliedMigration]) -> Schema {
    Schema { before: applied.iter().map(|applied| applied.version).max(), now: newest() }
}

/// Whether all migrations were applied, and no others.
///
/// # Errors
///
/// [`Error::Newer`] if others were, [`Error::Outdated`] if some are missing.
pub(crate) fn compare(ours: &Migrator, applied: &[AppliedMigration]) -> Result<(), Error> {
    refuse_newer(ours, applied)?;
    let was_applied =
        |ours: &Migration| applied.iter().any(|applied| applied.version == ours.version);
    if ours.iter().all(was_applied) { Ok(()) } else { Err(Error::Outdated) }
}

/// # Errors
///
/// [`Error::Newer`] if a migration was applied that is not ours.
pub(crate) fn refuse_newer(ours: &Migrator, applied: &[AppliedMigration]) -> Result<(), Error> {
    let unknown = applied.iter().find(|applied| !ours.version_exists(applied.version));
    unknown.map_or(Ok(()), |newer| Err(Error::Newer { version: newer.version }))
}
