//! The table of contents: where each request goes.

use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, Method, StatusCode, header};
use myelin_homeserver::{Context, Refusal};
use ruma::api::error::ErrorKind;
use tower_http::cors::{Any, CorsLayer};

use crate::{
    App,
    call::Call,
    capabilities,
    error::Error,
    health, login, observe, operation, pages,
    paths::{self, Way},
    refused::is_refused,
    routes::{Action, Route},
    two_factor, unread, well_known,
};

/// The whole server as a service.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route(well_known::PATH, get(well_known::well_known))
        .fallback(dispatch)
        .layer(cors())
        .layer(middleware::from_fn_with_state(app.clone(), pages::pages))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .layer(middleware::from_fn(unread::unread))
        .with_state(app)
}

async fn dispatch(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Response {
    match paths::find(request.method(), request.uri().path()) {
        // Without pages of ours, theirs are paths like any other.
        Way::Forward | Way::Route(Route { action: Action::Page(_), .. }, _) => {
            forward(&app, request, &context).await
        }
        Way::Refuse => Refusal::unrecognized().into_response(),
        Way::WrongMethod => {
            let message = "This path has no such method.";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Refusal::new(status, &ErrorKind::Unrecognized, message).into_response()
        }
        Way::Route(route, _) if route.action == Action::Capabilities => {
            capabilities::capabilities(&app, &context, request).await
        }
        Way::Route(route, parameters) => {
            let mut response = match Call::read(&app, context, route, parameters, request).await {
                Ok(call) => answer(&app, call).await.unwrap_or_else(IntoResponse::into_response),
                Err(error) => error.into_response(),
            };
            // Sessions, codes, secrets, tokens: nothing of ours is for a cache.
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
            response
        }
    }
}

async fn forward(app: &App, request: Request, context: &Context) -> Response {
    if is_refused(request.method(), request.uri().path(), &app.settings().passed) {
        return Refusal::unrecognized().into_response();
    }
    app.homeserver().forward(request, context).await
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn answer(app: &App, call: Call) -> Result<Response, Error> {
    match call.route.action {
        Action::LoginTypes => login::types(app, &call).await,
        Action::Login => login::log_in(app, call).await,
        Action::Protected(operation) => operation::run(app, call, operation).await,
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

/// [Client-Server API, Web Browser Clients](https://spec.matrix.org/v1.16/client-server-api/#web-browser-clients)
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS])
        .allow_headers([
            header::HeaderName::from_static("x-requested-with"),
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
        ])
        .expose_headers([header::RETRY_AFTER])
}
