//! Which paths never reach the homeserver.
//!
//! A path is compared in its most lenient reading, so that no spelling of it
//! gets through. What stands here is refused with `404 M_UNRECOGNIZED`, like any
//! path that does not exist.

use http::Method;

use crate::{
    paths::{lenient, parameters},
    routes::{CLIENT_API, REFUSED, REFUSED_CLIENT_API, ROUTES, Refused, Switch},
};

/// Whether a path that is not one of ours is kept from the homeserver.
/// `is_open` says what the administrator lets through.
pub(crate) fn is_refused(
    method: &Method,
    raw_path: &str,
    is_open: impl Fn(Switch) -> bool,
) -> bool {
    let Some(path) = lenient(raw_path) else { return true };
    let is_off = |refused: &&Refused| !refused.unless.is_some_and(&is_open);
    let is_among = |table: &'static [Refused], path| {
        table.iter().filter(is_off).any(|refused| is_under(path, refused.path))
    };
    match path.strip_prefix(CLIENT_API) {
        Some(rest) => is_among(&REFUSED_CLIENT_API, rest) || is_under_unknown_prefix(method, rest),
        None => is_among(&REFUSED, &path),
    }
}

/// Whether `path` is `place` or below it; `*` stands for one segment.
fn is_under(path: &str, place: &str) -> bool {
    let mut rest = path.as_bytes();
    for expected in place.bytes() {
        if expected == b'*' {
            let end = rest.iter().position(|byte| *byte == b'/');
            rest = &rest[end.unwrap_or(rest.len())..];
        } else if let Some((_, after)) = rest.split_first().filter(|(byte, _)| **byte == expected) {
            rest = after;
        } else {
            return false;
        }
    }
    rest.first().is_none_or(|byte| *byte == b'/')
}

/// Whether this is a gated endpoint below a prefix that is not in the table: a
/// homeserver may answer there tomorrow.
fn is_under_unknown_prefix(method: &Method, rest: &str) -> bool {
    // One segment (`v4`), or two below `unstable` (`unstable/org.example`).
    let mut ends = rest.match_indices('/').map(|(at, _)| at);
    let one = ends.next();
    let two = ends.next().filter(|_| rest.starts_with("unstable/"));
    one.into_iter().chain(two).any(|end| {
        let endpoint = &rest[end + 1..];
        ROUTES.iter().any(|route| {
            route.action.is_gated()
                && route.method == *method
                && parameters(route.endpoint, endpoint).is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> bool {
        is_refused(&Method::POST, path, |_| false)
    }

    #[test]
    fn ways_around_the_gate_are_refused_in_every_spelling() {
        for path in [
            "/_synapse/admin/v1/register",
            "/_SYNAPSE/Admin/v1/register",
            "/_synapse/%61dmin/v1/register",
            "/_synapse//admin/v1/register",
            "/x/../_synapse/admin",
            "/_synapse/client/saml2/authn_response/..;/..;/x",
            "/_synapse/client/saml2/authn_response/%252e%252e/x",
            "/_synapse/admin/v1/send_server_notice/a%2f..%2f..%2f..%2f..%2f..%2fx",
            "/_synapse/admin/v2/users/@a%2f..%2f..%2f..%2f..%2f..%2fx:example.org",
            "/_synapse/admin/..\\..\\x",
            "/_synapse/client/myelin/mint",
            "/_tuwunel/oidc/authorize",
            "/_matrix/client/v1/auth_metadata",
            "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
            "/_matrix/client/unstable/org.matrix.msc4108/rendezvous",
            "/_matrix/client/v3/login/sso/redirect/oidc",
            "/_matrix/static/client/login/",
        ] {
            assert!(refused(path), "{path}");
        }
    }

    /// One that stands in the other table, or with the prefix in the second,
    /// would refuse nothing.
    #[test]
    fn every_line_of_the_tables_refuses_until_it_is_switched_off() {
        let below = REFUSED_CLIENT_API.iter().map(|refused| (CLIENT_API, refused));
        for (prefix, line) in REFUSED.iter().map(|refused| ("", refused)).chain(below) {
            let path = format!("{prefix}{}", line.path.replace('*', "v3"));
            assert!(refused(&path) && refused(&format!("{path}/below")), "{path}");
            let off = is_refused(&Method::POST, &path, |_| true);
            assert_eq!(off, line.unless.is_none(), "{path}");
        }
    }

    #[test]
    fn what_leads_to_no_account_is_not_refused() {
        for path in [
            "/_matrix/client/v3/sync",
            "/_matrix/client/v3/rooms/!x:example.org/send/m.room.message/1",
            "/_matrix/federation/v1/send/1",
            "/_matrix/media/v3/upload",
            "/_synapse/client/password_reset/email/submit_token",
            "/_synapse/administrator",
        ] {
            assert!(!refused(path), "{path}");
        }
    }

    #[test]
    fn a_gated_endpoint_below_an_unknown_prefix_is_refused() {
        for path in [
            "/_matrix/client/v4/login",
            "/_matrix/client/r1/delete_devices",
            "/_matrix/client/unstable/org.example/keys/device_signing/upload",
            "/_matrix/client/V4/Login",
        ] {
            assert!(refused(path), "{path}");
            assert!(!is_refused(&Method::GET, path, |_| false), "{path}");
        }
    }

    #[test]
    fn a_switch_lets_through_what_it_names_and_nothing_else() {
        let post = |path, open| is_refused(&Method::POST, path, |switch| switch == open);
        assert!(!post("/_synapse/admin/v1/users", Switch::Admin));
        assert!(post("/_matrix/client/v1/rendezvous", Switch::Admin));
        assert!(is_refused(&Method::POST, "/_synapse/client/myelin/mint", |_| true));
        // What begins a sign-on is a page of ours, however open its way is.
        assert!(!post("/_synapse/client/oidc/callback", Switch::SignOn));
        for path in [
            "/_matrix/client/v3/login/sso/redirect/",
            "/_matrix/client/v3/login/cas/redirect",
            "/_matrix/client/r0/login/cas/ticket",
            "/_matrix/client/api/v1/login/cas/redirect",
            "/_synapse/client/saml2/authn_response",
            "/_synapse/client/pick_idp",
            "/_synapse/admin/v1/users",
        ] {
            assert!(post(path, Switch::SignOn), "{path}");
        }
    }
}
