//! A change to the account: what it is, the page that asks for it, and the
//! proof before it.

use askama::Template;
use axum::response::Response;
use myelin_homeserver::Refusal;
use myelin_two_factor::{Name, Status};

use super::{CHANGE, PATH, SignedIn, kept, perform, proof, set_up, sign_in_first, status};
use crate::{
    App,
    pages::{
        Problem, Visit,
        reply::{Frame, page},
        sign_on::{Link, links},
        texts::Texts,
        trouble::Trouble,
    },
    texts,
    two_factor::{app_passwords, check_not_last, check_room, named},
};

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Add,
    Rename,
    Remove,
    Codes,
    AppPassword,
    Revoke,
    Devices,
}

impl What {
    const ALL: [Self; 7] = [
        Self::Add,
        Self::Rename,
        Self::Remove,
        Self::Codes,
        Self::AppPassword,
        Self::Revoke,
        Self::Devices,
    ];

    /// As it stands in forms and addresses.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Codes => "codes",
            Self::AppPassword => "app-password",
            Self::Revoke => "revoke",
            Self::Devices => "devices",
        }
    }

    /// Whether it takes a name.
    const fn names(self) -> bool {
        matches!(self, Self::Add | Self::Rename | Self::AppPassword)
    }

    /// Whether something is lost by it.
    const fn is_grave(self) -> bool {
        matches!(self, Self::Remove | Self::Revoke | Self::Devices | Self::Codes)
    }

    /// The heading, what happens, and the button.
    const fn words(self, t: &'static Texts) -> [&'static str; 3] {
        match self {
            Self::Add => [t.add_title, t.add_text, t.add_button],
            Self::Rename => [t.rename_title, t.rename_text, t.rename_button],
            Self::Remove => [t.remove_title, t.remove_text, t.remove_button],
            Self::Codes => [t.renew_title, t.renew_text, t.renew_button],
            Self::AppPassword => [t.app_title, t.app_text, t.app_button],
            Self::Revoke => [t.revoke_title, t.revoke_text, t.revoke_button],
            Self::Devices => [t.devices_title, t.devices_text, t.devices_button],
        }
    }
}

/// One change that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) what: What,
    /// What is to be changed; empty where there is nothing yet.
    pub(super) id: String,
    /// What that is called.
    pub(super) subject: String,
    /// Whether the proof is a recovery code.
    pub(super) recovery: bool,
}

/// `GET /account/change`: asks for the proof.
pub(in super::super) async fn ask(visit: &mut Visit) -> Result<Response, Problem> {
    let Some(signed_in) = SignedIn::find(visit).await? else { return Ok(sign_in_first(visit)) };
    let query = &visit.query;
    let asked = (query.text("do"), query.text("id"), query.text("with"));
    let change = Change::find(visit, &signed_in, asked).await?;
    form(visit, &signed_in, &change, None).await
}

/// `POST /account/change`: performs it, with proof.
pub(in super::super) async fn change(visit: &mut Visit) -> Result<Response, Problem> {
    let Some(signed_in) = SignedIn::find(visit).await? else { return Ok(sign_in_first(visit)) };
    let fields = visit.form()?;
    match fields.text("do") {
        "confirm" => return set_up::confirm(visit, signed_in).await,
        "saved" => return kept::saved(visit, &signed_in),
        "download" => return kept::download(visit, &signed_in),
        _ => {}
    }
    let asked = (fields.text("do"), fields.text("id"), fields.text("with"));
    let change = Change::find(visit, &signed_in, asked).await?;
    // Before any proof: what cannot be done costs nobody a code.
    let typed = change.what.names().then(|| fields.text("name").trim());
    let Ok(name) = Name::parse(typed) else {
        return form(visit, &signed_in, &change, Some(Trouble::bad_name(visit))).await;
    };
    match proof::prove(visit, &signed_in, &change).await? {
        Ok(proved) => perform::perform(visit, &signed_in, &change, name, proved).await,
        Err(trouble) => form(visit, &signed_in, &change, Some(trouble)).await,
    }
}

