//! The table of contents: where each request goes.

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use myelin_homeserver::{Context, Refusal};
use ruma::api::error::ErrorKind;

use crate::{
    App,
    call::Call,
    capabilities, cors,
    error::Error,
    health, login,
    observe::observe,
    operation, pages,
    paths::{self, Way},
    refused::is_refused,
    routes::{Action, Route},
    to_the_end::{Turns, to_the_end},
    two_factor,
    unread::unread,
    well_known,
};

/// The whole server as a service.
pub fn router(app: App) -> Router {
    Router::new()
        .fallback(|State(app), request| async move { entry(&app, request).await })
        .with_state(app)
}

/// Answers a request.
pub(crate) async fn entry(app: &App, request: Request) -> Response {
    unread(request, async |request| found(app, request).await).await
}

/// Its way is found once, from what the client sent.
async fn found(app: &App, request: Request) -> Response {
    let way = paths::find(request.method(), request.uri().path());
    let endpoint = match &way {
        Way::Route(route, _) => route.endpoint,
        Way::Forward => "forwarded",
        Way::Refuse | Way::WrongMethod => "refused",
    };
    observe(app, endpoint, request, async |request, context| match way {
        // Before anything that is for programs: no other origin reads a page.
        Way::Route(Route { action: Action::Page(page), .. }, _) if app.settings().has_pages => {
            // Boxed, as all that is not forwarded: see [`dispatch`].
            Box::pin(pages::pages(app, *page, context, request)).await
        }
        _ if request.method() == Method::OPTIONS => cors::preflight(),
        way => {
            let mut response = dispatch(app, way, context, request).await;
            cors::allow(response.headers_mut());
            response
        }
    })
    .await
}

/// What we answer ourselves is boxed: a connection has room for the longest of
/// all ways, and moves it twice for each request.
async fn dispatch(app: &App, way: Way, context: Context, request: Request) -> Response {
    match way {
        Way::Forward if is_own(request.uri().path()) => Box::pin(own(app, &context, request)).await,
        // Without pages of ours, theirs are paths like any other.
        Way::Forward | Way::Route(Route { action: Action::Page(_), .. }, _) => {
            forward(app, request, &context).await
        }
        Way::Refuse => Refusal::unrecognized().into_response(),
        Way::WrongMethod => wrong_method(),
        Way::Route(Route { action: Action::Capabilities, .. }, _) => {
            Box::pin(capabilities::capabilities(app, &context, request)).await
        }
        Way::Route(route, parameters) => {
            let answer = Box::pin(async move {
                let turns = request.extensions().get().cloned();
                let call = Call::read(app, context, route, parameters, request).await?;
                answer(app, call, turns).await
            });
            let mut response = answer.await.unwrap_or_else(IntoResponse::into_response);
            // Sessions, codes, secrets, tokens: nothing of ours is for a cache.
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
            response
        }
    }
}

/// Paths outside of the client-server API that no homeserver answers.
fn is_own(path: &str) -> bool {
    matches!(path, HEALTH | READY | well_known::PATH)
}

async fn own(app: &App, context: &Context, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return wrong_method();
    }
    match request.uri().path() {
        HEALTH => health::health(),
        READY => health::ready(app).await,
        _ => well_known::well_known(app, context, request).await,
    }
}

const HEALTH: &str = "/health";
const READY: &str = "/ready";

fn wrong_method() -> Response {
    let message = "This path has no such method.";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Refusal::new(status, &ErrorKind::Unrecognized, message).into_response()
}

async fn forward(app: &App, request: Request, context: &Context) -> Response {
    if is_refused(request.method(), request.uri().path(), |switch| app.opens(switch)) {
        return Refusal::unrecognized().into_response();
    }
    app.homeserver().forward(request, context).await
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn answer(app: &App, call: Call, turns: Option<Turns>) -> Result<Response, Error> {
    match call.route.action {
        Action::LoginTypes => login::types(app, &call).await,
        Action::Login => {
            let app = app.clone();
            to_the_end(turns, async move { login::log_in(&app, call).await }).await
        }
        Action::Protected(operation) => operation::run(app, call, operation, turns).await,
        Action::LoginToken => operation::login_token(app, call).await,
        Action::Status => two_factor::status(app, call).await,
        Action::Begin => two_factor::begin(app, call).await,
        Action::Confirm => two_factor::confirm(app, call).await,
        Action::Rename => two_factor::rename(app, call).await,
        Action::Remove => two_factor::remove(app, call).await,
        Action::Regenerate => two_factor::regenerate(app, call).await,
        Action::AppPasswords => two_factor::app_passwords::list(app, call).await,
        Action::CreateAppPassword => two_factor::app_passwords::create(app, call).await,
        Action::RevokeAppPassword => two_factor::app_passwords::revoke(app, call).await,
        // Answered before, by whom has the whole request.
        Action::Capabilities | Action::Page(_) => Err(Refusal::unrecognized().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F: Future>(_: fn(&'static App, Request) -> F) -> usize {
        size_of::<F>()
    }

    /// Each open connection holds it, and each request moves it twice.
    #[test]
    fn a_request_takes_little_room_before_its_way_is_known() {
        let size = size_of_future(entry);
        assert!(size < 5 * 1024, "{size} bytes");
    }
}
