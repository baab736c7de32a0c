//! The fallback pages of User-Interactive Authentication: a stage is passed
//! here for a client that does not know it.
//!
//! [Client-Server API, Fallback](https://spec.matrix.org/v1.16/client-server-api/#fallback).
//!
//! The page knows the session's name and nothing of the request that waits for
//! it, and performs nothing: the client sends that request again. What the page
//! does know, it says: whose account, and what for.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use myelin_homeserver::{Password, PasswordEvidence};
use myelin_storage::Factors;
use myelin_uia::{Binding, Session, Stage};
use ruma::api::client::uiaa::MatrixUserIdentifier;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    Problem, Visit,
    assets::Asset,
    reply::{Allow, Frame, page, page_with},
    sign_in::{self, SignIn},
    sign_on::{Link, links},
    texts::Texts,
    trouble::Trouble,
};
use crate::{
    SignOn, operation, texts,
    uia::{Evidence, Gate, Place, Purpose, Tried},
};

/// Where the page is that stands for all stages. [`sign_on`] leads back to it.
pub(super) const SSO: &str = "/_matrix/client/v3/auth/m.login.sso/fallback/web";

/// A session that a page can help along.
struct Waiting {
    session: Session,
    factors: Factors,
    /// What its request is for.
    endpoint: String,
    /// The devices that it signs out.
    devices: String,
    purpose: Purpose,
}

/// `GET` and `POST /auth/{stage}/fallback/web`
pub(super) async fn fallback(visit: &mut Visit, stage: Stage) -> Result<Response, Problem> {
    let waiting = Waiting::find(visit).await?;
    if waiting.session.completed.last() == Some(&stage) {
        return Ok(done(visit, &waiting));
    }
    let flows = waiting.gate(visit).flows(Some(&waiting.factors), &waiting.session);
    let next = waiting.session.clone().admit_elsewhere(&flows, stage, visit.app.now());
    next.map_err(|_| Problem::Over)?;
    let recovery = match stage {
        Stage::Recovery => true,
        Stage::Sso => visit.query.text("with") == "recovery",
        _ => false,
    };
    let signed_in = if stage == Stage::Sso && waiting.takes_sign_on(visit) {
        sign_in::ready(visit, &waiting.address(visit)).await?
    } else {
        None
    };
    let form = async |visit: &Visit, trouble| form(visit, stage, &waiting, recovery, trouble).await;
    let is_theirs = |sign_in: &SignIn| sign_in.factors.user == waiting.factors.user;
    let evidence = match signed_in {
        Some(other) if !is_theirs(&other) && visit.form.is_none() => {
            return Ok(form(visit, Some(Trouble::other_user(visit, &other.factors.user))).await);
        }
        Some(_) if visit.form.is_none() => return Ok(only_confirm(visit, &waiting)),
        Some(signed_in) if is_theirs(&signed_in) => {
            Evidence::SignedIn(Box::new(signed_in.spend(visit).await?))
        }
        None if visit.form.is_none() => return Ok(form(visit, None).await),
        // What was passed for it has ended meanwhile.
        _ if visit.form()?.find("signed_in").is_some() => return Err(Problem::Over),
        _ => evidence(visit, stage, &waiting, recovery)?,
    };
    let gate = waiting.gate(visit);
    let current = (waiting.session.clone(), Some(waiting.factors.clone()));
    let trouble = match gate.try_stage(current, &evidence, Place::Page).await? {
        Tried::Passed(_, epoch) => {
            if stage == Stage::Sso {
                gate.leave_grant(&waiting.session, epoch).await?;
            }
            return Ok(done(visit, &waiting));
        }
        Tried::Gone => return Err(Problem::Over),
        Tried::Again(..) if matches!(evidence, Evidence::SignedIn(_)) => return Err(Problem::Over),
        Tried::Wait(until) => Trouble::wait(visit, until),
        Tried::Again(_, texts::WRONG_PASSWORD) => Trouble::wrong_password(visit),
        Tried::Again(..) if recovery => Trouble::wrong_recovery(visit),
        Tried::Again(..) => Trouble::wrong_code(visit),
    };
    Ok(form(visit, Some(trouble)).await)
}

impl Waiting {
    /// The session that the address names, if it waits for a user's request.
    async fn find(visit: &Visit) -> Result<Self, Problem> {
        let anyone = gate(visit, Purpose::Own);
        let found = anyone.found(visit.query.text("session")).await?;
        let (session, Some(factors)) = found.ok_or(Problem::Over)? else {
            return Err(Problem::Over);
        };
        let memo = session.memo.as_deref().unwrap_or_default();
        let memo: Value = serde_json::from_str(memo).unwrap_or_default();
        let endpoint = memo.get("endpoint").and_then(Value::as_str);
        let endpoint = endpoint.ok_or(Problem::Over)?.to_owned();
        let devices = memo.get("devices").and_then(Value::as_array).into_iter().flatten();
        let devices: Vec<_> = devices.filter_map(Value::as_str).collect();
        // A sign-in on our own pages, say, is no request that waits.
        let purpose = operation::purpose_at(&visit.app, &endpoint).ok_or(Problem::Over)?;
        Ok(Self { session, factors, endpoint, devices: devices.join(", "), purpose })
    }

