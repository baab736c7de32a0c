//! What must be true of everyone after all kills.

use myelin_ambient::{Clock as _, SystemClock};
use myelin_storage::{Action, Database, TokenDigest};
use sha2::{Digest as _, Sha256};

use super::trial::{Kind, Subject};

/// Checks one user. Whether a code was spent for a login that never came.
pub(super) async fn hold(database: &Database, subject: &Subject) -> bool {
    let user = &subject.user.user;
    let events = database.store.events(user, 100).await.unwrap();
    let count = |action| events.iter().filter(|recorded| recorded.event.action == action).count();
    let factors = database.store.lookup_factors(user).await.unwrap();
    let devices = database.accounts.devices(user).await.unwrap();
    let ended = ended_sessions(database, subject).await;

    let passed = match subject.kind {
        Kind::Guess => {
            let failed = count(Action::TotpFailed);
            assert!(
                failed >= subject.refusals,
                "a guess that was answered is counted: {subject:?}"
            );
            assert_eq!(factors.totp.in_a_row as usize, failed, "counted as often as written down");
            assert_eq!((ended, devices.len()), (0, 0), "nothing was passed: {subject:?}");
            return false;
        }
        Kind::Code => {
            let last_step = factors.authenticators[0].last_step;
            assert_eq!(last_step, subject.step, "spent: {subject:?}");
            count(Action::TotpPassed)
        }
        Kind::Recovery => {
            let unused = &factors.codes.as_ref().expect("there is a set").unused;
            let numbers: Vec<_> = unused.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, [1], "the first is spent, the second is not: {subject:?}");
            count(Action::RecoveryPassed)
        }
    };
    // Each code was sent at least once without a kill. Spent without an entry
    // would be 0 here; an entry without being spent would be 2.
    assert_eq!(passed, 1, "accepted once and written down once: {subject:?} {events:?}");
    assert_eq!(ended, 1, "and one session ended with it: {subject:?}");

    let logins = count(Action::LoggedIn);
    assert_eq!(devices.len(), logins, "a device for each login: {subject:?} {events:?}");
    assert!(logins <= passed, "no login without a code: {subject:?} {events:?}");
    for (token, device) in &subject.logins {
        let digest = TokenDigest(Sha256::digest(token).into());
        let owner = database.accounts.lookup_token(&digest).await.unwrap();
        let owner = owner.unwrap_or_else(|| panic!("an acknowledged token is gone: {subject:?}"));
        assert_eq!((&owner.user, owner.device_id.as_str()), (user, device.as_str()));
    }
    logins < passed
}

/// How many of the user's sessions are over.
async fn ended_sessions(database: &Database, subject: &Subject) -> usize {
    let mut ended = 0;
    for session in &subject.user.sessions {
        let found = database.store.lookup_session(&session.id, SystemClock.now()).await.unwrap();
        ended += usize::from(found.is_none());
    }
    ended
}
