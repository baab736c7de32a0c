//! Where a client wants a person to be led back to after signing in.
//!
//! Whoever gets there gets a login token. So the address is parsed, what could
//! be more than an address is refused, and where it leads is shown to the
//! person before the token is made, unless the administrator knows the place.

use url::{Host, Url, form_urlencoded};

use super::PageSettings;

/// A redirect URL that may be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(Url);

/// Longer than what any client sends, in bytes.
const LONGEST: usize = 2048;

/// The query parameter that carries the token.
const PARAMETER: &str = "loginToken";

/// Schemes that run code, read files, or start more than a Matrix client.
const DANGEROUS: [&str; 22] = [
    "about",
    "android-app",
    "blob",
    "chrome",
    "content",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "javascript",
    "mailto",
    "moz-extension",
    "resource",
    "search-ms",
    "shell",
    "ssh",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The beginnings of the names of a system's own schemes.
const SYSTEM: [&str; 4] = ["ms-", "x-apple", "chrome-", "microsoft-"];

impl Target {
    /// Reads a redirect URL; none if it may not be followed.
    pub(crate) fn parse(text: &str, settings: &PageSettings) -> Option<Self> {
        // What the parser would silently drop or repair is no address.
        if text.len() > LONGEST || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let scheme = url.scheme();
        let dangerous = DANGEROUS.contains(&scheme)
            || SYSTEM.iter().any(|beginning| scheme.starts_with(beginning));
        // `https://bank.example@evil.example` leads to another place than it seems.
        let disguised = !url.username().is_empty() || url.password().is_some();
        let allowed = match scheme {
            "https" => true,
            // The token would travel in the clear.
            "http" => is_loopback(&url) || settings.knows(&url),
            _ => !dangerous,
        };
        (allowed && !disguised).then(|| Self(without_token(url)))
    }

    /// Whether people are sent there without being asked.
    pub(crate) fn is_known(&self, settings: &PageSettings) -> bool {
        settings.knows(&self.0)
    }

    /// The address, as it was understood.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, with its port, of a web address; none for an app on this device.
    pub(crate) fn website(&self) -> Option<String> {
        let is_web = matches!(self.0.scheme(), "https" | "http") && !is_loopback(&self.0);
        let origin = self.0.origin().ascii_serialization();
        is_web.then(|| origin.split_once("://").map_or("", |(_, host)| host).to_owned())
    }

    /// What names an app on this device: its scheme, or its local address.
    pub(crate) fn app(&self) -> String {
        match self.0.scheme() {
            "http" | "https" => self.0.origin().ascii_serialization(),
            scheme => format!("{scheme}:"),
        }
    }

    /// The address with a login token.
    pub(crate) fn with_token(&self, token: &str) -> String {
        let mut url = self.0.clone();
        let query = url.query().map_or_else(String::new, |query| format!("{query}&"));
        url.set_query(Some(&format!("{query}{PARAMETER}={token}")));
        url.into()
    }
}

/// Drops an old token; all else of the query stays as it was sent.
fn without_token(mut url: Url) -> Url {
    let is_token = |pair: &&str| {
        let mut parsed = form_urlencoded::parse(pair.as_bytes());
        parsed.next().is_some_and(|(name, _)| name == PARAMETER)
    };
    let query = url.query().unwrap_or_default();
    let kept: Vec<_> =
        query.split('&').filter(|pair| !pair.is_empty() && !is_token(pair)).collect();
    let query = kept.join("&");
    url.set_query((!query.is_empty()).then_some(&query));
    url
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PageSettings {
        let known = ["https://chat.example.org", "http://intranet.example:8080"];
        let known_clients = known.map(|url| url.parse::<Url>().unwrap().origin()).into();
        PageSettings { known_clients, ..PageSettings::default() }
    }

    fn parse(text: &str) -> Option<Target> {
        Target::parse(text, &settings())
    }

    #[test]
    fn what_is_more_than_an_address_is_refused() {
        for text in [
            "",
            "/relative",
            "//evil.example/",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            " javascript:alert(1)",
            "\u{1}javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "blob:https://example.org/x",
            "file:///etc/passwd",
            "filesystem:https://example.org/x",
            "view-source:https://example.org",
            "about:blank",
            "intent://x#Intent;scheme=evil;end",
            "ms-msdt:/id",
            "ws://example.org/",
            "http://evil.example/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "https://chat.example.org@evil.example/",
            "https://chat.example.org:x@evil.example/",
            "https://",
            "https:///",
            "https://a b/",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let long = format!("https://example.org/{}", "x".repeat(LONGEST));
        assert_eq!(parse(&long), None);
    }

    #[test]
    fn only_a_configured_origin_is_known() {
        for (text, known) in [
            ("https://chat.example.org/", true),
            ("https://chat.example.org:443/x?y#z", true),
            ("https://CHAT.example.org/", true),
            ("http://intranet.example:8080/", true),
            ("https://chat.example.org.evil.example/", false),
            ("https://chat.example.org:8443/", false),
            ("https://evil.example/?https://chat.example.org", false),
            ("https://evil.example\\@chat.example.org/", false),
            ("https://evil.example#@chat.example.org/", false),
            ("http://localhost:8080/sso", false),
            ("http://127.0.0.1:1/", false),
            ("http://[::1]:1/", false),
            ("element://connect", false),
            ("im.fluffychat://login", false),
        ] {
            let target = parse(text).unwrap_or_else(|| panic!("{text} is refused"));
            assert_eq!(target.is_known(&settings()), known, "{text}");
        }
    }

    #[test]
    fn a_lookalike_is_shown_as_what_it_is() {
        let target = parse("https://ch\u{0430}t.example.org/").unwrap();
        assert_eq!(target.website().as_deref(), Some("xn--cht-7cd.example.org"));
        assert_eq!(parse("https://evil.example\\@x/").unwrap().website().unwrap(), "evil.example");
        let app = parse("element://connect").unwrap();
        assert_eq!((app.website(), app.app()), (None, "element:".to_owned()));
        let local = parse("http://localhost:9/sso").unwrap();
        assert_eq!((local.website(), local.app()), (None, "http://localhost:9".to_owned()));
    }

    #[test]
    fn the_query_stays_and_an_old_token_goes() {
        for (text, expected) in [
            ("element://connect", "element://connect?loginToken=T"),
            ("app:/x?loginToken=a&b=%20c", "app:/x?b=%20c&loginToken=T"),
            ("https://a.example/?x=1&x=2", "https://a.example/?x=1&x=2&loginToken=T"),
            ("https://a.example/?login%54oken=a&y", "https://a.example/?y&loginToken=T"),
            ("https://a.example/?loginToken=a#/f", "https://a.example/?loginToken=T#/f"),
            ("http://localhost:9/sso?", "http://localhost:9/sso?loginToken=T"),
        ] {
            assert_eq!(parse(text).unwrap().with_token("T"), expected, "{text}");
        }
    }
}
