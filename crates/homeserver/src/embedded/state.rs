//! What every part of the embedded homeserver shares.

use std::{sync::Arc, time::Duration};

use myelin_ambient::{Clock, Entropy};
use myelin_storage::{Accounts, Action, Event};
use ruma::{OwnedServerName, OwnedUserId, UserId};

use super::{EmbeddedOptions, RegistrationPolicy, passwords::Passwords};
use crate::{BodyLimits, Context, Error};

/// The shared state. Each part of the homeserver adds its verbs to it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) server_name: OwnedServerName,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) registration: RegistrationPolicy,
    pub(super) access_token_lifetime: Duration,
    pub(super) passwords: Passwords,
    pub(super) body: BodyLimits,
}

impl State {
    pub(super) fn new(options: EmbeddedOptions) -> Self {
        let EmbeddedOptions {
            server_name,
            accounts,
            clock,
            entropy,
            registration,
            access_token_lifetime,
            password_hash,
            body,
        } = options;
        let passwords = Passwords::new(password_hash, Arc::clone(&entropy));
        Self {
            server_name,
            accounts,
            clock,
            entropy,
            registration,
            access_token_lifetime,
            passwords,
            body,
        }
    }

    /// The ID of the user with this local part, which has been checked.
    pub(super) fn user_id(&self, localpart: &str) -> Result<OwnedUserId, Error> {
        UserId::parse(format!("@{localpart}:{}", self.server_name))
            .map_err(|error| Error::Unexpected(format!("no user ID can be made: {error}")))
    }

    /// An entry of the audit log about what the user of this request does.
    pub(super) fn event(
        &self,
        user: &UserId,
        action: Action,
        context: &Context,
        detail: Option<String>,
    ) -> Event {
        let at = self.clock.now();
        Event { at, user: user.to_owned(), action, origin: context.origin(), detail }
    }
}
