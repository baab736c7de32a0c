//! The pages: plain HTML for people whose client cannot ask for a second
//! factor itself, and for the account.
//!
//! They own how things are shown and typed. They refuse to know how a code is
//! verified, what may come next, or what a factor is: that is asked of the
//! gate and the store, as every other route does.
//!
//! # To add a page
//!
//! 1. A row in [`crate::routes::ROUTES`] with `Action::Page(Page::…)`; a path
//!    that begins with `/` is a path of its own, outside of the Matrix prefixes.
//! 2. A handler `async fn(visit: &mut Visit, …) -> Result<Response, Problem>`, and
//!    a line for it in [`handle`]. GET changes nothing, but where a [`sign_on`] comes
//!    back. A form has been checked when the handler gets it ([`Visit::form`]):
//!    origin, size, token.
//! 3. A template in `templates/` that extends `base.html` and has a `frame`;
//!    a form includes `csrf.html`. The engine escapes.
//! 4. Its words in `texts/*.txt`, in every language.
//! 5. `reply::page` sends it with all headers; `reply::see_other` leads on after a form.
//!    A refusal is a [`Problem`], which is a page of its own.

mod account;
mod assets;
mod cookies;
mod fallback;
mod fields;
mod problem;
mod qr;
mod reply;
mod settings;
mod sign_in;
mod sign_on;
mod target;
mod texts;
mod trouble;
mod visit;
mod when;

use axum::{extract::Request, response::Response};
use myelin_homeserver::Context;
use problem::Problem;
pub use settings::{Logo, NotALogo, PageSettings};
use visit::Visit;

use crate::{App, routes::Page, to_the_end::to_the_end};

/// Answers for a page.
pub(crate) async fn pages(app: &App, page: Page, context: Context, request: Request) -> Response {
    if page == Page::Asset {
        return assets::serve(app, request.uri().path());
    }
    let mut visit = Visit::begin(app, context, request.headers(), request.uri());
    let turns = request.extensions().get().cloned();
    if let Err(problem) = visit.read(request).await {
        return reply::problem(&visit, &problem);
    }
    let changes = visit.form.is_some() || page == Page::SignedOn;
    let answer = async move {
        let answered = handle(&mut visit, page).await;
        answered.unwrap_or_else(|problem| reply::problem(&visit, &problem))
    };
    if changes { to_the_end(turns, answer).await } else { answer.await }
}

/// The table of contents.
async fn handle(visit: &mut Visit, page: Page) -> Result<Response, Problem> {
    match page {
        // Answered without a visit.
        Page::Asset => Err(Problem::NotFound),
        Page::SignInStart => sign_in::start(visit).await,
        Page::SignInFallback => sign_in::fallback(visit).await,
        Page::SignOn => sign_on::start(visit).await,
        Page::SignedOn => sign_on::back(visit).await,
        Page::SignIn if visit.form.is_some() => sign_in::submit(visit).await,
        Page::SignIn => sign_in::show(visit).await,
        Page::Account if visit.form.is_some() => account::submit(visit).await,
        Page::Account => account::show(visit).await,
        Page::AccountChange if visit.form.is_some() => account::change(visit).await,
        Page::AccountChange => account::ask(visit).await,
        Page::Fallback(stage) => fallback::fallback(visit, stage).await,
    }
}
