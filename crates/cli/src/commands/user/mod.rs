//! `myelin user`

mod account;
mod list;
mod reset;
mod show;

pub(super) use list::list;
pub(super) use reset::reset;
pub(super) use show::show;

/// JSON's form of a time: milliseconds since the Unix epoch.
fn millis(at: Option<myelin_ambient::Timestamp>) -> serde_json::Value {
    at.map_or(serde_json::Value::Null, |at| at.as_millis().into())
}
