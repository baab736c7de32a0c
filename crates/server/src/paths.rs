//! Which route a request takes: by its method and its raw path.
//!
//! The path is never normalised and then trusted. A path that would only be
//! one of ours in another reading (`//`, `%2f`, dot segments, `;`, other case,
//! a trailing slash) is refused: it could pass the gate here and reach the
//! operation at a homeserver that reads it differently.

use std::borrow::Cow;

use http::Method;

use crate::routes::{PASSED, PREFIXES, ROUTES, Route};

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Way {
    /// To this route, with the path's parameters, percent-decoded.
    Route(&'static Route, Vec<String>),
    /// To the homeserver.
    Forward,
    /// Nowhere: a path of ours, and a method that it does not have.
    WrongMethod,
    /// Nowhere: another form of a path of ours.
    Refuse,
}

/// Finds the way of a request.
pub(crate) fn find(method: &Method, raw_path: &str) -> Way {
    let Some(matches) = matching(raw_path) else {
        let way = lenient(raw_path).filter(|plain| !is_disguise(plain, raw_path));
        return way.map_or(Way::Refuse, |_| Way::Forward);
    };
    let endpoints: Vec<_> = matches.iter().map(|(route, _)| route.endpoint).collect();
    for (route, parameters) in matches {
        if route.method == *method {
            let decoded: Option<Vec<_>> = parameters.into_iter().map(decode_once).collect();
            // A parameter that is no UTF-8 names nothing.
            return decoded.map_or(Way::Refuse, |parameters| Way::Route(route, parameters));
        }
    }
    // A homeserver may read more into a path of ours than we do, so only what
    // is known to be harmless is passed on.
    let passes = |endpoint| PASSED.iter().any(|(passed, at)| passed == method && *at == endpoint);
    if endpoints.into_iter().any(passes) { Way::Forward } else { Way::WrongMethod }
}

/// The routes of any method whose path this is, literally.
fn matching(raw_path: &str) -> Option<Vec<(&'static Route, Vec<&str>)>> {
    let relative = PREFIXES.iter().find_map(|prefix| raw_path.strip_prefix(prefix));
    // A whole path is none where it follows a prefix.
    let endpoint = relative.filter(|rest| !rest.starts_with('/')).unwrap_or(raw_path);
    let matches: Vec<_> = ROUTES
        .iter()
        .filter_map(|route| Some((route, parameters(route.endpoint, endpoint)?)))
        .collect();
    (!matches.is_empty()).then_some(matches)
}

/// The parameters with which `template` reads as `path`.
pub(crate) fn parameters<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
    // Most are another from the first letter on.
    if !template.starts_with('{') && template.as_bytes().first() != path.as_bytes().first() {
        return None;
    }
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for expected in template.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            if segment.is_empty() || segment == "." || segment == ".." {
                return None;
            }
            parameters.push(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(parameters)
}

/// Whether a path of ours is written in another way.
fn is_disguise(plain: &str, raw_path: &str) -> bool {
    plain != raw_path && matching(plain).is_some()
}

/// The most lenient reading of a path that any server is known to do. None where
/// some go back by a `..` in it, and others do not: no reading of such a path is
/// everybody's.
pub(crate) fn lenient(raw_path: &str) -> Option<Cow<'_, str>> {
    if is_plain(raw_path) { Some(raw_path.into()) } else { leniently(raw_path).map(Cow::from) }
}

/// Whether a path reads the same to everybody: small letters, digits, and what
/// means nothing special; no segment is empty or begins with a dot.
fn is_plain(path: &str) -> bool {
    let mut before = None;
    let is_plain = path.bytes().all(|byte| {
        let after = before.replace(byte);
        match byte {
            b'/' | b'.' => after != Some(b'/'),
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'!' | b'$' | b':' | b'@' => true,
            _ => false,
        }
    });
    is_plain && path.starts_with('/') && !path.ends_with('/')
}

