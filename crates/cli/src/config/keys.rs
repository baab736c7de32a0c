//! The one list of settings.

use super::key::key;
pub(super) use super::key::{Default, Key, Kind};
use Default::{Depends, Is};
use Kind::{List, Number, Path, Switch, Text};

/// What stands above a section.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("database", "Where accounts, factors, sessions and the audit log are kept."),
    ("keys", "The keys that encrypt authenticators' secrets and recovery codes at rest."),
    ("homeserver", "What is behind the gate."),
    ("registration", "Who may register."),
    ("policy", "Who has to have a second factor."),
    ("login", "How people sign in."),
    ("pages", "The sign-in page, the confirmation pages and the account page."),
    ("totp", "The codes of authenticator apps. The defaults are what every app supports."),
    ("app_passwords", "Passwords that let a program log in without a second factor."),
    ("sessions", "Authentication in progress: between the password and the code."),
    ("limits", "What a request may take."),
    ("proxy", "Reverse proxies in front of Myelin."),
    ("log", "The log goes to standard error. It never holds a secret, at any level."),
];

/// The list, in the order in which `config init` prints it.
pub(super) const KEYS: &[Key] = &[
    key(
        "server_name",
        "MYELIN_SERVER_NAME",
        Text,
        Is(r#""localhost""#),
        "The part after the colon of the users' IDs: @alice:localhost. It cannot be\n\
         changed once there are users.",
    ),
    key(
        "listen",
        "MYELIN_LISTEN",
        List,
        Is(r#"["127.0.0.1:8008"]"#),
        "Addresses and ports to answer HTTP on. TLS is a reverse proxy's work.",
    ),
    key(
        "public_url",
        "MYELIN_PUBLIC_URL",
        Text,
        Depends("http://localhost and its port", r#""https://matrix.example.org""#),
        "Where clients reach Myelin: every link is made from it.",
    ),
    key(
        "data_dir",
        "MYELIN_DATA_DIR",
        Path,
        Depends("$XDG_DATA_HOME/myelin, or else ~/.local/share/myelin", r#""/var/lib/myelin""#),
        "The directory of the SQLite database and of the key file. It is made at the\n\
         first start, for its owner alone (mode 700).",
    ),
    Key {
        instead_of: Some("database.url_file"),
        ..key(
            "database.url",
            "MYELIN_DATABASE_URL",
            Text,
            Depends("SQLite in data_dir", r#""postgres://myelin@db.example.org/myelin""#),
            "`sqlite:<path>` or `postgres://<user>[:<password>]@<host>/<database>`.",
        )
    },
    Key {
        instead_of: Some("database.url"),
        ..key(
            "database.url_file",
            "MYELIN_DATABASE_URL_FILE",
            Path,
            Depends("none", r#""database-url""#),
            "A file that holds the address instead, where it has a password in it.",
        )
    },
    key(
        "database.connections",
        "MYELIN_DATABASE_CONNECTIONS",
        Number,
        Is("16"),
        "Connections to PostgreSQL at most, 1 to 1000. To SQLite there are two.",
    ),
    key(
        "database.migrate",
        "MYELIN_DATABASE_MIGRATE",
        Switch,
        Is("true"),
        "Whether `serve` brings the schema up to date by itself. If not: `myelin migrate`.",
    ),
    key(
        "keys.file",
        "MYELIN_KEYS_FILE",
        Path,
        Depends("`keys` in data_dir", r#""keys""#),
        "Only its owner may read it (mode 600). Keep a copy somewhere safe: without it\n\
         nobody who has a second factor can log in. Machines that share a database need\n\
         the same file: make it with `myelin key generate` before the first start.",
    ),
    key(
        "homeserver.kind",
        "MYELIN_HOMESERVER_KIND",
        Text,
        Is(r#""embedded""#),
        "\"embedded\": accounts, devices and passwords in Myelin's own database.\n\
         \"synapse\": a Synapse with the module of `synapse-module/`.\n\
         \"generic\": any homeserver, as it is.",
    ),
    key(
        "homeserver.url",
        "MYELIN_HOMESERVER_URL",
        Text,
        Depends("none", r#""http://127.0.0.1:8009""#),
        "Where that homeserver answers. Nobody but Myelin should reach it there.",
    ),
    key(
        "homeserver.secret_file",
        "MYELIN_HOMESERVER_SECRET_FILE",
        Path,
        Depends("none", r#""synapse-secret""#),
        "For \"synapse\": the file of the secret that is shared with the module, at least\n\
         32 bytes, readable by its owner alone (mode 600).",
    ),
    key(
        "homeserver.pass",
        "MYELIN_HOMESERVER_PASS",
        List,
        Is("[]"),
        "What is let through although it leads around the second factor: \"admin\" (the\n\
         homeserver's administration), \"qr_login\" (login by QR code).",
    ),
    key(
        "homeserver.sso",
        "MYELIN_HOMESERVER_SSO",
        Text,
        Is(r#""refuse""#),
        "For \"synapse\": what its own OpenID Connect is worth. \"refuse\": it is not offered.\n\
         \"first_factor\": as much as the password; a second factor comes after it.\n\
         \"pass\": as much as both factors; no code is asked for after it.",
    ),
    key(
        "homeserver.access_token_lifetime",
        "MYELIN_HOMESERVER_ACCESS_TOKEN_LIFETIME",
        Text,
        Is(r#""5m""#),
        "For \"embedded\": how long an access token lives for a client that can refresh it:\n\
         s, m, h or d, from 10s to 365d. Other clients' tokens live until they log out.",
    ),
    key(
        "registration.mode",
        "MYELIN_REGISTRATION_MODE",
        Text,
        Depends(
            "\"open\" while every `listen` is on loopback and no proxy is trusted, else \"closed\"",
            r#""closed""#,
        ),
        "For \"embedded\". \"open\": anyone. \"token\": whoever has a registration token. \"closed\": nobody.",
    ),
    key(
        "registration.tokens_file",
        "MYELIN_REGISTRATION_TOKENS_FILE",
        Path,
        Depends("none", r#""registration-tokens""#),
        "A file with the tokens for \"token\", one a line.",
    ),
    key(
        "policy.required_for",
        "MYELIN_POLICY_REQUIRED_FOR",
        List,
        Is("[]"),
        "Users who have to have a second factor, by patterns of their whole ID such as\n\
         \"@*:example.org\"; `*` stands for any text, `?` for one character.",
    ),
    key(
        "policy.exempt",
        "MYELIN_POLICY_EXEMPT",
        List,
        Is("[]"),
        "Users of whom none is required, in the same form. This wins.",
    ),
    key(
        "login.native",
        "MYELIN_LOGIN_NATIVE",
        Text,
        Is(r#""everyone""#),
        "Who can log in with a password in the client: \"everyone\",\n\
         \"without_second_factor\" (the others sign in on the page), \"nobody\".",
    ),
    key(
        "pages.title",
        "MYELIN_PAGES_TITLE",
        Text,
        Depends("totp.issuer", r#""Example""#),
        "The name at the head of every page.",
    ),
    key(
        "pages.logo",
        "MYELIN_PAGES_LOGO",
        Path,
        Depends("none", r#""logo.svg""#),
        "A picture beside the name: PNG, JPEG, WebP or SVG, up to 12 KiB.",
    ),
    key(
        "pages.known_clients",
        "MYELIN_PAGES_KNOWN_CLIENTS",
        List,
        Is("[]"),
        "Web clients to which the sign-in page leads back without asking: \"https://…\".",
    ),
    key(
        "totp.issuer",
        "MYELIN_TOTP_ISSUER",
        Text,
        Depends("the server's name, without a port", r#""Example""#),
        "The name that authenticator apps show above a code. No colon.",
    ),
    key(
        "totp.digits",
        "MYELIN_TOTP_DIGITS",
        Number,
        Is("6"),
        "Digits of a code, 6 to 8. Authenticators that were set up with another number\n\
         no longer work.",
    ),
    key(
        "totp.period",
        "MYELIN_TOTP_PERIOD",
        Text,
        Is(r#""30s""#),
        "How long a code is shown, 15s to 120s. Authenticators that were set up with\n\
         another period no longer work.",
    ),
    key(
        "totp.window",
        "MYELIN_TOTP_WINDOW",
        Number,
        Is("1"),
        "Periods that a clock may be wrong, either way, 0 to 2. Each makes guessing easier.",
    ),
    key(
        "app_passwords.allowed",
        "MYELIN_APP_PASSWORDS_ALLOWED",
        Switch,
        Is("true"),
        "Whether users can make passwords for programs that know no second factor (bots,\n\
         old clients). `false` also refuses the logins of those that were made before.",
    ),
    key(
        "sessions.lifetime",
        "MYELIN_SESSIONS_LIFETIME",
        Text,
        Is(r#""10m""#),
        "How long there is to finish, 10s to 1d.",
    ),
    key(
        "sessions.login_token_lifetime",
        "MYELIN_SESSIONS_LOGIN_TOKEN_LIFETIME",
        Text,
        Is(r#""2m""#),
        "How long a token for logging in on another device can be used, 10s to 1h.",
    ),
    key(
        "sessions.sign_in_token_lifetime",
        "MYELIN_SESSIONS_SIGN_IN_TOKEN_LIFETIME",
        Text,
        Is(r#""30s""#),
        "How long a client has to log in with what the sign-in page gives it, 5s to 5m.",
    ),
    key(
        "sessions.per_address",
        "MYELIN_SESSIONS_PER_ADDRESS",
        Number,
        Is("32"),
        "Open sessions of one user from one address, at least 1. Beyond it the oldest of\n\
         these goes. An IPv6 /64 counts as one address.",
    ),
    key(
        "sessions.per_user",
        "MYELIN_SESSIONS_PER_USER",
        Number,
        Is("128"),
        "Open sessions of one user from all addresses, at least sessions.per_address.\n\
         Beyond it one goes from the address that has the most.",
    ),
    key(
        "limits.body",
        "MYELIN_LIMITS_BODY",
        Number,
        Is("131072"),
        "The largest body of a request that Myelin answers itself, in bytes, 4096 to 16777216.",
    ),
    key(
        "limits.body_timeout",
        "MYELIN_LIMITS_BODY_TIMEOUT",
        Text,
        Is(r#""30s""#),
        "How long such a body may take to arrive, 1s to 10m.",
    ),
    key(
        "limits.wrong_passwords",
        "MYELIN_LIMITS_WRONG_PASSWORDS",
        Number,
        Is("120"),
        "Wrong passwords that one address may try in a minute, 1 to 100000. An IPv6 /64\n\
         counts as one address. The homeserver's own limits stand behind it.",
    ),
    key(
        "proxy.trusted",
        "MYELIN_PROXY_TRUSTED",
        List,
        Is("[]"),
        "Addresses or networks, such as \"10.0.0.0/8\", whose X-Forwarded-For is believed.\n\
         Behind a proxy that is missing here all clients count as one address.",
    ),
    key(
        "log.level",
        "MYELIN_LOG",
        Text,
        Is(r#""info""#),
        "\"error\", \"warn\", \"info\", \"debug\" or \"trace\".",
    ),
    key(
        "log.format",
        "MYELIN_LOG_FORMAT",
        Text,
        Is(r#""human""#),
        "\"human\", or \"json\": one object a line.",
    ),
];

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_named_after_its_key() {
        for key in KEYS {
            let name = key.path.replace('.', "_").to_uppercase();
            let expected = match key.path {
                "log.level" => "MYELIN_LOG".to_owned(),
                _ => format!("MYELIN_{name}"),
            };
            assert_eq!(key.variable, expected);
        }
    }

    #[test]
    fn every_section_is_introduced_once_and_in_order() {
        let mut sections: Vec<_> =
            KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0)).collect();
        sections.dedup();
        let introduced: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(sections, introduced);
    }
}
