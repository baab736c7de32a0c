//! A whole life of an account with the log at its most talkative: none of the
//! secrets, codes, passwords, tokens and session names is in it.

use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD, HEXLOWER, HEXUPPER};
use myelin_testing::{TestDatabase, on_postgres};
use serde_json::{Value, json};

use crate::support::{Account, Answer, Home, Server, request};

const PASSWORD: &str = "correct-horse-battery";
const NEW_PASSWORD: &str = "staple-of-another-kind";
const WRONG_PASSWORD: &str = "nearly-the-password";
const WRONG_RECOVERY: &str = "AAAA-BBBB-CCCC-DDDD";
const WRONG_TOKEN: &str = "mya_a-token-that-nobody-has";

#[test]
fn the_log_for_people_holds_no_secret() {
    holds_no_secret("human", None);
}

#[test]
fn the_log_for_programs_holds_no_secret() {
    holds_no_secret("json", None);
}

#[test]
fn the_log_holds_no_secret_on_postgres() {
    for format in ["human", "json"] {
        let name = "the_log_holds_no_secret_on_postgres";
        on_postgres(name, async |database: &TestDatabase| {
            holds_no_secret(format, Some(database.url()));
        });
    }
}

#[test]
fn a_code_is_found_where_it_stands_by_itself() {
    assert!(holds("a wrong code token=\"123456\"", "123456"));
    assert!(!holds("at 2026-01-01T00:00:00.123456Z", "123456"));
    assert!(forms("ABCD-EFGH-JKMN-PQRS").contains(&"abcdefghjkmnpqrs".to_owned()));
}

#[test]
fn the_conformance_suite_leaves_no_secret_in_the_log() {
    let home = Home::new();
    let server = Server::start(&home, &[("MYELIN_LOG", "trace")]);
    let options = spec_tests::Options::new(format!("http://{}", server.address));
    let report = spec_tests::run(&options).expect("the suite runs");
    assert!(report.verdicts.len() > 250, "not the whole suite: {}", report.verdicts.len());

    let (_, out, log) = server.stop("-TERM");
    assert!(log.lines().count() > report.verdicts.len(), "the log is not talkative");
    for line in out.lines().chain(log.lines()) {
        let is_part = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
        let secret = line.split(is_part).find(|word| looks_secret(word));
        assert!(secret.is_none(), "{} is in the log: {line}", secret.unwrap_or_default());
    }
}

/// Whether a word has the form of a secret that the suite uses or is given: a
/// token, a password of its users, an authenticator's secret in base32 or
/// hexadecimal, a session's name, a recovery code with or without hyphens. Six
/// digits prove nothing, times have them too: see [`holds_no_secret`].
fn looks_secret(word: &str) -> bool {
    let is_token = ["mya_", "myr_", "myl_", "Pw-"].iter().any(|start| word.starts_with(start));
    let all = |test: fn(&u8) -> bool| word.bytes().all(|byte| test(&byte));
    let any = |test: fn(&u8) -> bool| word.bytes().any(|byte| test(&byte));
    let is_long = word.len() == 32;
    let is_base32 = is_long && all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(b));
    let is_lower_base32 = is_long
        && all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(b))
        && any(|b| (b'g'..=b'z').contains(b));
    let is_hex = word.len() == 40 && all(u8::is_ascii_hexdigit);
    let is_session = is_long && any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    let groups: Vec<_> = word.split('-').collect();
    let is_recovery = groups.len() == 4 && groups.iter().all(|group| group.len() == 4);
    let is_bare_recovery = word.len() == 16
        && all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && any(u8::is_ascii_uppercase);
    let is_code = is_recovery || is_bare_recovery;
    is_token || is_base32 || is_lower_base32 || is_hex || is_session || is_code
}

