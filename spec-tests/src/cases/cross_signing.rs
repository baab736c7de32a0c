//! Uploading cross-signing keys: silent at first, gated then.

use serde_json::{Value, json};

use crate::{
    case::{Check, Row},
    fixture::{Operation, Proof, Target, User},
    random,
};

pub(super) const CASES: &[Row] = &[
    (
        "gate.device-signing.first-upload-is-silent",
        "The first upload of cross-signing keys asks for nothing.",
        first_upload_is_silent,
    ),
    (
        "gate.device-signing.identical-upload-is-silent",
        "An identical upload asks for nothing.",
        identical_upload_is_silent,
    ),
    (
        "gate.device-signing.replacing-is-gated-under-every-prefix",
        "Replacing the keys asks for the second factor, under every prefix.",
        replacing_is_gated,
    ),
    (
        "gate.device-signing.replacing-works-with-both-factors",
        "Replacing the keys works once both factors are passed.",
        replacing_works,
    ),
];

/// An upload of a fresh master key.
fn upload(user: &User, prefix: &str) -> Operation {
    let key = random::key();
    let mut keys = serde_json::Map::new();
    keys.insert(format!("ed25519:{key}"), Value::from(key));
    let master = json!({"user_id": user.id, "usage": ["master"], "keys": keys});
    let endpoint = format!("/_matrix/client/{prefix}/keys/device_signing/upload");
    Operation::new("POST", endpoint, json!({"master_key": master}))
}

fn first_upload_is_silent(target: &Target) -> Check {
    let (alice, bob) = (target.plain()?, target.guarded()?);
    for user in [&alice, &bob] {
        user.ask(&upload(user, "v3"))?.status(200)?.holds("", &json!({}))?;
    }
    Ok(())
}

fn identical_upload_is_silent(target: &Target) -> Check {
    let alice = target.plain()?;
    let first = upload(&alice, "v3");
    alice.ask(&first)?.status(200)?;
    alice.ask(&first)?.status(200)?;
    Ok(())
}

fn replacing_is_gated(target: &Target) -> Check {
    let alice = target.guarded()?;
    alice.ask(&upload(&alice, "v3"))?.status(200)?;
    for prefix in ["r0", "v3", "unstable"] {
        let reply = alice.ask(&upload(&alice, prefix))?;
        let held = reply.challenge()?.always_asks_for_a_factor();
        reply.demand(held, "a second factor in every native flow")?;
    }
    Ok(())
}

fn replacing_works(target: &Target) -> Check {
    let alice = target.guarded()?;
    alice.ask(&upload(&alice, "v3"))?.status(200)?;
    let second = upload(&alice, "v3");
    alice.perform(&second, Proof::Totp)?.status(200)?;
    // It was stored: the same keys again ask for nothing.
    alice.ask(&second)?.status(200)?;
    Ok(())
}
