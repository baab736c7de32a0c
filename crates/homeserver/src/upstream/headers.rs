//! Which headers cross the gateway.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::Scheme};
use ruma::api::error::ErrorKind;

use crate::{Context, Refusal};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HTTPS: HeaderValue = HeaderValue::from_static("https");
const HTTP: HeaderValue = HeaderValue::from_static("http");

/// Makes the headers of a client's request those of a request to the
/// homeserver.
///
/// `Host` stays what the client sent, so that the homeserver's links and
/// virtual hosts work as if there were no gateway.
///
/// # Errors
///
/// `400 M_UNKNOWN` for a request that two servers could read differently.
pub(super) fn prepare(
    request: &mut Request<Body>,
    scheme: &Scheme,
    context: &Context,
) -> Result<(), Refusal> {
    refuse_ambiguous(request.headers())?;
    let host = host(request.uri(), request.headers());
    let headers = request.headers_mut();
    remove_hop_by_hop(headers);
    remove(headers, is_spoofable);
    join_cookies(headers);
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(header::HOST, host);
    }
    identify(headers, scheme, context);
    Ok(())
}

/// Makes the headers those of a JSON body that was written anew, and of an
/// answer that is to be read.
pub(super) fn describe_anew(headers: &mut HeaderMap) {
    for name in
        [header::ACCEPT_ENCODING, header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::RANGE]
    {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// RFC 9113 §8.2.3: HTTP/2 may split what is one field to HTTP/1.1.
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<_> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

/// Says who asks: what Myelin knows, and nothing that a client claims.
pub(super) fn identify(headers: &mut HeaderMap, scheme: &Scheme, context: &Context) {
    let Context { address, request_id } = context;
    if let Some(address) = address
        && let Ok(value) = HeaderValue::try_from(address.to_string())
    {
        headers.insert(FORWARDED_FOR, value);
    }
    if let Ok(value) = HeaderValue::try_from(request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(FORWARDED_PROTO, if *scheme == Scheme::HTTPS { HTTPS } else { HTTP });
}

/// RFC 9112 §3.2.2 and RFC 9113 §8.3.1: what the request line names, or
/// `:authority`, goes before `Host`.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => headers.get(header::HOST).cloned(),
    }
}

/// RFC 9112 §3.2, §6.1: one host, and one way to tell where the body ends.
pub(super) fn refuse_ambiguous(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        // Removed further on, any other would leave a body in an unnamed coding.
        _ => return Err(ambiguous()),
    };
    let has_length = headers.contains_key(header::CONTENT_LENGTH);
    let hosts = headers.get_all(header::HOST).iter().take(2).count();
    if hosts > 1 || is_chunked && has_length { Err(ambiguous()) } else { Ok(()) }
}

fn ambiguous() -> Refusal {
    Refusal::bad_request(&ErrorKind::Unknown, "The request's headers contradict each other.")
}

/// Removes what is about one connection only: RFC 9110 §7.6.1, and `Expect`,
/// which the connection to the client answers itself.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    remove(headers, is_hop_by_hop);
}

/// Removes the headers whose names are such. Few are: what is there is looked
/// at, and nothing is looked for.
fn remove(headers: &mut HeaderMap, is_such: fn(&HeaderName) -> bool) {
    let names: Vec<_> = headers.keys().filter(|name| is_such(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    let names = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names
        .map(str::trim)
        // The most common, and removed anyway.
        .filter(|name| !name.eq_ignore_ascii_case("keep-alive"))
        .filter_map(|name| name.parse().ok())
        // Without these the message would end elsewhere, or be somebody else's.
        .filter(|name| ![header::CONTENT_LENGTH, header::AUTHORIZATION].contains(name))
        .collect()
}

const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// By these some servers let a proxy name the client, or another path or
/// method than the gate has seen. Only what Myelin itself says in them passes.
fn is_spoofable(name: &HeaderName) -> bool {
    let name = name.as_str();
    if name.contains('_') {
        // To a server that speaks WSGI or CGI it is the same letter.
        return is_named_spoofable(&name.replace('_', "-"));
    }
    is_named_spoofable(name)
}

fn is_named_spoofable(name: &str) -> bool {
    name.starts_with("x-forwarded")
        || matches!(
            name,
            "cf-connecting-ip"
                | "client-ip"
                | "fastly-client-ip"
                | "forwarded"
                | "true-client-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
                | "x-original-url"
                | "x-real-ip"
                | "x-request-id"
                | "x-rewrite-url"
        )
}
