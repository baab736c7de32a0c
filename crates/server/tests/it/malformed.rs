//! What can be no code is compared with nothing and counts against nobody.

use serde_json::{Value, json};

use crate::kit::{Operation, Reply, TestApp, User, on_every_database};

on_every_database![
    a_token_of_another_type_is_bad_json,
    a_missing_token_is_a_missing_parameter,
    a_malformed_code_looks_wrong_and_is_not_counted,
    the_right_code_in_other_digits_is_malformed,
    a_malformed_recovery_code_looks_wrong_and_is_not_counted,
    duplicate_keys_are_refused,
    deep_nesting_is_refused,
    what_is_no_json_object_is_refused,
    a_megabyte_is_refused,
    a_malformed_code_does_not_count_at_confirmation,
];

const STAGES: [&str; 2] = ["m.login.2fa.totp", "m.login.2fa.recovery"];

/// Sends an auth dict to a login and to an operation, both after the password.
async fn everywhere(user: &User, auth: &Value) -> Vec<Reply> {
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let mut auth = auth.clone();
    auth["session"] = user.start_login().await.into();
    let login = user.app.anonymous().post("login", &json!({"auth": auth})).await;
    auth["session"] = user.start_confirmed(&operation).await.into();
    vec![login, user.attempt(&operation, &auth).await]
}

async fn nothing_has_changed(user: &User) {
    let factors = user.factors().await;
    assert_eq!((factors.totp.window_failures, factors.recovery.window_failures), (0, 0));
    assert_eq!(user.failures().await, (0, 0));
    user.log_in(&user.code()).await.is(200);
    user.log_in_by_recovery(&user.recovery_code(0)).await.is(200);
}

async fn a_token_of_another_type_is_bad_json(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let number: u32 = alice.code().parse().expect("digits");
    let tokens = [
        json!(number),
        json!(123_456.0),
        json!(true),
        json!(null),
        json!([alice.code()]),
        json!({"token": alice.code()}),
    ];
    for (stage, token) in STAGES.iter().flat_map(|stage| tokens.iter().map(move |t| (stage, t))) {
        for reply in everywhere(&alice, &json!({"type": stage, "token": token})).await {
            reply.refuses(400, "M_BAD_JSON");
        }
    }
    nothing_has_changed(&alice).await;
}

async fn a_missing_token_is_a_missing_parameter(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    for stage in STAGES {
        for reply in everywhere(&alice, &json!({"type": stage})).await {
            reply.refuses(400, "M_MISSING_PARAM");
        }
    }
    for reply in everywhere(&alice, &json!({"token": alice.code()})).await {
        reply.refuses(400, "M_MISSING_PARAM");
    }
    nothing_has_changed(&alice).await;
}

async fn a_malformed_code_looks_wrong_and_is_not_counted(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    let (long, five, seven) = ("1".repeat(100_000), &code[1..], format!("{code}1"));
    let lines = [format!("{code}\n"), format!("{code}\t"), format!("\u{a0}{code}")];
    let ends = [format!("{code}\u{0}"), format!("+{code}"), format!("{code}."), format!("{code}'")];
    let odd = ["", " ", "-", "abcdef", "0x1234", "1e5", "12.345", "１２３４５６", "\u{0}", "💥"];
    let texts = odd.into_iter().chain([long.as_str(), five, &seven]);
    for text in texts.chain(lines.iter().chain(&ends).map(String::as_str)) {
        let auth = json!({"type": "m.login.2fa.totp", "token": text});
        for reply in everywhere(&alice, &auth).await {
            reply.looks_wrong();
        }
    }
    nothing_has_changed(&alice).await;
}

async fn the_right_code_in_other_digits_is_malformed(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    // Arabic-Indic, extended Arabic-Indic, Devanagari, fullwidth, mathematical.
    for zero in ['\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}', '\u{1d7ce}'] {
        let in_script = |digit: char| {
            let value = digit.to_digit(10).expect("a digit");
            char::from_u32(u32::from(zero) + value).expect("a digit of the script")
        };
        let text: String = code.chars().map(in_script).collect();
        for reply in everywhere(&alice, &json!({"type": STAGES[0], "token": text})).await {
            reply.looks_wrong();
        }
    }
    nothing_has_changed(&alice).await;
}