fn leniently(raw_path: &str) -> Option<String> {
    let mut path = raw_path.to_owned();
    // `%252f` is `/` to whoever decodes twice.
    for _ in 0..3 {
        let bytes = percent_decode(&path);
        path = String::from_utf8_lossy(&bytes).into_owned();
    }
    let path = path.replace('\\', "/").to_lowercase();
    let mut segments = Vec::new();
    for segment in path.split('/') {
        // `;…` is a parameter of the segment to some servers.
        let segment = segment.split(';').next().unwrap_or_default().trim();
        match segment {
            "" | "." => {}
            ".." => return None,
            segment => segments.push(segment.trim_end_matches('\0')),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// Decodes a segment once; none if that is not UTF-8.
fn decode_once(segment: &str) -> Option<String> {
    String::from_utf8(percent_decode(segment)).ok()
}

fn percent_decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_route(method: &Method, path: &str) -> bool {
        matches!(find(method, path), Way::Route(..))
    }

    #[test]
    fn every_prefix_leads_to_the_same_route() {
        for prefix in PREFIXES {
            for route in &ROUTES {
                let endpoint = route.endpoint.replace("{deviceId}", "ABC").replace("{id}", "t_x");
                let prefix = if endpoint.starts_with('/') { "" } else { prefix };
                let path = format!("{prefix}{endpoint}");
                let Way::Route(found, _) = find(&route.method, &path) else {
                    panic!("{} {path} has no route", route.method);
                };
                assert_eq!(found.action, route.action, "{path}");
            }
        }
    }

    #[test]
    fn parameters_are_decoded_once() {
        let Way::Route(_, parameters) = find(&Method::DELETE, "/_matrix/client/v3/devices/A%252FB")
        else {
            panic!("no route");
        };
        assert_eq!(parameters, ["A%2FB"]);
    }

    #[test]
    fn other_forms_of_a_gated_path_go_nowhere() {
        for path in [
            "/_matrix/client/v3/login/",
            "//_matrix/client/v3/login",
            "/_matrix/client/v3//login",
            "/_matrix/client/v3/%6cogin",
            "/_matrix/client/v3%2flogin",
            "/_matrix/client/v3%252flogin",
            "/_matrix/client/v3/./login",
            "/_matrix/client/v3/x/../login",
            "/_matrix/client/v3/x/%2e%2e/login",
            "/_matrix/client/v3/login;a=b",
            "/_matrix/client/v3;a/login",
            "/_matrix/client/V3/login",
            "/_matrix/client/v3/LOGIN",
            "/_matrix/client/v3/login%20",
            "/_matrix/client/v3/login%00",
            "/_matrix\\client\\v3\\login",
            "/_matrix/client/v3/delete_devices/",
            "/_matrix/client/v3/account/Password",
            "/_matrix/client/v3/devices/ABC/",
            "/_matrix/client/v3//devices/ABC",
            "/_matrix/client/v3/account/two-factor/",
            "/account/assets//x",
            "/account/assets/x/",
            "/Account/assets/x",
        ] {
            assert!(matches!(find(&Method::POST, path), Way::Refuse), "{path} is not refused");
        }
    }

    #[test]
    fn a_plain_path_reads_the_same_to_the_most_lenient() {
        let pieces =
            ["/", "//", ".", "..", "a", "B", "v3", "!x:y", "%2e", "%", ";", "\\", " ", "é", "~$@"];
        let mut plain = 0;
        for number in 0..pieces.len().pow(5) {
            let path: String =
                (0..5).map(|at| pieces[number / pieces.len().pow(at) % pieces.len()]).collect();
            if is_plain(&path) {
                plain += 1;
                assert_eq!(leniently(&path).as_deref(), Some(path.as_str()));
            }
        }
        assert!(plain > 1000, "{plain}");
    }

    #[test]
    fn another_method_of_a_path_of_ours_goes_nowhere() {
        for (method, path) in [
            (Method::PUT, "login"),
            (Method::GET, "register"),
            (Method::POST, "devices/ABC"),
            (Method::HEAD, "account/password"),
            (Method::PATCH, "account/two-factor"),
        ] {
            let path = format!("/_matrix/client/v3/{path}");
            assert!(matches!(find(&method, &path), Way::WrongMethod), "{method} {path}");
        }
    }

    #[test]
    fn everything_else_goes_to_the_homeserver() {
        for path in [
            "/",
            "/_matrix/client/versions",
            "/_matrix/client/v3/sync",
            "/_matrix/client/v3/devices",
            "/_matrix/client/v3//account/assets/x",
        ] {
            assert!(matches!(find(&Method::GET, path), Way::Forward), "{path}");
        }
        for (method, endpoint) in &PASSED {
            let path = format!("/_matrix/client/v3/{}", endpoint.replace("{deviceId}", "ABC"));
            assert!(matches!(find(method, &path), Way::Forward), "{method} {path}");
        }
        assert!(!is_route(&Method::POST, "/_matrix/client/v3/devices/.."));
    }
}
