//! The module's own endpoints.

use http::StatusCode;
use myelin_ambient::Timestamp;
use ruma::UserId;
use serde_json::{Map, Value};

use super::{Synapse, assertion::Claim};
use crate::{AccessToken, Context, Error, gateway::Ask};

const MINT: &str = "/_synapse/client/myelin/mint";
const VERSION: &str = "/_synapse/client/myelin/version";

/// What the module says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleVersion {
    /// Its version.
    pub version: String,
    /// Whether it refuses logins that do not come through the gateway.
    pub requires_gateway: bool,
    /// What it can do.
    pub features: Vec<String>,
}

impl Synapse {
    /// A login token for a user whom the gateway has verified.
    pub(super) async fn mint(&self, user: &UserId, context: &Context) -> Result<String, Error> {
        let token = AccessToken::new(self.sign(Claim::about("mint", user)));
        let body = Map::new();
        let ask = Ask::post(MINT, &body).with_token(&token);
        let answer = self.gateway.send(ask, Some(context)).await?;
        let token = match answer.status() {
            StatusCode::OK => answer.object()?.remove("login_token"),
            _ => None,
        };
        if let Some(Value::String(token)) = token {
            return Ok(token);
        }
        let status = answer.status().as_u16();
        Err(Error::Unexpected(format!("the Myelin module answers {status} when asked for a login")))
    }

    /// Asks the module for its version; none if there is no module, or it does
    /// not believe this gateway.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] and [`Error::Unexpected`].
    pub async fn module_version(&self) -> Result<Option<ModuleVersion>, Error> {
        self.module_version_at(self.gateway.options.clock.now()).await
    }

    /// The same, by a clock that shows this time.
    pub(in crate::gateway) async fn module_version_at(
        &self,
        now: Timestamp,
    ) -> Result<Option<ModuleVersion>, Error> {
        let token = AccessToken::new(self.sign_at(Claim::of("hello"), now));
        let answer = self.gateway.send(Ask::get(VERSION).with_token(&token), None).await?;
        if answer.status() != StatusCode::OK {
            return Ok(None);
        }
        let body = answer.object()?;
        let version = body.get("version").and_then(Value::as_str);
        let requires = body.get("require_gateway").and_then(Value::as_bool);
        let features = body.get("features").and_then(Value::as_array).into_iter().flatten();
        let features = features.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        Ok(version.zip(requires).map(|(version, requires_gateway)| ModuleVersion {
            version: version.to_owned(),
            requires_gateway,
            features,
        }))
    }
}
