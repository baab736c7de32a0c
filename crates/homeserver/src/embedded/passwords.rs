//! Passwords: how they are hashed, and how they are checked in like time.

use std::{
    sync::{Arc, OnceLock},
    thread,
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash};
use myelin_ambient::Entropy;
use ruma::api::{client::uiaa::UserIdentifier, error::ErrorKind};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{identifiers, state::State};
use crate::{Error, Password, PasswordCheck, Refusal};

/// The shortest password that can be set, in characters.
const SHORTEST: usize = 8;
/// The longest password, in bytes.
const LONGEST: usize = 512;

/// The cost of a password's hash (argon2id).
///
/// The default is the recommendation of the OWASP Password Storage Cheat
/// Sheet: 19 MiB of memory, 2 iterations, 1 lane.
///
/// Hashes keep the cost that they were made with until the password changes.
/// After the cost has been changed, unknown users take the time of the new one.
#[derive(Clone, Debug, Default)]
pub struct PasswordParameters(Params);

impl PasswordParameters {
    /// Other costs: memory in KiB, iterations, lanes.
    ///
    /// # Errors
    ///
    /// When RFC 9106 does not allow them: less than 8 KiB a lane, no
    /// iterations, no lanes.
    pub fn new(memory_kib: u32, iterations: u32, lanes: u32) -> Result<Self, argon2::Error> {
        Params::new(memory_kib, iterations, lanes, None).map(Self)
    }
}

/// Passwords that may wait for each core: some seconds' worth.
const QUEUE: usize = 128;

/// Hashes passwords, no more at a time than there are cores.
#[derive(Debug)]
pub(super) struct Passwords {
    argon2: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    turns: Arc<Semaphore>,
    /// How many may wait for their turn.
    queue: Semaphore,
    /// The hash of a password that nobody has.
    dummy: Arc<OnceLock<String>>,
}

impl Passwords {
    pub(super) fn new(parameters: PasswordParameters, entropy: Arc<dyn Entropy>) -> Self {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters.0);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            argon2,
            entropy,
            turns: Arc::new(Semaphore::new(cores)),
            queue: Semaphore::new(cores * QUEUE),
            dummy: Arc::default(),
        }
    }

    /// Refuses a password that cannot be set.
    ///
    /// # Errors
    ///
    /// `400 M_WEAK_PASSWORD`, `400 M_INVALID_PARAM`
    pub(super) fn check_new(password: &Password) -> Result<(), Refusal> {
        if password.expose().chars().count() < SHORTEST {
            let text = "A password has to be at least 8 characters long.";
            return Err(Refusal::bad_request(&ErrorKind::WeakPassword, text));
        }
        if password.expose().len() > LONGEST {
            let text = "A password can be up to 512 bytes long.";
            return Err(Refusal::bad_request(&ErrorKind::InvalidParam, text));
        }
        Ok(())
    }

    /// The PHC string for a password.
    pub(super) async fn hash(&self, password: &Password) -> Result<String, Error> {
        let (argon2, password, salt) = (self.argon2.clone(), password.clone(), self.salt());
        let hash = self.in_turn(move || hash(&argon2, password.expose(), salt)).await?;
        hash.map_err(|error| broken(&error))
    }

    /// Whether it is the password of this hash. Without a hash it is not, and
    /// that takes the same time.
    async fn verify(&self, password: &Password, known: Option<String>) -> Result<bool, Error> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let (dummy, secret, salt) = (Arc::clone(&self.dummy), self.salt(), self.salt());
        let verdict = self.in_turn(move || {
            // Made at the first check, whoever it is for: were it made for the
            // first unknown user, that one would take longer.
            let dummy = if let Some(dummy) = dummy.get() {
                dummy
            } else {
                let made = hash(&argon2, secret, salt)?;
                dummy.get_or_init(|| made)
            };
            let hash = known.as_deref().unwrap_or(dummy);
            let verdict = argon2.verify_password(password.expose().as_bytes(), hash);
            verdict.map(|()| known.is_some())
        });
        match verdict.await? {
            Ok(is_right) => Ok(is_right),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(broken(&error)),
        }
    }

    fn salt(&self) -> [u8; 16] {
        self.entropy.bytes()
    }

    /// Runs `work` beside the runtime when it is its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(_place) = self.queue.try_acquire() else {
            return Err(Error::Unexpected("too many passwords wait to be hashed".to_owned()));
        };
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("invariant: the semaphore is never closed");
        let done = spawn_blocking(move || {
            // Held by the work, not by who waits for it: a client that hangs up
            // does not free the memory.
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| Error::Unexpected(format!("hashing failed: {error}")))
    }
}

