//! Is everything there that is needed to let people in?

use super::super::{Columns as _, Connection, query};
use crate::{Error, Keyring, settled::Settled};

/// Writes one row, so that a full disk and a read-only database show.
pub(super) async fn write(c: &mut Connection) -> Result<Settled<()>, Error> {
    query("UPDATE probe SET beats = beats + 1 WHERE id = 1").execute(c).await?;
    Ok(Settled::Commit(()))
}

/// The ids of all keys that rows name. The index is asked for the next id,
/// again and again: that takes as long as there are keys, not rows.
pub(super) async fn key_ids(c: &mut Connection) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    for statement in [
        "WITH RECURSIVE keys (id) AS (
            SELECT MIN(key_id) FROM authenticators
            UNION ALL
            SELECT (SELECT MIN(key_id) FROM authenticators WHERE key_id > keys.id)
            FROM keys WHERE keys.id IS NOT NULL)
         SELECT id FROM keys WHERE id IS NOT NULL",
        "WITH RECURSIVE keys (id) AS (
            SELECT MIN(key_id) FROM recovery_codes
            UNION ALL
            SELECT (SELECT MIN(key_id) FROM recovery_codes WHERE key_id > keys.id)
            FROM keys WHERE keys.id IS NOT NULL)
         SELECT id FROM keys WHERE id IS NOT NULL",
    ] {
        for row in query(statement).fetch_all(&mut *c).await? {
            ids.push(row.try_get("id")?);
        }
    }
    Ok(ids)
}

/// # Errors
///
/// [`Error::Key`] for the first id that is not in the keyring.
pub(super) fn all_known(ids: Vec<String>, keyring: &Keyring) -> Result<(), Error> {
    match ids.into_iter().find(|id| keyring.key(id).is_none()) {
        Some(key_id) => Err(Error::Key { key_id }),
        None => Ok(()),
    }
}
