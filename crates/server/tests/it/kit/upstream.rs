//! A homeserver for a gateway to stand before: the embedded one, on a port of
//! loopback. It knows nothing of second factors that others keep.

use std::{
    fmt::{self, Debug},
    sync::{Arc, Mutex},
};

use axum::{extract::Request, middleware, middleware::Next, response::Response};
use tokio::net::TcpListener;

use super::{Kind, TestApp};

/// What becomes once of an answer on a path with this end, before anybody hears
/// of it.
type Trap = (&'static str, Box<dyn FnOnce(Response) -> Response + Send>);

/// The homeserver.
pub(crate) struct Upstream {
    pub(crate) app: TestApp,
    pub(crate) url: String,
    trap: Arc<Mutex<Option<Trap>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let app = TestApp::init(Kind::Sqlite).await.expect("SQLite is always there");
        let trap = Arc::<Mutex<Option<Trap>>>::default();
        let armed = Arc::clone(&trap);
        let spring = middleware::from_fn(move |request: Request, next: Next| {
            let path = request.uri().path().to_owned();
            let armed = Arc::clone(&armed);
            async move {
                let response = next.run(request).await;
                let is_it = |(end, _): &mut Trap| path.ends_with(*end);
                let trap = armed.lock().expect("no panic").take_if(is_it);
                match trap {
                    Some((_, trap)) => tokio::task::block_in_place(|| trap(response)),
                    None => response,
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = app.router.clone().layer(spring);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { app, url, trap }
    }

    /// Does something when the next login has been answered here.
    pub(crate) fn after_the_next_login(&self, trap: impl FnOnce() + Send + 'static) {
        self.in_place_of_the_next("/login", |response| {
            trap();
            response
        });
    }

    /// Answers something else to the next request whose path ends so, once it has
    /// been done.
    pub(crate) fn in_place_of_the_next(
        &self,
        end: &'static str,
        trap: impl FnOnce(Response) -> Response + Send + 'static,
    ) {
        *self.trap.lock().expect("no panic") = Some((end, Box::new(trap)));
    }

    /// How many devices all users have together.
    pub(crate) async fn devices(&self) -> i64 {
        self.app.database.rows("devices").await
    }
}

impl Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("url", &self.url).finish_non_exhaustive()
    }
}
