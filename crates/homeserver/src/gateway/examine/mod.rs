//! What an administrator asks of a homeserver before trusting a gateway with
//! it: is it there, is it the right one, is the direct way in closed, and do
//! clients find the gateway.
//!
//! Nothing is changed, and nobody is logged in.

mod clocks;
mod discovery;
mod module;

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use self::clocks::Clocks;
pub(super) use self::clocks::parse_date;
pub use self::discovery::discovery;
use super::{Ask, Gateway, Generic, Synapse, relay::VERSIONS};

const SERVER_KEYS: &str = "/_matrix/key/v2/server";

/// From here on the codes of one of the two clocks are wrong for the other.
const TOO_FAR_FOR_CODES: Duration = Duration::from_secs(30);

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

impl Generic {
    /// Looks the homeserver over.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = self.gateway.examine().await;
        let Some(clocks) = self.gateway.clocks().await else { return findings };
        findings.push(clocks.finding(TOO_FAR_FOR_CODES));
        findings.push(self.gateway.examine_own_address().await);
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
        let Some(clocks) = self.gateway.clocks().await else { return findings };
        findings.push(clocks.finding(module::FORGIVEN_BY_DEFAULT));
        findings.push(self.examine_module(&clocks).await);
        findings.push(self.examine_direct_login().await);
        findings.push(self.gateway.examine_own_address().await);
        findings
    }
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

    /// What time it is, here and there; none if there is no homeserver.
    async fn clocks(&self) -> Option<Clocks> {
        let before = self.options.clock.now();
        let answer = self.send(Ask::get(VERSIONS), None).await.ok()?;
        Some(Clocks { before, after: self.options.clock.now(), there: answer.date() })
    }
}