/// Lives a life and looks for everything in it, on SQLite or at this address.
fn holds_no_secret(format: &str, database: Option<&str>) {
    let home = Home::new();
    let mut variables = vec![("MYELIN_LOG", "trace"), ("MYELIN_LOG_FORMAT", format)];
    variables.extend(database.map(|url| ("MYELIN_DATABASE_URL", url)));
    let server = Server::start(&home, &variables);
    let mut life = Life::begin(&server);
    life.log_in(&server);
    life.fail(&server);
    life.tokens(&server);
    life.change(&server);
    life.end(&server);
    let key = std::fs::read_to_string(home.data().join("keys")).unwrap();
    life.secrets.extend(key.split_whitespace().skip(1).map(str::to_owned));

    let (_, out, log) = server.stop("-TERM");
    for request_id in &life.request_ids {
        assert!(log.contains(request_id.as_str()), "every request is in the log: {request_id}");
    }
    assert!(life.secrets.len() > 20, "the life was too short: {}", life.secrets.len());
    for secret in &life.secrets {
        assert!(secret.len() >= 6, "too short to be told from other text: {secret}");
        for text in [&out, &log] {
            let leak = text.lines().find(|line| holds(line, secret));
            assert!(leak.is_none(), "`{secret}` is in the log: {}", leak.unwrap_or_default());
        }
    }
}

/// Whether a line holds the secret. A code is six digits, which times and IDs
/// hold by chance: it counts only where it stands by itself.
fn holds(line: &str, secret: &str) -> bool {
    if secret.len() > 6 {
        return line.contains(secret);
    }
    line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == secret)
}

/// A recovery code as it is shown, and as it may be typed.
fn forms(code: &str) -> [String; 4] {
    let bare = code.replace('-', "");
    [code.to_owned(), code.to_lowercase(), bare.to_lowercase(), bare]
}

/// An account, and everything that must not be seen.
struct Life {
    account: Account,
    secrets: Vec<String>,
    request_ids: Vec<String>,
}

impl Life {
    /// Registers and sets up an authenticator.
    fn begin(server: &Server) -> Self {
        let account = Account::with_factor(server, "alice", PASSWORD);
        let bytes = BASE32_NOPAD.decode(account.secret.as_bytes()).unwrap();
        let mut secrets: Vec<_> =
            [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, WRONG_TOKEN].map(str::to_owned).to_vec();
        secrets.extend(forms(WRONG_RECOVERY));
        secrets.extend([
            account.secret.clone(),
            account.secret.to_lowercase(),
            account.first_code.clone(),
            account.token.clone(),
        ]);
        secrets.extend([
            HEXLOWER.encode(&bytes),
            HEXUPPER.encode(&bytes),
            BASE64.encode(&bytes),
            BASE64_NOPAD.encode(&bytes),
        ]);
        secrets.push(format!("{bytes:?}"));
        let mut life = Self { account, secrets, request_ids: Vec::new() };
        life.keep_codes();
        life
    }

    /// Logs in with a code, tries it again, and logs in with a recovery code.
    fn log_in(&mut self, server: &Server) {
        let (session, code) = (self.account.begin_login(server), self.account.code());
        self.secrets.push(code.clone());
        let answer = Account::finish_login(server, &session, "m.login.2fa.totp", &code);
        self.expect(200, &answer);
        self.secrets.extend([answer.text("access_token"), answer.text("refresh_token")]);
        let refresh = json!({"refresh_token": answer.text("refresh_token")});
        let answer = server.post("refresh", None, &refresh);
        self.expect(200, &answer);
        self.secrets.extend([answer.text("access_token"), answer.text("refresh_token")]);
        // The use of a new token ends the old one.
        let next = json!({"refresh_token": answer.text("refresh_token")});
        let answer = server.post("refresh", None, &next);
        self.expect(200, &answer);
        self.secrets.extend([answer.text("access_token"), answer.text("refresh_token")]);
        self.expect(401, &server.post("refresh", None, &refresh));

        let session = self.account.begin_login(server);
        let again = Account::finish_login(server, &session, "m.login.2fa.totp", &code);
        self.expect(401, &again);
        let code = self.account.codes.pop().unwrap();
        let answer = Account::finish_login(server, &session, "m.login.2fa.recovery", &code);
        self.expect(200, &answer);
        self.secrets.push(answer.text("access_token"));
    }