    fn gate<'v>(&self, visit: &'v Visit) -> Gate<'v> {
        gate(visit, self.purpose.clone())
    }

    /// Whether a sign-in can stand for its stages. Where the identity provider
    /// alone is enough, it is not to take the second factor away.
    fn takes_sign_on(&self, visit: &Visit) -> bool {
        let changes_factors = matches!(self.purpose, Purpose::Own) && self.factors.protect();
        !(changes_factors && visit.app.settings().sign_on == SignOn::Enough)
    }

    /// Where a sign-in comes back to it.
    fn address(&self, visit: &Visit) -> String {
        let mut address = visit.app.settings().public_url.clone();
        address.set_path(SSO);
        address.query_pairs_mut().append_pair("session", self.session.id.as_str());
        address.into()
    }
}

/// A gate whose stages are tried on a page: its binding is never looked at.
fn gate(visit: &Visit, purpose: Purpose) -> Gate<'_> {
    Gate {
        app: &visit.app,
        context: &visit.context,
        purpose,
        user: None,
        binding: Binding::new(None, "", "", &[], &Map::new()),
        endpoint: "auth/fallback/web",
        devices: Vec::new(),
    }
}

fn evidence(
    visit: &Visit,
    stage: Stage,
    waiting: &Waiting,
    recovery: bool,
) -> Result<Evidence, Problem> {
    let fields = visit.form()?;
    let code = Zeroizing::new(fields.text("code").to_owned());
    let code = if recovery { Evidence::Recovery(code) } else { Evidence::Totp(code) };
    if stage != Stage::Sso {
        return Ok(code);
    }
    // The session says whose password it has to be.
    let user = waiting.factors.user.to_string();
    let identifier = MatrixUserIdentifier::new(user).into();
    let password =
        PasswordEvidence { identifier, password: Password::new(fields.text("password")) };
    let code = waiting.factors.protect().then(|| Box::new(code));
    Ok(Evidence::Page { password: Box::new(password), code })
}

#[derive(Template)]
#[template(path = "fallback.html")]
struct Form<'a> {
    frame: Frame,
    trouble: Option<Trouble>,
    user: &'a str,
    operation: &'static str,
    devices: &'a str,
    password: bool,
    code: bool,
    recovery: bool,
    /// Where the other kind of code is asked for; none if there is none.
    other: Option<String>,
    providers: Vec<Link>,
}

/// The form on which all is passed already, in a sign-in that it only spends.
fn only_confirm(visit: &Visit, waiting: &Waiting) -> Response {
    let form = Form {
        frame: Frame::new(visit),
        trouble: None,
        user: waiting.factors.user.as_str(),
        operation: name(visit.texts, &waiting.endpoint),
        devices: &waiting.devices,
        password: false,
        code: false,
        recovery: false,
        other: None,
        providers: Vec::new(),
    };
    page(visit, StatusCode::OK, &form)
}

async fn form(
    visit: &Visit,
    stage: Stage,
    waiting: &Waiting,
    recovery: bool,
    trouble: Option<Trouble>,
) -> Response {
    let choice = stage == Stage::Sso && waiting.factors.recoverable();
    let with = if recovery { "" } else { "&with=recovery" };
    let other =
        choice.then(|| visit.link(&format!("?session={}{with}", waiting.session.id.as_str())));
    let providers = if stage == Stage::Sso && waiting.takes_sign_on(visit) {
        links(visit, &waiting.address(visit)).await
    } else {
        Vec::new()
    };
    let status = trouble.as_ref().map_or(StatusCode::OK, |trouble| trouble.status);
    let form = Form {
        frame: Frame::new(visit),
        user: waiting.factors.user.as_str(),
        operation: name(visit.texts, &waiting.endpoint),
        devices: &waiting.devices,
        password: stage == Stage::Sso,
        code: waiting.factors.protect(),
        recovery,
        other,
        providers,
        trouble,
    };
    page(visit, status, &form)
}

#[derive(Template)]
#[template(path = "fallback_done.html")]
struct Done {
    frame: Frame,
    operation: &'static str,
    script: String,
}

fn done(visit: &Visit, waiting: &Waiting) -> Response {
    let operation = name(visit.texts, &waiting.endpoint);
    let template = Done { frame: Frame::new(visit), operation, script: Asset::AuthDone.path() };
    page_with(visit, StatusCode::OK, &template, Allow { scripts: true, forms: false })
}

/// What an operation is called.
fn name(texts: &'static Texts, endpoint: &str) -> &'static str {
    match endpoint {
        "login" => texts.op_login,
        "account/password" => texts.op_password,
        "account/deactivate" => texts.op_deactivate,
        "account/3pid/add" | "account/3pid" => texts.op_contact,
        "devices/{deviceId}" => texts.op_device,
        "delete_devices" => texts.op_devices,
        "keys/device_signing/upload" | "org.matrix.msc3967/keys/device_signing/upload" => {
            texts.op_keys
        }
        "login/get_token" | "org.matrix.msc3882/login/token" => texts.op_token,
        "account/two-factor/totp" => texts.op_add,
        "account/two-factor/totp/{id}" => texts.op_remove,
        "account/two-factor/recovery" => texts.op_codes,
        _ => texts.op_other,
    }
}