impl Change {
    /// Reads what is asked for; refuses what could not be done with proof either.
    async fn find(
        visit: &Visit,
        SignedIn { factors, .. }: &SignedIn,
        (what, id, with): (&str, &str, &str),
    ) -> Result<Self, Problem> {
        let what = What::ALL.into_iter().find(|known| known.name() == what);
        let what = what.ok_or(Problem::NotFound)?;
        let app = &visit.app;
        let mut subject = String::new();
        match what {
            What::Add => check_room(factors)?,
            What::Rename | What::Remove => {
                let authenticator = named(id, factors)?;
                if authenticator.status == Status::Pending {
                    return Err(Problem::NotFound);
                }
                if what == What::Remove {
                    check_not_last(app, factors)?;
                }
                subject = authenticator.name.to_string();
            }
            What::Codes if factors.active().next().is_none() => return Err(Problem::NotFound),
            What::AppPassword => app_passwords::check_room(app, &factors.user).await?,
            What::Revoke => {
                let all = app.store().app_passwords(&factors.user).await?;
                let one = all.into_iter().find(|one| one.id.as_str() == id);
                let one = one.ok_or_else(|| Refusal::not_found(texts::NO_SUCH_APP_PASSWORD))?;
                subject = one.name.to_string();
            }
            What::Codes | What::Devices => {}
        }
        let recovery = with == "recovery" && factors.recoverable();
        Ok(Self { what, id: id.to_owned(), subject, recovery })
    }

    /// Whether it takes the password beside the code: what a homeserver does
    /// only for the password, no code alone can ask of it.
    pub(super) fn takes_password(&self, app: &App) -> bool {
        self.what == What::Devices && !app.homeserver().mints()
    }

    /// Where a sign-in comes back to it.
    pub(super) fn sign_in_address(&self, app: &App) -> String {
        let address = app.settings().public_url.join(&self.address(false));
        address.map(String::from).unwrap_or_default()
    }

    /// Where it is asked for.
    fn address(&self, recovery: bool) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("do", self.what.name());
        if !self.id.is_empty() {
            query.append_pair("id", &self.id);
        }
        if recovery {
            query.append_pair("with", "recovery");
        }
        format!("{CHANGE}?{}", query.finish())
    }
}

#[derive(Template)]
#[template(path = "account_change.html")]
struct Form<'a> {
    frame: Frame,
    action: String,
    back: String,
    trouble: Option<Trouble>,
    change: &'a Change,
    user: &'a str,
    title: &'static str,
    text: &'static str,
    button: &'static str,
    name: String,
    protected: bool,
    password: bool,
    /// Whether a sign-in for it stands for the password.
    signed_in: bool,
    /// Where the other kind of code is asked for; none if there is none.
    other: Option<String>,
    providers: Vec<Link>,
}

async fn form(
    visit: &Visit,
    signed_in: &SignedIn,
    change: &Change,
    trouble: Option<Trouble>,
) -> Result<Response, Problem> {
    let factors = &signed_in.factors;
    let is_signed_in = proof::sign_in(visit, signed_in, change).await?.is_some();
    let providers = if factors.protect() || is_signed_in {
        Vec::new()
    } else {
        links(visit, &change.sign_in_address(&visit.app)).await
    };
    let [title, text, button] = change.what.words(visit.texts);
    let typed = visit.form.as_ref().map(|form| form.text("name"));
    let old = if change.what == What::Rename { change.subject.as_str() } else { "" };
    let template = Form {
        frame: Frame::new(visit),
        action: visit.link(CHANGE),
        back: visit.link(PATH),
        change,
        user: factors.user.as_str(),
        title,
        text,
        button,
        name: typed.unwrap_or(old).to_owned(),
        protected: factors.protect(),
        signed_in: is_signed_in,
        password: !factors.protect() && !is_signed_in || change.takes_password(&visit.app),
        other: factors.recoverable().then(|| visit.link(&change.address(!change.recovery))),
        providers,
        trouble,
    };
    Ok(page(visit, status(template.trouble.as_ref()), &template))
}
