//! Recovery codes: each once, only its owner's, only of the newest set.

use crate::kit::{Operation, TestApp, on_every_database};

on_every_database![
    a_recovery_code_works_once,
    a_recovery_code_is_read_leniently,
    a_used_recovery_code_is_not_counted,
    an_old_set_is_worthless_after_regeneration,
    another_users_recovery_code_is_wrong,
    the_stored_hash_is_no_recovery_code,
    status_tells_how_many_are_left,
    regeneration_without_a_factor_is_refused,
];

async fn a_recovery_code_works_once(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.recovery_code(0);
    alice.log_in_by_recovery(&code).await.is(200);
    alice.log_in_by_recovery(&code).await.looks_wrong();
    for operation in Operation::repeatable().into_iter().take(2) {
        alice.prove_by_recovery(&operation, &code).await.looks_wrong();
    }
    alice.log_in_by_recovery(&alice.recovery_code(1)).await.is(200);
}

async fn a_recovery_code_is_read_leniently(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.protected(3).await;
    let spellings: [fn(&str) -> String; 3] = [
        |code| code.to_lowercase(),
        |code| code.replace('-', ""),
        |code| code.replace('-', " ").replace('0', "O").replace('1', "l"),
    ];
    for (index, spell) in spellings.iter().enumerate() {
        let code = alice.recovery_code(index);
        alice.log_in_by_recovery(&spell(&code)).await.is(200);
        alice.log_in_by_recovery(&code).await.looks_wrong();
    }
}

async fn a_used_recovery_code_is_not_counted(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.recovery_code(0);
    alice.log_in_by_recovery(&code).await.is(200);
    for _ in 0..6 {
        alice.log_in_by_recovery(&code).await.looks_wrong();
    }
    assert_eq!(alice.failures().await, (0, 0));
}

async fn an_old_set_is_worthless_after_regeneration(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let reply = alice.prove(&Operation::regenerate(), &alice.code()).await.is(200);
    let new = reply.strings("recovery_codes");
    assert_eq!(new.len(), 10);
    for index in 0..2 {
        alice.log_in_by_recovery(&alice.recovery_code(index)).await.looks_wrong();
    }
    alice.log_in_by_recovery(&new[9]).await.is(200);
    app.advance_steps(1);
    alice.prove(&Operation::regenerate(), &alice.code()).await.is(200);
    alice.log_in_by_recovery(&new[0]).await.looks_wrong();
}

async fn another_users_recovery_code_is_wrong(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, mallory) = app.with_protected_user("mallory").await;
    alice.log_in_by_recovery(&mallory.recovery_code(0)).await.looks_wrong();
    alice
        .prove_by_recovery(&Operation::regenerate(), &mallory.recovery_code(0))
        .await
        .looks_wrong();
    // It still belongs to its owner, and nothing of it was spent.
    mallory.log_in_by_recovery(&mallory.recovery_code(0)).await.is(200);
    assert_eq!((alice.failures().await, mallory.failures().await), ((0, 2), (0, 0)));
}

async fn the_stored_hash_is_no_recovery_code(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let factors = alice.factors().await;
    let codes = factors.codes.as_ref().expect("there are codes");
    let (index, sealed) = &codes.unused[0];
    let hash = app.store.unseal_hash(&alice.id, *index, sealed).expect("the key is there");
    let spellings = [
        data_encoding::HEXLOWER.encode(hash.expose()),
        data_encoding::BASE64.encode(hash.expose()),
        data_encoding::BASE64.encode(&sealed.bytes),
        data_encoding::BASE32_NOPAD.encode(&hash.expose()[..10]),
    ];
    for text in spellings {
        alice.log_in_by_recovery(&text).await.looks_wrong();
    }
    assert_eq!(alice.factors().await.codes.map(|codes| codes.unused.len()), Some(2));
}

async fn status_tells_how_many_are_left(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    for left in [2, 1, 0] {
        let status = alice.client.get("account/two-factor").await.is(200).json();
        let recovery = &status["providers"]["m.login.2fa.recovery"];
        assert_eq!((&recovery["remaining"], &recovery["total"]), (&left.into(), &2.into()));
        if left > 0 {
            alice.log_in_by_recovery(&alice.recovery_code(2 - left)).await.is(200);
        }
    }
}

async fn regeneration_without_a_factor_is_refused(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let reply = alice.attempt(&Operation::regenerate(), &serde_json::json!({})).await;
    reply.refuses(400, "M_BAD_STATE");
    // A pending authenticator is no factor.
    alice.prove_by_password(&Operation::begin("Phone")).await.is(200);
    let reply = alice.attempt(&Operation::regenerate(), &serde_json::json!({})).await;
    reply.refuses(400, "M_BAD_STATE");
    // A disabled one opens nothing that new codes could open again.
    let alice = alice.set_up().await;
    alice.app.database.execute("UPDATE authenticators SET status = 'disabled'").await;
    let reply = alice.attempt(&Operation::regenerate(), &serde_json::json!({})).await;
    reply.refuses(400, "M_BAD_STATE");
}
