//! Secrets at rest: XChaCha20-Poly1305 with a random nonce, bound to what they
//! belong to.
//!
//! A sealed value opens only for the user and the authenticator (or the number
//! of the recovery code) that it was sealed for: a row that is copied to
//! another user opens nothing.

use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use myelin_ambient::Entropy;
use myelin_two_factor::{AuthenticatorId, RecoveryHash, TotpSecret};
use ruma::UserId;
use zeroize::Zeroizing;

use crate::{Error, Key, KeySource, Keyring, SealedSecret};

/// Bytes of a nonce: random ones of this length do not collide.
const NONCE: usize = 24;

/// What a sealed value is, and whose.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'a> {
    /// The secret of an authenticator.
    Totp(&'a UserId, &'a AuthenticatorId),
    /// The hash of the recovery code with this number.
    Recovery(&'a UserId, u32),
}

impl Bound<'_> {
    /// The associated data. Each part is preceded by its length: no two lists
    /// of parts read alike.
    fn associated_data(self) -> Vec<u8> {
        let index;
        let parts: [&[u8]; 3] = match self {
            Self::Totp(user, id) => [b"totp", user.as_bytes(), id.as_str().as_bytes()],
            Self::Recovery(user, number) => {
                index = number.to_be_bytes();
                [b"recovery", user.as_bytes(), &index]
            }
        };
        let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
        lengths.iter().zip(parts).flat_map(|(length, part)| [length, part].concat()).collect()
    }
}

/// Seals with `key`; the nonce is in front of the ciphertext.
pub(crate) fn seal(
    key: &Key,
    entropy: &dyn Entropy,
    bound: Bound<'_>,
    plain: &[u8],
) -> SealedSecret {
    let nonce = XNonce::from(entropy.bytes::<NONCE>());
    let associated_data = bound.associated_data();
    let ciphertext = XChaCha20Poly1305::new(&(*key.expose()).into())
        .encrypt(&nonce, Payload { msg: plain, aad: &associated_data })
        .expect("invariant: a secret is far shorter than the cipher's limit");
    SealedSecret { key_id: key.id(), bytes: [&nonce[..], &ciphertext].concat() }
}

/// Opens what [`seal`] sealed with the same key for the same owner.
fn open(key: &Key, bound: Bound<'_>, sealed: &SealedSecret) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.bytes.split_first_chunk::<NONCE>()?;
    let associated_data = bound.associated_data();
    XChaCha20Poly1305::new(&(*key.expose()).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &associated_data })
        .ok()
        .map(Zeroizing::new)
}

/// Seals and opens with the keyring as it is kept.
#[derive(Debug)]
pub(crate) struct Sealer {
    source: Arc<dyn KeySource>,
    entropy: Arc<dyn Entropy>,
    cached: RwLock<Arc<Keyring>>,
}

impl Sealer {
    pub(crate) fn new(
        source: Arc<dyn KeySource>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let cached = RwLock::new(Arc::new(source.load()?));
        Ok(Self { source, entropy, cached })
    }