async fn a_malformed_recovery_code_looks_wrong_and_is_not_counted(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let right = alice.recovery_code(0);
    let (short, long) = (&right[1..], format!("{right}0"));
    let long_text = "0".repeat(100_000);
    let odd = ["", "-", "123456", "UUUU-UUUU-UUUU-UUUU", "٠٠٠٠-٠٠٠٠-٠٠٠٠-٠٠٠٠", &long_text];
    let line = format!("{right}\n");
    for text in odd.into_iter().chain([short, &long, &line]) {
        let auth = json!({"type": "m.login.2fa.recovery", "token": text});
        for reply in everywhere(&alice, &auth).await {
            reply.looks_wrong();
        }
    }
    nothing_has_changed(&alice).await;
}

async fn duplicate_keys_are_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let (session, code) = (alice.start_login().await, alice.code());
    let auth = format!(r#"{{"type":"m.login.2fa.totp","session":"{session}","token":"{code}"}}"#);
    let twice = |key: &str, value: &str| auth.replacen('{', &format!("{{\"{key}\":{value},"), 1);
    for body in [
        format!(r#"{{"auth":{auth},"auth":{auth}}}"#),
        format!(r#"{{"auth":{{}},"auth":{auth}}}"#),
        format!(r#"{{"auth":{auth},"\u0061uth":null}}"#),
        format!(r#"{{"auth":{}}}"#, twice("token", "\"000000\"")),
        format!(r#"{{"auth":{}}}"#, twice("session", "\"x\"")),
        format!(r#"{{"auth":{}}}"#, twice("type", "\"m.login.password\"")),
        format!(r#"{{"x":{{"y":1,"y":2}},"auth":{auth}}}"#),
        format!(r#"{{"x":[[{{"y":1,"y":1}}]],"auth":{auth}}}"#),
    ] {
        anon.raw("POST", "login", body.clone()).await.is(400);
        alice.client.raw("POST", "delete_devices", body).await.is(400);
    }
    nothing_has_changed(&alice).await;
}

async fn deep_nesting_is_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    for depth in [1_000, 60_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let depth = depth / open.len();
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for body in [nested.clone(), format!(r#"{{"auth":{nested}}}"#)] {
                anon.raw("POST", "login", body.clone()).await.is(400);
                alice.client.raw("POST", "delete_devices", body).await.is(400);
            }
        }
    }
    nothing_has_changed(&alice).await;
}

async fn what_is_no_json_object_is_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let bodies: [&[u8]; 11] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"text\"",
        b"{",
        b"{}{}",
        b"{\"auth\":NaN}",
        b"{'auth':{}}",
        b"{\"a\":\"\xff\xfe\"}",
        b"\xef\xbb\xbf{}",
    ];
    for body in bodies {
        anon.raw("POST", "login", body.to_vec()).await.is(400);
        alice.client.raw("POST", "delete_devices", body.to_vec()).await.is(400);
        alice.client.raw("POST", "account/two-factor/totp", body.to_vec()).await.is(400);
    }
    for auth in [json!("x"), json!(1), json!([]), json!(true)] {
        anon.post("login", &json!({"auth": auth})).await.refuses(400, "M_BAD_JSON");
        let reply = alice.attempt(&Operation::delete_devices(&["A"]), &auth).await;
        reply.refuses(400, "M_BAD_JSON");
    }
    nothing_has_changed(&alice).await;
}

async fn a_megabyte_is_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let auth = json!({"type": STAGES[0], "session": session, "token": "1".repeat(1 << 20)});
    anon.post("login", &json!({"auth": auth})).await.refuses(413, "M_TOO_LARGE");
    let spaces = format!("{}{}", " ".repeat(1 << 20), json!({"auth": {}}));
    anon.raw("POST", "login", spaces).await.refuses(413, "M_TOO_LARGE");
    nothing_has_changed(&alice).await;
}

async fn a_malformed_code_does_not_count_at_confirmation(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let begun = alice.prove_by_password(&Operation::begin("Phone")).await.is(200);
    let (id, alice) = (begun.string("id"), alice.holding(&begun));
    for text in ["", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "123456\n"] {
        alice.confirm(&id, text).await.refuses(403, "M_FORBIDDEN");
    }
    let path = format!("account/two-factor/totp/{id}/confirm");
    alice.client.post(&path, &json!({"token": 123_456})).await.refuses(400, "M_BAD_JSON");
    alice.client.post(&path, &json!({})).await.refuses(400, "M_MISSING_PARAM");
    assert_eq!(alice.factors().await.authenticators[0].confirm_failures, 0);
    alice.confirm(&id, &alice.code()).await.is(200);
}
