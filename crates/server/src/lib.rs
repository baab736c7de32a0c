//! The server: router, gate, routes.
//!
//! A request's way, file by file: [`router`](router()) finds its route in
//! [`routes`], `call` reads it, `uia::gate` asks the flow engine which stage
//! may come, a stage (`uia::totp`) decides and the store commits, the
//! homeserver performs the operation, and the response goes back.
//!
//! It joins the engine, the second-factor domain, the store and the
//! homeserver; it refuses to know how any of them works inside.

mod answer_in_time;
mod app;
mod app_password;
mod asked_device;
mod call;
mod capabilities;
mod client_stream;
mod cors;
mod elsewhere;
mod error;
mod health;
mod login;
mod login_token;
mod mint;
mod observe;
mod operation;
mod pages;
mod paths;
mod policy;
mod refused;
mod relay;
mod router;
pub mod routes;
mod serve;
mod settings;
mod texts;
mod to_the_end;
mod two_factor;
mod uia;
mod unread;
mod well_known;
mod whole;
mod workers;
mod wrong_passwords;

pub use app::App;
pub use pages::{Logo, NotALogo, PageSettings};
pub use policy::{Policy, UserPattern};
pub use router::router;
pub use serve::{serve, sweep};
pub use settings::{NativeLogin, Settings, SignOn};
pub use workers::Workers;
