//! What an administrator asks of a homeserver before trusting a gateway with
//! it: is it there, is it the right one, is the direct way in closed.
//!
//! Nothing is changed, and nobody is logged in.

use data_encoding::HEXLOWER;
use http::StatusCode;
use ruma::api::client::uiaa::MatrixUserIdentifier;
use serde_json::Value;

use super::{Ask, Gateway, Generic, Synapse, logins};
use crate::{Error, Password};

const SERVER_KEYS: &str = "/_matrix/key/v2/server";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Good(String),
    /// It is not, and this is what to do.
    Bad(String),
    /// It cannot be told from here.
    Unknown(String),
}

impl Gateway {
    /// Whether it answers, and whose it is.
    async fn examine(&self) -> Vec<Finding> {
        let answers = match self.check().await {
            Ok(()) => Finding::Good("the homeserver answers".to_owned()),
            Err(error) => return vec![Finding::Bad(error.to_string())],
        };
        vec![answers, self.examine_name().await]
    }

    async fn examine_name(&self) -> Finding {
        let expected = &self.options.server_name;
        let answer = match self.send(Ask::get(SERVER_KEYS), None).await {
            Ok(answer) if answer.status() == StatusCode::OK => answer.object(),
            Ok(_) => Ok(serde_json::Map::new()),
            Err(error) => Err(error),
        };
        match answer.as_ref().map(|body| body.get("server_name").and_then(Value::as_str)) {
            Ok(Some(name)) if name == expected.as_str() => {
                Finding::Good(format!("it is the server {expected}"))
            }
            Ok(Some(name)) => Finding::Bad(format!(
                "it is the server {name}, but server_name says {expected}: nobody could log in"
            )),
            Ok(None) => Finding::Unknown(format!(
                "it does not say here whether it is {expected}: its keys are not on this port"
            )),
            Err(error) => Finding::Bad(error.to_string()),
        }
    }

    /// Whether a login that does not come through the gateway is refused before
    /// its password is looked at. The user and the password are nobody's.
    async fn refuses_direct_logins(&self) -> Result<bool, Error> {
        let random = || HEXLOWER.encode(&self.options.entropy.bytes::<16>());
        let user = MatrixUserIdentifier::new(format!("myelin-doctor-{}", random())).into();
        let body = logins::with_password(&user, &Password::new(random()))?;
        let answer = self.send(Ask::post(logins::LOGIN, &body), None).await?;
        Ok(answer.status() == StatusCode::BAD_REQUEST)
    }
}

impl Generic {
    /// Looks the homeserver over.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = self.gateway.examine().await;
        let text = "nothing in it refuses a login that goes around Myelin: let nobody else reach \
                    its port";
        findings.push(Finding::Unknown(text.to_owned()));
        findings
    }
}

impl Synapse {
    /// Looks the homeserver and its module over.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = self.gateway.examine().await;
        if findings.len() == 1 {
            return findings;
        }
        findings.push(match self.module_version().await {
            Ok(Some(module)) if module.requires_gateway => {
                Finding::Good(format!("the module is there, version {}", module.version))
            }
            Ok(Some(_)) => Finding::Bad("the module has require_gateway off".to_owned()),
            Ok(None) => Finding::Bad(
                "the module does not answer this gateway: it is not there, its secret is another, \
                 the clocks differ, or Synapse has only just started (its log says which)"
                    .to_owned(),
            ),
            Err(error) => Finding::Bad(error.to_string()),
        });
        findings.push(match self.gateway.refuses_direct_logins().await {
            Ok(true) => Finding::Good("a login that goes around Myelin is refused".to_owned()),
            Ok(false) => Finding::Bad("a login that goes around Myelin is NOT refused".to_owned()),
            Err(error) => Finding::Bad(error.to_string()),
        });
        findings
    }
}
