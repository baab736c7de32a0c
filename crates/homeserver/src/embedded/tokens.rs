//! Access and refresh tokens: minted here, kept as digests only.

use std::time::Duration;

use axum::{extract::State as Shared, response::Response};
use data_encoding::BASE64URL_NOPAD;
use myelin_ambient::{Entropy, Timestamp};
use myelin_storage::{NewTokens, Refreshed, TokenDigest};
use ruma::api::client::session::refresh_token;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    failure::{Failure, secret_answer},
    request::Matrix,
    router::Home,
    state::State,
};
use crate::{AccessToken, Identity, Refusal};

/// Tokens can be told by their beginning: by people and by scanners for
/// secrets that were published by mistake.
const ACCESS_PREFIX: &str = "mya_";
const REFRESH_PREFIX: &str = "myr_";
/// 192 random bits.
const TOKEN_BYTES: usize = 24;

/// New tokens, to be shown once.
pub(super) struct Minted {
    access: Zeroizing<String>,
    refresh: Option<Zeroizing<String>>,
    /// How long the access token lives; none if until it is revoked.
    pub(super) expires_in: Option<Duration>,
}

impl Minted {
    /// The access token, for the response.
    pub(super) fn access(&self) -> String {
        self.access.to_string()
    }

    /// The refresh token, for the response.
    pub(super) fn refresh(&self) -> Option<String> {
        self.refresh.as_ref().map(|token| token.to_string())
    }

    /// What is kept of them.
    pub(super) fn digests(&self, now: Timestamp) -> NewTokens {
        NewTokens {
            access: digest(&self.access),
            access_expires: self.expires_in.map(|lifetime| now + lifetime),
            refresh: self.refresh.as_ref().map(|token| digest(token)),
        }
    }
}

fn generate(prefix: &str, entropy: &dyn Entropy) -> Zeroizing<String> {
    let bytes = Zeroizing::new(entropy.bytes::<TOKEN_BYTES>());
    // Room for all of it: a string that grows leaves its old bytes behind.
    let length = prefix.len() + BASE64URL_NOPAD.encode_len(TOKEN_BYTES);
    let mut token = Zeroizing::new(String::with_capacity(length));
    token.push_str(prefix);
    BASE64URL_NOPAD.encode_append(&*bytes, &mut token);
    token
}

fn digest(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token).into())
}

impl State {
    /// Mints an access token; with `refreshable` one that expires, and a
    /// refresh token for it.
    pub(super) fn mint(&self, refreshable: bool) -> Minted {
        let entropy = self.entropy.as_ref();
        Minted {
            access: generate(ACCESS_PREFIX, entropy),
            refresh: refreshable.then(|| generate(REFRESH_PREFIX, entropy)),
            expires_in: refreshable.then_some(self.access_token_lifetime),
        }
    }

    /// Whom an access token names now.
    ///
    /// # Errors
    ///
    /// `401 M_UNKNOWN_TOKEN`, with `soft_logout` if it has only expired.
    pub(super) async fn resolve(&self, token: &AccessToken) -> Result<Identity, Failure> {
        let unknown = || Refusal::unknown_token("The access token is not known.", false);
        // What is not one of ours needs no look into the database.
        if !token.expose().starts_with(ACCESS_PREFIX) {
            return Err(unknown().into());
        }
        let owner = self.accounts.lookup_token(&digest(token.expose())).await?;
        let owner = owner.ok_or_else(unknown)?;
        if owner.expires.is_some_and(|expires| self.clock.now() >= expires) {
            return Err(Refusal::unknown_token("The access token has expired.", true).into());
        }
        Ok(Identity { user: owner.user, device_id: Some(owner.device_id) })
    }
}

/// `POST /refresh`
pub(super) async fn refresh(
    Shared(home): Home,
    Matrix(request): Matrix<refresh_token::v3::Request>,
) -> Result<Response, Failure> {
    let spent = Zeroizing::new(request.refresh_token);
    let now = home.clock.now();
    let minted = home.mint(true);
    match home.accounts.refresh(&digest(&spent), &minted.digests(now), now).await? {
        Refreshed::Refreshed => {
            let mut response = refresh_token::v3::Response::new(minted.access());
            response.refresh_token = minted.refresh();
            response.expires_in_ms = minted.expires_in;
            secret_answer(response)
        }
        Refreshed::Unknown => {
            Err(Refusal::unknown_token("The refresh token is not known.", false).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use myelin_ambient::SeededEntropy;

    use super::*;

    #[test]
    fn a_token_tells_what_it_is_and_holds_192_bits() {
        let entropy = SeededEntropy::new(1);
        let token = generate(ACCESS_PREFIX, &entropy);
        let bytes = BASE64URL_NOPAD.decode(token.strip_prefix("mya_").unwrap().as_bytes()).unwrap();
        assert_eq!(bytes.len(), 24);
        assert_ne!(*token, *generate(ACCESS_PREFIX, &entropy));
    }
}
