//! The homeserver's own single sign-on.
//!
//! [Client-Server API, SSO client login](https://spec.matrix.org/v1.16/client-server-api/#sso-client-loginauthentication).

use http::HeaderValue;

/// An identity provider of a homeserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// What names it in an address: unreserved characters of RFC 3986 §2.3.
    pub id: String,
    /// What people call it.
    pub name: String,
}

impl IdentityProvider {
    /// An identity provider; none where the ID could be anything but one.
    pub fn new(id: &str, name: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (1..=255).contains(&id.len()) && id.bytes().all(unreserved);
        // What stands for a place in a path is no name.
        let fits = fits && !matches!(id, "." | "..");
        fits.then(|| Self { id: id.to_owned(), name: name.to_owned() })
    }
}

/// Where a browser goes to sign on.
#[derive(Clone, Debug)]
pub struct SignOn {
    /// The address.
    pub location: HeaderValue,
    /// What it is to keep meanwhile, for the homeserver.
    pub cookies: Vec<HeaderValue>,
}
