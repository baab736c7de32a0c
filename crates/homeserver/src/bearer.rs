//! Where a request carries its access token.

use http::{HeaderMap, HeaderValue, Uri, header};
use url::form_urlencoded;

use crate::{AccessToken, Refusal};

/// The access token of a request, from `Authorization: Bearer` or from the
/// deprecated `?access_token=`.
///
/// [Client-Server API, Using access tokens](https://spec.matrix.org/v1.16/client-server-api/#using-access-tokens)
///
/// # Errors
///
/// `401 M_MISSING_TOKEN` if there is none, or more than one: then a gate and
/// the homeserver behind it could each believe in another one. That is so, too,
/// where only who takes `;` for a separator finds another, as Twisted does.
pub fn access_token(headers: &HeaderMap, uri: &Uri) -> Result<AccessToken, Refusal> {
    let several = || Refusal::missing_token("There is more than one access token.");
    let [in_query, in_query_elsewhere] = READINGS.map(|separators| in_query(uri, separators));
    if in_query != in_query_elsewhere {
        return Err(several());
    }
    let mut tokens = headers
        .get_all(header::AUTHORIZATION)
        .into_iter()
        .map(bearer)
        .chain(in_query.into_iter().map(Some));
    match (tokens.next(), tokens.next()) {
        (Some(Some(token)), None) if !token.is_empty() => Ok(AccessToken::new(token)),
        (_, Some(_)) => Err(several()),
        _ => Err(Refusal::missing_token("There is no access token.")),
    }
}

/// Whether a request has anything in a place for an access token.
pub fn has_access_token(headers: &HeaderMap, uri: &Uri) -> bool {
    headers.contains_key(header::AUTHORIZATION)
        || READINGS.iter().any(|separators| !in_query(uri, separators).is_empty())
}

/// What separates the pairs of a query: to us, and to some homeservers.
const READINGS: [&[char]; 2] = [&['&'], &['&', ';']];

fn bearer(value: &HeaderValue) -> Option<String> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn in_query(uri: &Uri, separators: &[char]) -> Vec<String> {
    let pairs = uri.query().unwrap_or_default().split(separators);
    let pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    pairs.filter(|(key, _)| key == "access_token").map(|(_, value)| value.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn find(headers: &[&str], uri: &str) -> Result<String, Refusal> {
        let headers = headers
            .iter()
            .map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .collect();
        access_token(&headers, &uri.parse().unwrap()).map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_token_is_found_in_the_header_and_in_the_query() {
        assert_eq!(find(&["Bearer abc"], "/x").unwrap(), "abc");
        assert_eq!(find(&["bearer abc"], "/x?y=1").unwrap(), "abc");
        assert_eq!(find(&[], "/x?y=1&access_token=a%2Bc").unwrap(), "a+c");
        assert_eq!(find(&[], "/x?access%5ftoken=abc").unwrap(), "abc");
    }

    #[test]
    fn no_token_is_missing_token() {
        for (headers, uri) in [
            (&[][..], "/x"),
            (&["Bearer"], "/x"),
            (&["Bearer "], "/x"),
            (&["Basic abc"], "/x"),
            (&[], "/x?access_token="),
            (&[], "/x?ACCESS_TOKEN=abc"),
        ] {
            let refusal = find(headers, uri).unwrap_err();
            assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
            assert_eq!(refusal.errcode, "M_MISSING_TOKEN");
        }
    }

    #[test]
    fn whatever_could_be_a_token_is_one() {
        let has = |value: Option<&'static str>, uri: &'static str| {
            let value = value.map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value)));
            has_access_token(&value.into_iter().collect(), &Uri::from_static(uri))
        };
        assert!(has(Some("Bearer abc"), "/x") && has(Some("Basic"), "/x") && has(Some(""), "/x"));
        assert!(has(None, "/x?access_token=") && has(None, "/x?y=1&access%5ftoken=abc"));
        assert!(has(None, "/x?y;access_token=abc"));
        assert!(!has(None, "/x?y=access_token"));
    }

    #[test]
    fn two_tokens_are_refused_even_if_they_are_equal() {
        for (headers, uri) in [
            (&["Bearer a"][..], "/x?access_token=b"),
            (&["Bearer a"], "/x?access_token=a"),
            (&["Bearer a", "Bearer b"], "/x"),
            (&["Basic a"], "/x?access_token=b"),
            (&[], "/x?access_token=a&access_token=b"),
            (&[], "/x?y=1;access_token=a&access_token=b"),
            (&[], "/x?access_token=b&y=1;access_token=a"),
            (&[], "/x?y=1;access_token=a"),
            (&[], "/x?access_token=a;b"),
            (&["Bearer a"], "/x?y;access%5Ftoken=b"),
        ] {
            assert_eq!(find(headers, uri).unwrap_err().errcode, "M_MISSING_TOKEN");
        }
    }
}
