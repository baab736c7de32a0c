//! Passwords between the first stage of a login and the second.
//!
//! Only right ones are kept, each for as long as a login may take and for as
//! many logins as have begun with it. They are wiped when they go, used or not,
//! and never leave the process: another process cannot finish the login.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use myelin_ambient::{Clock, Timestamp};
use ruma::{OwnedUserId, UserId};

use crate::Password;

/// How long one is kept: the time for a session and the token after it.
const LIFETIME: Duration = Duration::from_mins(12);

/// Users whose passwords are kept at most. Beyond it the one that was given
/// longest ago goes.
const LIMIT: usize = 4096;

/// How often those are wiped that nobody has come for.
const WIPE_EVERY: Duration = Duration::from_mins(1);

/// The passwords.
#[derive(Debug, Default)]
pub(super) struct Retained(Mutex<HashMap<OwnedUserId, Entry>>);

#[derive(Debug)]
struct Entry {
    password: Password,
    logins: u32,
    until: Timestamp,
}

impl Retained {
    /// None yet. They are wiped in time also where nobody logs in any more.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub(super) fn wiped_by(clock: Arc<dyn Clock>) -> Arc<Self> {
        let retained = Arc::new(Self::default());
        let weak = Arc::downgrade(&retained);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WIPE_EVERY).await;
                let Some(retained) = weak.upgrade() else { return };
                drop(retained.fresh(clock.now()));
            }
        });
        retained
    }

    /// Those that are still to be kept; the others are wiped.
    fn fresh(&self, now: Timestamp) -> MutexGuard<'_, HashMap<OwnedUserId, Entry>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, entry| now < entry.until);
        kept
    }

    /// Keeps a password that was found right, for one login more.
    pub(super) fn keep(&self, user: &UserId, password: &Password, now: Timestamp) {
        let mut kept = self.fresh(now);
        if kept.len() >= LIMIT
            && !kept.contains_key(user)
            && let Some(oldest) = kept.iter().min_by_key(|(_, entry)| entry.until)
        {
            let oldest = oldest.0.clone();
            kept.remove(&oldest);
        }
        let logins = kept.get(user).map_or(0, |entry| entry.logins).saturating_add(1);
        let entry = Entry { password: password.clone(), logins, until: now + LIFETIME };
        kept.insert(user.to_owned(), entry);
    }

    /// Takes the password for one login.
    pub(super) fn take(&self, user: &UserId, now: Timestamp) -> Option<Password> {
        let mut kept = self.fresh(now);
        let entry = kept.get_mut(user)?;
        let password = entry.password.clone();
        entry.logins -= 1;
        if entry.logins == 0 {
            kept.remove(user);
        }
        Some(password)
    }
}

#[cfg(test)]
mod tests {
    use myelin_ambient::FrozenClock;
    use ruma::user_id;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn taken(retained: &Retained, now: Timestamp) -> Option<String> {
        let password = retained.take(user_id!("@a:b"), now)?;
        Some(password.expose().to_owned())
    }

    #[test]
    fn a_password_is_for_as_many_logins_as_began_with_it() {
        let retained = Retained::default();
        for password in ["old", "new"] {
            retained.keep(user_id!("@a:b"), &Password::new(password), NOW);
        }
        assert!(retained.take(user_id!("@b:b"), NOW).is_none());
        assert_eq!(taken(&retained, NOW).as_deref(), Some("new"));
        assert_eq!(taken(&retained, NOW).as_deref(), Some("new"));
        assert_eq!(taken(&retained, NOW), None);
    }

    #[test]
    fn a_password_is_not_kept_for_long() {
        let retained = Retained::default();
        retained.keep(user_id!("@a:b"), &Password::new("p"), NOW);
        assert_eq!(taken(&retained, NOW + LIFETIME), None);
        assert!(retained.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_nobody_comes_for_is_wiped() {
        let clock = Arc::new(FrozenClock::at(NOW));
        let retained = Retained::wiped_by(clock.clone());
        retained.keep(user_id!("@a:b"), &Password::new("p"), NOW);
        tokio::time::sleep(2 * WIPE_EVERY).await;
        assert_eq!(retained.0.lock().unwrap().len(), 1);
        clock.advance(LIFETIME);
        tokio::time::sleep(2 * WIPE_EVERY).await;
        assert!(retained.0.lock().unwrap().is_empty());
    }

    #[test]
    fn the_number_kept_is_bounded_and_the_oldest_goes() {
        let retained = Retained::default();
        retained.keep(user_id!("@a:b"), &Password::new("p"), NOW);
        for number in 0..LIMIT {
            let user = UserId::parse(format!("@u{number}:b")).unwrap();
            retained.keep(&user, &Password::new("p"), NOW + Duration::from_secs(1));
        }
        assert_eq!(retained.0.lock().unwrap().len(), LIMIT);
        assert_eq!(taken(&retained, NOW + Duration::from_secs(1)), None);
    }
}
