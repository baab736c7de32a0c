//! What a server says of itself.

use serde_json::json;

use crate::{
    case::{Check, Row},
    fixture::Target,
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "discovery.capability",
        "GET /capabilities has m.two_factor with enabled and both providers.",
        capability,
    ),
    (
        "discovery.capability-under-every-prefix",
        "The capability is the same under every version prefix.",
        under_every_prefix,
    ),
    (
        "discovery.status-under-every-prefix",
        "The two-factor status is the same under every version prefix.",
        status_under_every_prefix,
    ),
];

fn capability(target: &Target) -> Check {
    let reply = target.shared_plain()?.get("/capabilities")?;
    let expected = json!({"enabled": true, "providers": [stage::TOTP, stage::RECOVERY]});
    reply.status(200)?.holds("/capabilities/m.two_factor", &expected)?;
    Ok(())
}

fn under_every_prefix(target: &Target) -> Check {
    same_under_every_prefix(target, "capabilities", "/capabilities/m.two_factor")
}

fn status_under_every_prefix(target: &Target) -> Check {
    same_under_every_prefix(target, "account/two-factor", "/providers")
}

fn same_under_every_prefix(target: &Target, endpoint: &str, pointer: &str) -> Check {
    let user = target.shared_plain()?;
    let of = |prefix: &str| user.get(&format!("/_matrix/client/{prefix}/{endpoint}"));
    let expected = of("v3")?;
    let expected = expected.status(200)?.json.pointer(pointer);
    for prefix in ["r0", "unstable"] {
        let reply = of(prefix)?;
        let same = reply.status(200)?.json.pointer(pointer) == expected;
        reply.demand(same, "what stands under v3")?;
    }
    Ok(())
}
