//! Many users at once, for tests and measurements under load.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use myelin_ambient::Timestamp;
use myelin_storage::{Action, Created, Database, NewAccount};
use myelin_uia::Session;
use ruma::{OwnedUserId, UserId};
use tokio::task::JoinSet;

use crate::fixture::{self, SeededUser};

/// Users who are made at the same time. SQLite commits waiting writers as a
/// group, and PostgreSQL has a connection for each.
const CONCURRENT: usize = 64;

/// Sessions that come from one address, below any quota per user and address.
const SESSIONS_PER_ADDRESS: usize = 2;

/// What to make.
#[derive(Clone)]
pub struct Seed {
    /// How many users: `@<prefix>0:<server_name>` and so on.
    pub users: usize,
    /// What their local parts begin with.
    pub prefix: String,
    /// Their server.
    pub server_name: String,
    /// A password's hash in PHC format. With it each user gets an account.
    pub password_hash: Option<String>,
    /// Real recovery codes of each user. Each costs a slow hash.
    pub recovery_codes: usize,
    /// Open sessions of each user.
    pub sessions: usize,
    /// Makes one of these, with the stages that it has passed; it must be bound
    /// as the server under test binds it.
    pub session: Arc<dyn Fn(&UserId) -> Session + Send + Sync>,
    /// When.
    pub now: Timestamp,
}

impl Seed {
    /// Users who have an authenticator and nothing else.
    pub fn users(users: usize, now: Timestamp) -> Self {
        Self {
            users,
            prefix: "user".to_owned(),
            server_name: "localhost".to_owned(),
            password_hash: None,
            recovery_codes: 0,
            sessions: 0,
            session: Arc::new(move |user| fixture::login_session(user, now)),
            now,
        }
    }

    /// Makes the users, many at a time; they come in order of their number.
    ///
    /// # Panics
    ///
    /// When the database fails, or refuses a session.
    pub async fn plant(self, database: &Database) -> Vec<SeededUser> {
        let seed = Arc::new(self);
        let mut planted = Vec::with_capacity(seed.users);
        let mut tasks = JoinSet::new();
        for number in 0..seed.users {
            if tasks.len() == CONCURRENT {
                planted.extend(tasks.join_next().await);
            }
            let (seed, database) = (Arc::clone(&seed), database.clone());
            tasks.spawn(async move { (number, seed.plant_one(number, &database).await) });
        }
        while let Some(one) = tasks.join_next().await {
            planted.push(one);
        }
        let mut planted: Vec<_> =
            planted.into_iter().map(|one| one.expect("seeding does not panic")).collect();
        planted.sort_unstable_by_key(|(number, _)| *number);
        planted.into_iter().map(|(_, user)| user).collect()
    }

    /// The user of this number.
    ///
    /// # Panics
    ///
    /// When prefix and server name do not make a user ID.
    pub fn user(&self, number: usize) -> OwnedUserId {
        let id = format!("@{}{number}:{}", self.prefix, self.server_name);
        id.try_into().expect("prefix and server name make a user ID")
    }

    async fn plant_one(&self, number: usize, database: &Database) -> SeededUser {
        let user = self.user(number);
        if let Some(hash) = &self.password_hash {
            let account =
                NewAccount { user: user.clone(), password_hash: hash.clone(), login: None };
            let event = fixture::event(&user, Action::Registered, self.now);
            let created = database.accounts.create(&account, self.now, event).await;
            assert_eq!(created.expect("the database answers"), Created::Created);
        }
        let store = &*database.store;
        let mut seeded = fixture::enrol(store, &user, self.recovery_codes, self.now).await;
        for session_number in 0..self.sessions {
            let session = (self.session)(&user);
            let origin = fixture::origin(address(number, session_number / SESSIONS_PER_ADDRESS));
            fixture::keep(store, &session, &origin, self.now).await;
            seeded.sessions.push(session);
        }
        seeded
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed")
            .field("users", &self.users)
            .field("recovery_codes", &self.recovery_codes)
            .field("sessions", &self.sessions)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// An address that differs for each user and place.
fn address(user: usize, place: usize) -> IpAddr {
    let number = user.wrapping_mul(251).wrapping_add(place);
    let [.., a, b, c] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, a, b, c))
}