    /// Wrong passwords, codes, tokens; bodies that are no JSON.
    fn fail(&mut self, server: &Server) {
        let mut body = self.account.password_stage();
        body["password"] = WRONG_PASSWORD.into();
        self.expect(403, &server.post("login", None, &body));
        let session = self.account.begin_login(server);
        // Far from now, so wrong.
        let wrong = (0..20).map(|_| self.account.code()).last().unwrap();
        self.secrets.push(wrong.clone());
        self.expect(401, &Account::finish_login(server, &session, "m.login.2fa.totp", &wrong));
        let stage = "m.login.2fa.recovery";
        self.expect(401, &Account::finish_login(server, &session, stage, WRONG_RECOVERY));
        self.expect(
            401,
            &server.post("account/two-factor/recovery", Some(WRONG_TOKEN), &json!({})),
        );
        for body in [
            format!("{{\"password\": \"{PASSWORD}\", \"password\": \"{PASSWORD}\"}}"),
            format!("{{\"type\": \"m.login.password\", \"password\": [\"{PASSWORD}\"]}}"),
            format!("{{\"type\": \"m.login.password\", \"password\": \"{PASSWORD}\""),
            format!("{{\"type\": \"{PASSWORD}\", \"token\": \"{WRONG_TOKEN}\"}}"),
        ] {
            let answer = request(server.address, "POST", "/_matrix/client/v3/login", None, &body);
            self.expect(400, &answer.unwrap());
        }
    }

    /// Tokens in a header, in a query, and one to log in with.
    fn tokens(&mut self, server: &Server) {
        let path =
            format!("/_matrix/client/v3/account/two-factor?access_token={}", self.account.token);
        self.expect(200, &server.send("GET", &path, None, &Value::Null));
        let path = format!("/_matrix/client/v3/account/whoami?access_token={}", self.account.token);
        self.expect(200, &server.send("GET", &path, None, &Value::Null));
        let path = format!("/_matrix/client/v3/no/such/path?access_token={WRONG_TOKEN}");
        self.expect(404, &server.send("GET", &path, None, &Value::Null));

        let answer = self.with_recovery(server, "POST", "login/get_token", &json!({}));
        let token = answer.text("login_token");
        self.secrets.push(token.clone());
        let body = json!({"type": "m.login.token", "token": token});
        let answer = server.post("login", None, &body);
        self.expect(200, &answer);
        self.secrets.push(answer.text("access_token"));
    }

    /// New recovery codes, another name, another password.
    fn change(&mut self, server: &Server) {
        let answer = self.with_recovery(server, "POST", "account/two-factor/recovery", &json!({}));
        self.account.keep_codes(&answer);
        self.keep_codes();
        let path =
            format!("/_matrix/client/v3/account/two-factor/totp/{}", self.account.authenticator);
        let answer =
            server.send("PUT", &path, Some(&self.account.token), &json!({"name": "Other"}));
        self.expect(200, &answer);
        let body = json!({"new_password": NEW_PASSWORD, "logout_devices": false});
        self.with_recovery(server, "POST", "account/password", &body);
        NEW_PASSWORD.clone_into(&mut self.account.password);
    }

    /// Removes the authenticator and the account.
    fn end(&mut self, server: &Server) {
        let path = format!("account/two-factor/totp/{}", self.account.authenticator);
        self.with_recovery(server, "DELETE", &path, &json!({}));
        let answer = self.account.with_password(server, "account/deactivate", &json!({}));
        self.expect(200, &answer);
        self.secrets.append(&mut self.account.sessions);
    }

    fn with_recovery(&mut self, server: &Server, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.account.with_recovery(server, method, path, body);
        self.expect(200, &answer);
        answer
    }

    fn expect(&mut self, status: u16, answer: &Answer) {
        assert_eq!(answer.status, status, "{answer:?}");
        let id = answer.header("x-request-id").expect("every answer has a request id");
        self.request_ids.push(id.to_owned());
    }

    /// The recovery codes, in every form.
    fn keep_codes(&mut self) {
        self.secrets.extend(self.account.codes.iter().flat_map(|code| forms(code)));
    }
}
