//! Whether the module is in Synapse, believes this gateway, and keeps everybody
//! else out.

use std::time::Duration;

use data_encoding::HEXLOWER;
use http::StatusCode;
use ruma::api::client::uiaa::MatrixUserIdentifier;
use serde_json::Value;

use super::{Clocks, Finding};
use crate::{
    Error, Password,
    gateway::{
        Answer, Ask, Synapse,
        logins::{self, LOGIN},
        synapse::OWN,
    },
};

/// How far our clock may be ahead unless the module is told otherwise.
pub(super) const FORGIVEN_BY_DEFAULT: Duration = Duration::from_secs(2);

/// What this gateway needs of the module.
const NEEDED: [&str; 3] = ["mint", "probe", "uia"];

/// The version of the module in this repository.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Synapse {
    pub(super) async fn examine_module(&self, clocks: &Clocks) -> Finding {
        let module = match self.module_version().await {
            Ok(Some(module)) => module,
            Ok(None) => return self.why_not(clocks).await,
            Err(error) => return Finding::Bad(error.to_string()),
        };
        let version = &module.version;
        let install = "pip install ./synapse-module in Synapse's environment, then restart Synapse";
        if NEEDED.iter().any(|needed| !module.features.iter().any(|feature| feature == needed)) {
            return Finding::Bad(format!(
                "the module is version {version}, and cannot do what this Myelin needs. Install \
                 the one that comes with it, {VERSION}: {install}"
            ));
        }
        if !module.requires_gateway {
            let text = "the module has require_gateway off: set it to true in homeserver.yaml and \
                        restart Synapse, or logins that go around Myelin need no second factor";
            return Finding::Bad(text.to_owned());
        }
        if version != VERSION {
            return Finding::Unknown(format!(
                "the module is version {version}; this Myelin comes with {VERSION}. To have both \
                 alike: {install}"
            ));
        }
        Finding::Good(format!("the module is there, version {version}"))
    }

    /// Why the module does not answer.
    async fn why_not(&self, clocks: &Clocks) -> Finding {
        match self.offers_the_stage().await {
            Ok(true) => {}
            Ok(false) => {
                let text = "the module is not in Synapse. Install it into the environment that \
                            Synapse runs in (pip install ./synapse-module), name it under modules \
                            in homeserver.yaml, and restart Synapse";
                return Finding::Bad(text.to_owned());
            }
            Err(error) => return Finding::Bad(error.to_string()),
        }
        // The same question with the homeserver's own time: now only another
        // secret makes it another.
        let believed = match clocks.there {
            Some(there) => self.module_version_at(there).await,
            None => Ok(None),
        };
        match believed {
            Ok(Some(_)) => Finding::Bad(format!(
                "the module is there and the secret is right, but the clocks differ too much: {}",
                clocks.both()
            )),
            Ok(None) => Finding::Bad(
                "the module is there and does not believe this gateway: the secret is another. \
                 Compare the file that secret_path names in homeserver.yaml with Myelin's \
                 homeserver.secret_file, and restart Synapse. (A Synapse that has started within \
                 the last seconds answers so too: ask once more. With workers, the module believes \
                 in one process only: see worker_name)"
                    .to_owned(),
            ),
            Err(error) => Finding::Bad(error.to_string()),
        }
    }

    /// Whether Synapse offers the module's stage as a way to log in, which it
    /// does with every stage of a module.
    async fn offers_the_stage(&self) -> Result<bool, Error> {
        let body = self.gateway.send(Ask::get(LOGIN), None).await?.object()?;
        let flows = body.get("flows").and_then(Value::as_array);
        let is_own = |flow: &Value| flow.get("type").and_then(Value::as_str) == Some(OWN);
        Ok(flows.is_some_and(|flows| flows.iter().any(is_own)))
    }

    /// Whether a login that does not come through the gateway is refused before
    /// its password is looked at.
    pub(super) async fn examine_direct_login(&self) -> Finding {
        let answer = match self.try_directly().await {
            Ok(answer) => answer,
            Err(error) => return Finding::Bad(error.to_string()),
        };
        let (status, text) = (answer.status(), answer.text("error"));
        // The module's way to refuse is a field that only the gateway can fill.
        if status == StatusCode::BAD_REQUEST && text.contains(OWN) {
            return Finding::Good("a login that goes around Myelin is refused".to_owned());
        }
        if status == StatusCode::FORBIDDEN {
            let text = "a login that goes around Myelin is NOT refused: Synapse has looked at its \
                        password. Install the module or set its require_gateway to true, and let \
                        nobody else reach Synapse's port";
            return Finding::Bad(text.to_owned());
        }
        let (status, errcode) = (status.as_u16(), answer.text("errcode"));
        Finding::Unknown(format!(
            "whether a login that goes around Myelin is refused cannot be told: Synapse answers \
             {status} {errcode}"
        ))
    }

    /// A login as anybody could send it. The user and the password are nobody's.
    async fn try_directly(&self) -> Result<Answer, Error> {
        let random = || HEXLOWER.encode(&self.gateway.options.entropy.bytes::<16>());
        let user = MatrixUserIdentifier::new(format!("myelin-doctor-{}", random())).into();
        let body = logins::with_password(&user, &Password::new(random()))?;
        self.gateway.send(Ask::post(LOGIN, &body), None).await
    }
}
