//! The cookies of the pages: what the browser sent, and what it is to keep.

use std::fmt;

use http::{HeaderMap, HeaderValue, header};
use url::Url;

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// A random value that ties forms to the browser that got them.
    Visit,
    /// The session of a sign-in that is under way.
    SignIn,
    /// A random value that a single sign-on brings back to the browser that left.
    SignOn,
    /// The session of somebody who is signed in to the account page.
    Account,
}

impl Cookie {
    pub(super) const ALL: [Self; 4] = [Self::Visit, Self::SignIn, Self::SignOn, Self::Account];

    const fn name(self) -> &'static str {
        match self {
            Self::Visit => "myelin-visit",
            Self::SignIn => "myelin-sign-in",
            Self::SignOn => "myelin-sign-on",
            Self::Account => "myelin-account",
        }
    }

    /// `Lax` where it has to be there when another page leads here.
    const fn same_site(self) -> &'static str {
        match self {
            Self::Visit | Self::SignIn | Self::SignOn | Self::Account => "Lax",
        }
    }
}

/// The cookies as they are in the browser once it has our answer.
pub(crate) struct Jar {
    secure: bool,
    values: [Option<String>; Cookie::ALL.len()],
    changed: [bool; Cookie::ALL.len()],
}

/// Longer than any value of ours.
const LONGEST: usize = 64;

impl Jar {
    /// The cookies of a request. `public_url` says how the browser got here:
    /// over https they are `__Host-` cookies, which no other host and no
    /// network can set. Browsers differ in whether they keep those of a
    /// `http://localhost`, so over http they have their plain names.
    pub(crate) fn read(headers: &HeaderMap, public_url: &Url) -> Self {
        let secure = public_url.scheme() == "https";
        let values = Cookie::ALL.map(|cookie| sent(headers, &full_name(cookie, secure)));
        Self { secure, values, changed: [false; Cookie::ALL.len()] }
    }

    /// The value of a cookie.
    pub(crate) fn value(&self, cookie: Cookie) -> Option<&str> {
        self.values[cookie as usize].as_deref()
    }

    /// Gives the browser a cookie, until it is closed; `None` takes it away.
    pub(crate) fn set(&mut self, cookie: Cookie, value: Option<String>) {
        self.values[cookie as usize] = value;
        self.changed[cookie as usize] = true;
    }

    /// The `Set-Cookie` headers of the answer.
    pub(crate) fn headers(&self) -> impl Iterator<Item = HeaderValue> {
        let changed = Cookie::ALL.into_iter().filter(|cookie| self.changed[*cookie as usize]);
        changed.filter_map(|cookie| {
            let name = full_name(cookie, self.secure);
            let value = self.value(cookie).unwrap_or_default();
            let secure = if self.secure { "; Secure" } else { "" };
            let gone = if self.value(cookie).is_none() { "; Max-Age=0" } else { "" };
            let same_site = cookie.same_site();
            let text =
                format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{gone}");
            HeaderValue::from_str(&text).ok()
        })
    }
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secure, values: _, changed } = self;
        f.debug_struct("Jar")
            .field("secure", secure)
            .field("changed", changed)
            .finish_non_exhaustive()
    }
}

fn full_name(cookie: Cookie, secure: bool) -> String {
    format!("{}{}", if secure { "__Host-" } else { "" }, cookie.name())
}

/// The value of a cookie that was sent once, and that can be one of ours.
fn sent(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(known, _)| known.trim() == name).map(|(_, value)| value.trim());
    let value = values.next()?;
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    // Of two with one name, somebody else may have set either.
    let ours = values.next().is_none() && value.len() <= LONGEST && value.bytes().all(is_ours);
    (ours && !value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(public_url: &str, cookies: &'static str) -> Jar {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static(cookies));
        Jar::read(&headers, &public_url.parse().unwrap())
    }

    #[test]
    fn over_https_only_a_host_cookie_is_believed() {
        let sent = "myelin-visit=evil; __Host-myelin-visit=good";
        assert_eq!(jar("https://example.org", sent).value(Cookie::Visit), Some("good"));
        assert_eq!(jar("http://localhost:8008", sent).value(Cookie::Visit), Some("evil"));
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_not_believed() {
        let twice = "__Host-myelin-visit=a; __Host-myelin-visit=b";
        assert_eq!(jar("https://example.org", twice).value(Cookie::Visit), None);
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_not_for_scripts() {
        let mut jar = jar("https://example.org", "");
        jar.set(Cookie::SignIn, Some("abc".to_owned()));
        let set: Vec<_> = jar.headers().collect();
        let expected = "__Host-myelin-sign-in=abc; Path=/; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(set, [expected]);
        jar.set(Cookie::SignIn, None);
        let set: Vec<_> = jar.headers().collect();
        assert!(set[0].to_str().unwrap().ends_with("; Secure; Max-Age=0"));
    }
}
