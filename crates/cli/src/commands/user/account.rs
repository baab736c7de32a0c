//! Which account is meant.

use myelin_storage::{Account, Database};
use ruma::{OwnedUserId, ServerName, UserId};

use crate::{
    config::{Config, Homeserver},
    failure::Failure,
};

/// The user with this ID, or with this part before the colon.
pub(super) fn parse(text: &str, server_name: &ServerName) -> Result<OwnedUserId, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is neither a user ID nor a part of one"));
    let user = match text.strip_prefix('@') {
        Some(rest) if rest.contains(':') => UserId::parse(text).map_err(|_| wrong())?,
        Some(localpart) => from_localpart(localpart, server_name).ok_or_else(wrong)?,
        None => from_localpart(text, server_name).ok_or_else(wrong)?,
    };
    if user.localpart().is_empty() {
        return Err(wrong());
    }
    if user.server_name() == server_name {
        return Ok(user);
    }
    let other = user.server_name();
    Err(Failure::usage(format!("{user} is of {other}, and this server is {server_name}")))
}

fn from_localpart(localpart: &str, server_name: &ServerName) -> Option<OwnedUserId> {
    let whole = (!localpart.contains(':')).then(|| format!("@{localpart}:{server_name}"))?;
    UserId::parse(whole).ok()
}

/// The account of the user; none where another homeserver has the accounts.
pub(super) async fn lookup(
    config: &Config,
    database: &Database,
    user: &UserId,
) -> Result<Option<Account>, Failure> {
    match config.homeserver {
        Homeserver::Embedded { .. } => {
            Ok(database.accounts.lookup(user).await.map_err(anyhow::Error::from)?)
        }
        Homeserver::Synapse { .. } | Homeserver::Generic { .. } => Ok(None),
    }
}

/// The same, of a user who was named: an account that should be here and is not
/// is a failure.
pub(super) async fn named(
    config: &Config,
    database: &Database,
    user: &UserId,
) -> Result<Option<Account>, Failure> {
    let account = lookup(config, database, user).await?;
    if account.is_none() && matches!(config.homeserver, Homeserver::Embedded { .. }) {
        return Err(Failure::failed(format!("there is no user {user}")));
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[test]
    fn a_user_is_found_by_id_and_by_local_part() {
        for text in ["alice", "@alice", "@alice:example.org"] {
            let user = parse(text, server_name!("example.org")).unwrap();
            assert_eq!(user, "@alice:example.org");
        }
    }

    #[test]
    fn what_is_no_user_of_this_server_is_refused() {
        for text in ["", "@", "@:example.org", "alice:example.org", "@alice:matrix.org"] {
            let refused = parse(text, server_name!("example.org"));
            assert!(matches!(refused, Err(Failure::Usage(_))), "{text}");
        }
    }
}