fn hash(
    argon2: &Argon2<'_>,
    password: impl AsRef<[u8]>,
    salt: [u8; 16],
) -> password_hash::Result<String> {
    Ok(argon2.hash_password_with_salt(password.as_ref(), &salt)?.to_string())
}

fn broken(error: &password_hash::Error) -> Error {
    Error::Unexpected(format!("a password's hash cannot be worked with: {error}"))
}

impl State {
    pub(super) async fn check_password(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
    ) -> Result<PasswordCheck, Error> {
        // Nobody has such a password; that says nothing about any user.
        if password.expose().is_empty() || password.expose().len() > LONGEST {
            return Ok(PasswordCheck::Wrong);
        }
        let account = match identifiers::localpart(identifier, &self.server_name) {
            Some(localpart) => self.accounts.lookup(&self.user_id(&localpart)?).await?,
            None => None,
        };
        let account = account.filter(|account| !account.deactivated);
        let known = account.as_ref().and_then(|account| account.password_hash.clone());
        let is_right = self.passwords.verify(password, known).await?;
        Ok(match account {
            Some(account) if is_right => PasswordCheck::Verified(account.user),
            _ => PasswordCheck::Wrong,
        })
    }
}

#[cfg(test)]
mod tests {
    use myelin_ambient::SeededEntropy;

    use super::*;

    fn passwords() -> Passwords {
        let parameters = PasswordParameters::new(8, 1, 1).unwrap();
        Passwords::new(parameters, Arc::new(SeededEntropy::new(1)))
    }

    #[test]
    fn a_password_has_8_characters_and_512_bytes_at_most() {
        let check = |text: &str| Passwords::check_new(&Password::new(text)).map_err(|r| r.errcode);
        assert_eq!(check("").unwrap_err(), "M_WEAK_PASSWORD");
        assert_eq!(check("1234567").unwrap_err(), "M_WEAK_PASSWORD");
        assert_eq!(check("ääääääää"), Ok(()));
        assert_eq!(check(&"x".repeat(512)), Ok(()));
        assert_eq!(check(&"x".repeat(513)).unwrap_err(), "M_INVALID_PARAM");
    }

    #[test]
    fn the_default_cost_is_the_one_that_owasp_recommends() {
        let PasswordParameters(params) = PasswordParameters::default();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (19 * 1024, 2, 1));
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_and_knows_its_password() {
        let passwords = passwords();
        let right = Password::new("correct horse");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(passwords.verify(&right, Some(hash.clone())).await.unwrap());
        let wrong = Password::new("correct horsf");
        assert!(!passwords.verify(&wrong, Some(hash.clone())).await.unwrap());
        assert_ne!(passwords.hash(&right).await.unwrap(), hash, "the salt is not random");
    }

    #[tokio::test]
    async fn no_password_is_right_without_a_hash() {
        let passwords = passwords();
        assert!(!passwords.verify(&Password::new("anything"), None).await.unwrap());
        let dummy = passwords.dummy.get().unwrap();
        assert!(dummy.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "the dummy costs the same");
    }

    #[tokio::test]
    async fn a_broken_hash_is_an_error_and_not_a_wrong_password() {
        let result = passwords().verify(&Password::new("x"), Some("nonsense".to_owned())).await;
        assert!(matches!(result, Err(Error::Unexpected(_))), "{result:?}");
    }
}
