//! Seeded users are like those who came by themselves.

use std::collections::BTreeSet;

use myelin_testing::{
    NOW, Seed, TestDatabase,
    fixture::{factors_of, step_at},
    on_every_database,
};
use myelin_two_factor::{RecoveryCode, TotpParameters, Verdict, recovery, totp};
use myelin_uia::Stage;

on_every_database!(
    seeded_users_come_in_order_with_what_was_asked_for,
    a_current_code_of_a_seeded_user_is_not_spent,
    a_seeded_recovery_code_is_found,
);

async fn seeded_users_come_in_order_with_what_was_asked_for(database: &TestDatabase) {
    let opened = database.open().await;
    let password_hash = Some("hash".to_owned());
    let seed = Seed { password_hash, sessions: 3, ..Seed::users(150, NOW) };
    let names: Vec<_> = (0..150).map(|number| seed.user(number)).collect();
    let users = seed.plant(&opened).await;
    assert_eq!(users.iter().map(|user| user.user.clone()).collect::<Vec<_>>(), names);
    let mut sessions = BTreeSet::new();
    for user in &users {
        assert!(opened.accounts.lookup(&user.user).await.expect("it answers").is_some());
        assert_eq!(user.sessions.len(), 3);
        for session in &user.sessions {
            let found = opened.store.lookup_session(&session.id, NOW).await.expect("it answers");
            let (found, factors) = found.expect("it is open");
            assert_eq!(found.completed, [Stage::Password]);
            assert_eq!((found.user.as_ref(), &found), (Some(&user.user), session));
            assert!(factors.is_some_and(|factors| factors.protect()));
            sessions.insert(session.id.as_str().to_owned());
        }
    }
    assert_eq!(sessions.len(), 450);
}

async fn a_current_code_of_a_seeded_user_is_not_spent(database: &TestDatabase) {
    let opened = database.open().await;
    let user = Seed::users(1, NOW).plant(&opened).await.remove(0);
    let factors = factors_of(&*opened.store, &user.user).await;
    let enrolled = factors.active().next().expect("there is one");
    let secret = opened.store.unseal(&user.user, enrolled).expect("the key is at hand");
    let parameters = TotpParameters::default();
    let code = user.code(step_at(NOW));
    let verdict = totp::verify(&secret, &code, &parameters, NOW, enrolled.last_step);
    assert_eq!(verdict, Verdict::Accepted(step_at(NOW)));
    assert!(enrolled.last_step.is_some(), "the one that confirmed it is");
}

async fn a_seeded_recovery_code_is_found(database: &TestDatabase) {
    let opened = database.open().await;
    let seed = Seed { recovery_codes: 2, ..Seed::users(1, NOW) };
    let user = seed.plant(&opened).await.remove(0);
    let codes = factors_of(&*opened.store, &user.user).await.codes.expect("they are there");
    let mut unused = Vec::new();
    for (index, sealed) in &codes.unused {
        let hash = opened.store.unseal_hash(&user.user, *index, sealed);
        unused.push((*index, hash.expect("the key is at hand")));
    }
    let typed = RecoveryCode::parse(&user.codes[1].to_text()).expect("it is well-formed");
    assert_eq!(recovery::find(&typed.hash(&codes.salt), &unused), Some(1));
}
