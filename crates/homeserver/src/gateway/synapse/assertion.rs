//! Short-lived signed assertions: how the module in Synapse knows that the
//! gateway is speaking. The format is described in `synapse-module/README.md`.

use std::{
    fmt::{self, Debug},
    fs, io,
    path::Path,
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use myelin_ambient::{Entropy, Timestamp};
use ruma::UserId;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long an assertion is believed.
const LIFETIME: Duration = Duration::from_secs(20);

/// The least that a secret may hold, in bytes.
const LEAST: usize = 32;

const KEY_LABEL: &str = "myelin-synapse/v1/";

/// What the gateway and the module share.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a file holds no secret that is good enough.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Others may read it.
    #[error("only its owner may read it: chmod 600")]
    Open,
    /// It is too short.
    #[error("it has to hold at least 32 bytes: openssl rand -hex 32")]
    Short,
}

impl Secret {
    /// Reads a file, without white space at either end.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::mode(&fs::metadata(path)?) & 0o077 != 0 {
            return Err(SecretError::Open);
        }
        Self::from_bytes(&Zeroizing::new(fs::read(path)?))
    }

    /// From the bytes of such a file.
    ///
    /// # Errors
    ///
    /// [`SecretError::Short`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < LEAST { Err(SecretError::Short) } else { Ok(Self(bytes.to_vec().into())) }
    }

    /// Signs an assertion.
    pub(super) fn sign(&self, claim: Claim<'_>, now: Timestamp, entropy: &dyn Entropy) -> String {
        let Claim { purpose, user, session } = claim;
        let nonce = BASE64URL_NOPAD.encode(&entropy.bytes::<16>());
        let mut payload = Map::from_iter([
            ("v".to_owned(), json!(1)),
            ("use".to_owned(), json!(purpose)),
            ("iat".to_owned(), json!(now.as_millis())),
            ("exp".to_owned(), json!((now + LIFETIME).as_millis())),
            ("nonce".to_owned(), json!(nonce)),
        ]);
        if let Some(user) = user {
            payload.insert("user".to_owned(), json!(user));
        }
        if let Some(session) = session {
            payload.insert("session".to_owned(), json!(session));
        }
        self.seal(purpose, &Value::Object(payload).to_string())
    }

    fn seal(&self, purpose: &str, payload: &str) -> String {
        let key = mac(&self.0, format!("{KEY_LABEL}{purpose}").as_bytes());
        let tag = mac(&*Zeroizing::new(key), payload.as_bytes());
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        format!("{}.{}", encode(payload.as_bytes()), encode(&tag))
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Secret(…)")
    }
}

/// What an assertion says.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    /// What it is for: one for another use is noise.
    pub(super) purpose: &'static str,
    /// About whom.
    pub(super) user: Option<&'a UserId>,
    /// For which session of Synapse's.
    pub(super) session: Option<&'a str>,
}

impl<'a> Claim<'a> {
    pub(super) const fn of(purpose: &'static str) -> Self {
        Self { purpose, user: None, session: None }
    }

    pub(super) const fn about(purpose: &'static str, user: &'a UserId) -> Self {
        Self { purpose, user: Some(user), session: None }
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use myelin_ambient::SeededEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn secret() -> Secret {
        Secret::from_bytes(b" 0123456789abcdef0123456789abcdef\n").unwrap()
    }

    #[test]
    fn the_example_of_the_modules_documentation_is_signed_alike() {
        let payload = r#"{"v":1,"use":"login","user":"@alice:example.org","iat":1800000000000,"exp":1800000020000,"nonce":"AAECAwQFBgcICQoLDA0ODw"}"#;
        let expected = "IpWAYYg1lf8JJmElbjY0s0d1VuCCcjXduFvk0dugTr0";
        let (_, tag) = secret().seal("login", payload).split_once('.').map(own).unwrap();
        assert_eq!(tag, expected);
    }

    fn own((one, other): (&str, &str)) -> (String, String) {
        (one.to_owned(), other.to_owned())
    }

    #[test]
    fn no_two_assertions_are_alike() {
        let entropy = SeededEntropy::new(1);
        let sign = || secret().sign(Claim::of("hello"), NOW, &entropy);
        assert_ne!(sign(), sign());
    }

    #[test]
    fn a_short_secret_is_refused() {
        let short = Secret::from_bytes(b"0123456789abcdef0123456789abcde\n");
        assert!(matches!(short, Err(SecretError::Short)));
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef0123456789abcdef").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Secret::read(file.path()), Err(SecretError::Open)));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Secret::read(file.path()).is_ok());
    }
}