    /// The keyring, loaded anew.
    pub(crate) fn reload(&self) -> Result<Arc<Keyring>, Error> {
        let keyring = Arc::new(self.source.load()?);
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keyring);
        Ok(keyring)
    }

    fn cached(&self) -> Arc<Keyring> {
        Arc::clone(&self.cached.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Seals with a key of a keyring that was just loaded.
    pub(crate) fn seal(&self, key: &Key, bound: Bound<'_>, plain: &[u8]) -> SealedSecret {
        seal(key, &*self.entropy, bound, plain)
    }

    pub(crate) fn open_totp(
        &self,
        user: &UserId,
        id: &AuthenticatorId,
        sealed: &SealedSecret,
    ) -> Result<TotpSecret, Error> {
        Ok(TotpSecret::from_bytes(*self.open(Bound::Totp(user, id), sealed)?))
    }

    pub(crate) fn open_hash(
        &self,
        user: &UserId,
        index: u32,
        sealed: &SealedSecret,
    ) -> Result<RecoveryHash, Error> {
        Ok(RecoveryHash::from_bytes(*self.open(Bound::Recovery(user, index), sealed)?))
    }

    fn open<const N: usize>(
        &self,
        bound: Bound<'_>,
        sealed: &SealedSecret,
    ) -> Result<Zeroizing<[u8; N]>, Error> {
        let plain = self.unseal(bound, sealed)?;
        let bytes = plain.as_slice().try_into().map_err(|_| refused(sealed))?;
        Ok(Zeroizing::new(bytes))
    }

    /// The plain value. Loads the keyring anew where the row names a key that
    /// is not known: it may have been rotated by another process.
    pub(crate) fn unseal(
        &self,
        bound: Bound<'_>,
        sealed: &SealedSecret,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut keyring = self.cached();
        if keyring.key(&sealed.key_id).is_none() {
            keyring = self.reload()?;
        }
        let key = keyring.key(&sealed.key_id).ok_or_else(|| refused(sealed))?;
        open(key, bound, sealed).ok_or_else(|| refused(sealed))
    }
}

fn refused(sealed: &SealedSecret) -> Error {
    Error::Key { key_id: sealed.key_id.clone() }
}

#[cfg(test)]
mod tests {
    use myelin_ambient::{SeededEntropy, SystemEntropy};
    use ruma::user_id;

    use super::*;
    use crate::FixedKeySource;

    const PLAIN: [u8; 20] = [7; 20];

    fn sealer(keyring: &Keyring) -> Sealer {
        Sealer::new(Arc::new(FixedKeySource(keyring.clone())), Arc::new(SystemEntropy)).unwrap()
    }

    fn id(seed: u64) -> AuthenticatorId {
        AuthenticatorId::generate(&SeededEntropy::new(seed))
    }

    #[test]
    fn sealed_secret_opens_for_its_owner_alone() {
        let keyring = Keyring::generate(&SystemEntropy);
        let sealer = sealer(&keyring);
        let (alice, bob) = (user_id!("@alice:localhost"), user_id!("@bob:localhost"));
        let secret = sealer.seal(keyring.current(), Bound::Totp(alice, &id(1)), &PLAIN);

        assert_eq!(sealer.open_totp(alice, &id(1), &secret).unwrap().expose(), &PLAIN);
        assert!(sealer.open_totp(bob, &id(1), &secret).is_err(), "another user");
        assert!(sealer.open_totp(alice, &id(2), &secret).is_err(), "another authenticator");
    }

    #[test]
    fn recovery_hash_opens_under_its_own_number_alone() {
        let keyring = Keyring::generate(&SystemEntropy);
        let sealer = sealer(&keyring);
        let alice = user_id!("@alice:localhost");
        let secret = sealer.seal(keyring.current(), Bound::Recovery(alice, 3), &[9; 32]);

        assert_eq!(sealer.open_hash(alice, 3, &secret).unwrap().expose(), &[9; 32]);
        assert!(sealer.open_hash(alice, 4, &secret).is_err());
        assert!(sealer.open_hash(user_id!("@bob:localhost"), 3, &secret).is_err());
    }

    #[test]
    fn unknown_key_is_named_and_opens_nothing() {
        let (ours, theirs) = (Keyring::generate(&SystemEntropy), Keyring::generate(&SystemEntropy));
        let alice = user_id!("@alice:localhost");
        let secret = sealer(&theirs).seal(theirs.current(), Bound::Totp(alice, &id(1)), &PLAIN);

        match sealer(&ours).open_totp(alice, &id(1), &secret) {
            Err(Error::Key { key_id }) => assert_eq!(key_id, theirs.current().id()),
            other => panic!("an unknown key, not {other:?}"),
        }
    }

    #[test]
    fn another_key_under_the_same_name_opens_nothing() {
        let (ours, theirs) = (Keyring::generate(&SystemEntropy), Keyring::generate(&SystemEntropy));
        let alice = user_id!("@alice:localhost");
        let sealer = sealer(&ours);
        let mut secret = sealer.seal(theirs.current(), Bound::Totp(alice, &id(1)), &PLAIN);
        secret.key_id = ours.current().id();
        assert!(matches!(sealer.open_totp(alice, &id(1), &secret), Err(Error::Key { .. })));
    }

    #[test]
    fn changed_byte_anywhere_is_noticed() {
        let keyring = Keyring::generate(&SystemEntropy);
        let sealer = sealer(&keyring);
        let alice = user_id!("@alice:localhost");
        let secret = sealer.seal(keyring.current(), Bound::Totp(alice, &id(1)), &PLAIN);
        for place in 0..secret.bytes.len() {
            let mut changed = secret.clone();
            changed.bytes[place] ^= 1;
            assert!(sealer.open_totp(alice, &id(1), &changed).is_err(), "byte {place}");
        }
        let short = SealedSecret { bytes: vec![0; 5], ..secret };
        assert!(sealer.open_totp(alice, &id(1), &short).is_err(), "too short for a nonce");
    }

    #[test]
    fn key_rotated_by_another_process_is_found() {
        #[derive(Debug)]
        struct Rotating(RwLock<Keyring>);
        impl KeySource for Rotating {
            fn load(&self) -> Result<Keyring, crate::KeyringError> {
                Ok(self.0.read().unwrap().clone())
            }
        }
        let source = Arc::new(Rotating(RwLock::new(Keyring::generate(&SystemEntropy))));
        let sealer = Sealer::new(source.clone(), Arc::new(SystemEntropy)).unwrap();
        let rotated = source.0.read().unwrap().clone().rotated(&SystemEntropy);
        *source.0.write().unwrap() = rotated.clone();

        let alice = user_id!("@alice:localhost");
        let secret = seal(rotated.current(), &SystemEntropy, Bound::Totp(alice, &id(1)), &PLAIN);
        assert!(sealer.open_totp(alice, &id(1), &secret).is_ok());
    }
}
