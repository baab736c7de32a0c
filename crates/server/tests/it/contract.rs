//! Real answers against the proposal's JSON schemas.

use std::{collections::BTreeMap, fs, path::Path};

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use crate::kit::{Operation, Reply, TestApp, on_every_database};

on_every_database![
    login_answers_are_as_the_proposal_says,
    set_up_answers_are_as_the_proposal_says,
    refusals_are_as_the_proposal_says,
    requests_of_these_tests_are_as_the_proposal_says,
];

/// Where the schemas are registered: they refer to each other by file name.
const BASE: &str = "json-schema:///schemas/";

/// The proposal's schemas, by file name.
struct Schemas(BTreeMap<String, Validator>);

impl Schemas {
    fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proposal/schemas");
        let mut registry = Registry::new();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).expect("the schemas are there") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            let text = fs::read_to_string(&path).expect("a file");
            let schema: Value = serde_json::from_str(&text).expect("JSON");
            registry = registry.add(format!("{BASE}{name}.json"), schema).expect("a URI");
            names.push(name);
        }
        let registry = registry.prepare().expect("every reference resolves");
        let compile = |name: String| {
            let schema = json!({"$ref": format!("{BASE}{name}.json")});
            let validator = jsonschema::options().with_registry(&registry).offline();
            (name, validator.build(&schema).expect("a valid schema"))
        };
        Self(names.into_iter().map(compile).collect())
    }

    #[track_caller]
    fn check(&self, name: &str, value: &Value) {
        let errors: Vec<_> = self.0[name].iter_errors(value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?} in {value}");
    }

    #[track_caller]
    fn reply(&self, name: &str, status: u16, reply: Reply) -> Reply {
        let reply = reply.is(status);
        self.check(name, &reply.json());
        reply
    }
}

async fn login_answers_are_as_the_proposal_says(app: TestApp) {
    let schemas = Schemas::read();
    let (app, anon, plain) = app.with_user("plain").await;
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    schemas.reply("login-flows", 200, anon.get("login").await);
    schemas.reply("login-response", 200, anon.post("login", &plain.password_stage()).await);
    schemas.reply("uia-challenge", 401, anon.post("login", &json!({"auth": {}})).await);
    let body = json!({"auth": alice.password_stage()});
    schemas.reply("uia-challenge", 401, anon.post("login", &body).await);
    let reply = anon.post("login", &alice.password_stage()).await;
    let session = schemas.reply("uia-challenge", 401, reply).session();
    let reply = alice.finish_login(&session, &alice.wrong_code()).await;
    schemas.reply("uia-challenge", 401, reply);
    let reply = alice.finish_login(&session, &alice.code()).await;
    schemas.reply("login-response", 200, reply);
    let mut refreshable = plain.password_stage();
    refreshable["refresh_token"] = true.into();
    let reply = schemas.reply("login-response", 200, anon.post("login", &refreshable).await);
    assert!(reply.json().get("refresh_token").is_some());
}

async fn set_up_answers_are_as_the_proposal_says(app: TestApp) {
    let schemas = Schemas::read();
    let (app, _anon, alice) = app.with_user("alice").await;
    let status = async |alice: &crate::kit::User| {
        schemas.reply("two-factor-status", 200, alice.client.get("account/two-factor").await)
    };
    status(&alice).await;
    let set_up = Operation::begin("Phone");
    let reply = alice.attempt(&set_up, &json!({})).await;
    schemas.reply("uia-challenge", 401, reply);
    let begun = alice.prove_by_password(&set_up).await;
    let begun = schemas.reply("totp-begin-response", 200, begun);
    let (id, alice) = (begun.string("id"), alice.holding(&begun));
    let confirmed = alice.confirm(&id, &alice.code()).await;
    let confirmed = schemas.reply("totp-confirm-response", 200, confirmed);
    schemas.check("recovery-codes", &confirmed.json());
    status(&alice).await;
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
    status(&alice).await;
    app.advance_steps(1);
    let reply = alice.prove(&Operation::regenerate(), &alice.code()).await;
    schemas.reply("recovery-codes", 200, reply);
    let path = format!("account/two-factor/totp/{id}");
    let reply = alice.client.call("PUT", &path, &json!({"name": "Mine"})).await;
    schemas.reply("empty", 200, reply);
    app.advance_steps(1);
    let begun = alice.prove(&Operation::begin("Tablet"), &alice.code()).await.is(200);
    let (alice, first) = (alice.holding(&begun), id);
    let reply = alice.confirm(&begun.string("id"), &alice.code()).await;
    schemas.reply("totp-confirm-response", 200, reply);
    app.advance_steps(1);
    let reply = alice.prove(&Operation::remove(&first), &alice.code()).await;
    schemas.reply("empty", 200, reply);
    schemas.reply("capabilities", 200, alice.client.get("capabilities").await);
}

async fn refusals_are_as_the_proposal_says(app: TestApp) {
    let schemas = Schemas::read();
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    let other = alice.finish(&Operation::regenerate(), &session, &alice.code()).await;
    schemas.reply("error", 403, other);
    let wrong = alice.password_stage_with("wrong password");
    schemas.reply("error", 403, anon.post("login", &wrong).await);
    schemas.reply("error", 400, anon.post("login", &json!({"type": "x"})).await);
    schemas.reply("error", 400, anon.raw("POST", "login", "x").await);
    schemas.reply("error", 401, anon.get("account/two-factor").await);
    schemas.reply("error", 404, alice.confirm("t_x", "123456").await);
    schemas.reply("error", 404, anon.get("login/").await);
    for _ in 0..4 {
        let reply = alice.finish(&operation, &session, &alice.wrong_code()).await;
        schemas.reply("uia-challenge", 401, reply);
    }
    let reply = alice.finish(&operation, &session, &alice.wrong_code()).await;
    schemas.reply("rate-limited", 429, reply);
    let reply = alice.finish(&operation, &session, &alice.code()).await;
    schemas.reply("rate-limited", 429, reply);
}

async fn requests_of_these_tests_are_as_the_proposal_says(app: TestApp) {
    let schemas = Schemas::read();
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = crate::kit::totp("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &alice.code());
    let recovery = crate::kit::recovery("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x");
    for auth in [code, recovery, alice.password_stage()] {
        schemas.check("auth", &auth);
        schemas.check("login-request", &json!({"auth": auth}));
        schemas.check("uia-request", &Operation::regenerate().with_auth(&auth));
        let begin = Operation::begin("Phone").with_auth(&auth);
        schemas.check("totp-begin-request", &begin);
    }
    schemas.check("login-request", &alice.password_stage());
    schemas.check("password-stage", &alice.password_stage());
    schemas.check("identifier", &alice.password_stage()["identifier"]);
    schemas.check("totp-confirm-request", &json!({"token": alice.code()}));
    schemas.check("totp-rename-request", &json!({"name": "Mine"}));
}
