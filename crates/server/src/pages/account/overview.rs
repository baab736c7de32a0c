//! What protects the account, at a glance.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use myelin_ambient::Timestamp;
use myelin_two_factor::Status;

use super::{CHANGE, PATH, SignedIn, events::Told};
use crate::{
    app_password::check_allowed,
    pages::{
        Problem, Visit,
        reply::{Frame, page},
        texts::{Texts, fill},
        when::utc,
    },
    two_factor::{check_not_last, check_room},
};

/// Events that are shown.
const EVENTS: u32 = 12;

/// So many codes left are few.
const FEW: usize = 3;

/// Something with a name that can be taken away.
struct Item {
    name: String,
    times: [String; 2],
    disabled: bool,
    rename: Option<String>,
    end: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Overview<'a> {
    frame: Frame,
    action: String,
    user: &'a str,
    protected: bool,
    authenticators: Vec<Item>,
    add: Option<String>,
    /// How many recovery codes are left, and whether that is few.
    codes: Option<(String, bool)>,
    renew: Option<String>,
    app_passwords: Vec<Item>,
    make: Option<String>,
    devices: String,
    events: Vec<Told>,
}

pub(super) async fn overview(visit: &Visit, signed_in: &SignedIn) -> Result<Response, Problem> {
    let (app, factors, t) = (&visit.app, &signed_in.factors, visit.texts);
    let events = app.store().events(&factors.user, EVENTS).await?;
    let link = |query: String| visit.link(&format!("{CHANGE}?do={query}"));
    let template = Overview {
        frame: Frame::new(visit),
        action: visit.link(PATH),
        user: factors.user.as_str(),
        protected: factors.protect(),
        authenticators: authenticators(visit, signed_in),
        add: check_room(factors).is_ok().then(|| link("add".to_owned())),
        codes: factors.codes.as_ref().map(|codes| {
            let (left, total) = (codes.unused.len(), codes.total.to_string());
            let words = [("n", left.to_string()), ("total", total)];
            let words = words.each_ref().map(|(name, value)| (*name, value.as_str()));
            (fill(t.codes_left, &words), left <= FEW)
        }),
        renew: factors.active().next().map(|_| link("codes".to_owned())),
        app_passwords: app_passwords(visit, signed_in).await?,
        make: check_allowed(app).is_ok().then(|| link("app-password".to_owned())),
        devices: link("devices".to_owned()),
        events: events.iter().map(|event| Told::new(t, event)).collect(),
    };
    Ok(page(visit, StatusCode::OK, &template))
}

fn authenticators(visit: &Visit, SignedIn { factors, .. }: &SignedIn) -> Vec<Item> {
    let removable = check_not_last(&visit.app, factors).is_ok();
    let shown = factors.authenticators.iter().filter(|one| one.status != Status::Pending);
    let item = |one: &myelin_storage::Enrolled| {
        let link = |what| visit.link(&format!("{CHANGE}?do={what}&id={}", one.id));
        Item {
            name: one.name.to_string(),
            times: times(visit.texts, one.created, one.last_used),
            disabled: one.status == Status::Disabled,
            rename: Some(link("rename")),
            end: removable.then(|| link("remove")),
        }
    };
    shown.map(item).collect()
}

async fn app_passwords(visit: &Visit, signed_in: &SignedIn) -> Result<Vec<Item>, Problem> {
    let all = visit.app.store().app_passwords(&signed_in.factors.user).await?;
    let item = |one: &myelin_storage::ListedAppPassword| Item {
        name: one.name.to_string(),
        times: times(visit.texts, one.created, one.last_used),
        disabled: false,
        rename: None,
        end: Some(visit.link(&format!("{CHANGE}?do=revoke&id={}", one.id))),
    };
    Ok(all.iter().map(item).collect())
}

fn times(t: &'static Texts, created: Timestamp, used: Option<Timestamp>) -> [String; 2] {
    let made = fill(t.made_at, &[("time", &utc(created))]);
    let used = match used {
        Some(used) => fill(t.used_at, &[("time", &utc(used))]),
        None => t.never_used.to_owned(),
    };
    [made, used]
}
