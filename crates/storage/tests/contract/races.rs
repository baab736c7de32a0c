//! Many at the same moment, in one process and in two: one wins, every time.

use std::{sync::Arc, time::Duration};

use myelin_ambient::SystemEntropy;
use myelin_storage::{
    Action, Change, Database, Factors, LogoutDevices, NewAccount, Outcome, Spend, Store,
};
use myelin_testing::fixture::{
    commit, enrol, event, factors_of, keep, login_session, open_login, origin, unhashed_codes,
};
use myelin_testing::race::race;
use myelin_testing::{NOW, SeededUser, TestDatabase, on_every_database};
use myelin_two_factor::{AuthenticatorId, Status, Step};
use myelin_uia::{Progress, Session};

use crate::enrolment::{begin, begin_as, confirm};
use crate::sessions::{admit_anonymous, anonymous_session, keep_anonymous};
use crate::support::{
    Attempt, alice, attempt, change, code, current_step, finish, is_open, recovery_code, times,
    winners,
};

on_every_database!(
    one_of_many_spends_a_code,
    one_of_many_spends_a_code_through_the_callers_loop,
    one_of_many_completes_a_session,
    one_of_many_completes_a_session_that_spends_nothing,
    one_of_many_redeems_a_recovery_code,
    codes_are_regenerated_or_one_is_redeemed,
    an_authenticator_is_confirmed_or_codes_are_regenerated,
    an_authenticator_is_removed_or_its_code_is_spent,
    one_of_many_confirms_an_authenticator,
    one_of_many_begins_set_up,
    after_a_password_change_no_session_is_finished,
    after_a_reset_no_code_was_spent_and_no_session_is_left,
);

const ROUNDS: u64 = 16;
const CONTENDERS: usize = 12;

/// Two processes on one database. Contenders take turns, so that each race is
/// one within a process and one between the two.
async fn two(database: &TestDatabase) -> [Arc<dyn Store>; 2] {
    [database.open().await.store, database.open().await.store]
}

fn step(round: u64) -> Step {
    Step(current_step().0 + round)
}

/// Sessions of their own for all contenders.
async fn open_many(store: &dyn Store) -> Vec<Session> {
    let mut sessions = Vec::new();
    for number in 0..CONTENDERS {
        let session = login_session(&alice(), NOW);
        let address = [203, 0, 113, u8::try_from(number / 2).expect("there are few")];
        keep(store, &session, &origin(address.into()), NOW).await;
        sessions.push(session);
    }
    sessions
}

async fn close(store: &dyn Store) {
    store.end_sessions(&alice(), None).await.expect("the store answers");
}

/// All try to finish their session with what they spend, decided on the same
/// factors.
async fn finish_at_once(
    stores: &[Arc<dyn Store>; 2],
    factors: &Factors,
    contenders: Vec<(Session, Spend)>,
) -> Vec<bool> {
    race(contenders.into_iter().enumerate().map(|(number, (session, spend))| {
        let (store, factors) = (Arc::clone(&stores[number % 2]), factors.clone());
        async move { finish(&*store, &session, &factors, spend).await }
    }))
    .await
}

async fn one_of_many_spends_a_code(database: &TestDatabase) {
    let stores = two(database).await;
    let user = enrol(&*stores[0], &alice(), 0, NOW).await;
    for round in 0..ROUNDS {
        let sessions = open_many(&*stores[0]).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        let spend = || code(&user, step(round));
        let contenders = sessions.iter().cloned().map(|session| (session, spend())).collect();
        let outcomes = finish_at_once(&stores, &factors, contenders).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        for (session, won) in sessions.iter().zip(&outcomes) {
            assert_eq!(is_open(&*stores[0], session).await, !won);
        }
        close(&*stores[0]).await;
    }
    assert_eq!(times(&*stores[1], &alice(), Action::TotpPassed).await as u64, ROUNDS);
}

async fn one_of_many_spends_a_code_through_the_callers_loop(database: &TestDatabase) {
    let stores = two(database).await;
    let user = enrol(&*stores[0], &alice(), 0, NOW).await;
    for round in 0..ROUNDS {
        let now = NOW + Duration::from_secs(30 * round);
        let sessions = open_many(&*stores[0]).await;
        let contenders = sessions.into_iter().enumerate().map(|(number, session)| {
            attempt(
                Arc::clone(&stores[number % 2]),
                session.id.clone(),
                user.code(step(round)),
                now,
            )
        });
        let outcomes = race(contenders).await;
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        assert_eq!(count(Attempt::Passed), 1, "round {round}");
        assert_eq!(count(Attempt::Wrong) + count(Attempt::Waiting), 0, "round {round}");
        close(&*stores[0]).await;
    }
    assert_eq!(factors_of(&*stores[0], &alice()).await.totp.window_failures, 0);
}

async fn one_of_many_completes_a_session(database: &TestDatabase) {
    let stores = two(database).await;
    let user = enrol(&*stores[0], &alice(), 2, NOW).await;
    for round in 0..ROUNDS {
        let regenerate = Change::Regenerate { codes: unhashed_codes(CONTENDERS) };
        let factors = factors_of(&*stores[0], &alice()).await;
        assert!(change(&*stores[0], &factors, regenerate, Action::RecoveryRegenerated).await);
        let session = open_login(&*stores[0], &alice(), NOW).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        // Each has a proof of its own; only the session is the same.
        let spend = |number: usize| match number {
            0 => code(&user, step(2 * round)),
            1 => code(&user, step(2 * round + 1)),
            _ => recovery_code(u32::try_from(number).expect("there are few")),
        };
        let contenders = (0..CONTENDERS).map(|number| (session.clone(), spend(number))).collect();
        let outcomes = finish_at_once(&stores, &factors, contenders).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        assert!(!is_open(&*stores[1], &session).await);
        let after = factors_of(&*stores[1], &alice()).await;
        let left = after.codes.expect("they are there").unused.len();
        let by_totp = outcomes[0] || outcomes[1];
        assert_eq!(left, CONTENDERS - usize::from(!by_totp), "the losers spent nothing");
    }
}

async fn one_of_many_completes_a_session_that_spends_nothing(database: &TestDatabase) {
    let stores = two(database).await;
    for round in 0..ROUNDS {
        let (session, flows) = anonymous_session();
        keep_anonymous(&*stores[0], &session).await;
        let outcomes = race((0..CONTENDERS).map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            let admitted = admit_anonymous(&session, &flows);
            async move {
                let outcome = store.pass_stage(admitted, None, Spend::Nothing, NOW, None).await;
                matches!(outcome, Ok(Outcome::Committed(Progress::Done(_))))
            }
        }))
        .await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
    }
}

async fn one_of_many_redeems_a_recovery_code(database: &TestDatabase) {
    let stores = two(database).await;
    enrol(&*stores[0], &alice(), 1, NOW).await;
    let rounds = u32::try_from(ROUNDS).expect("there are few");
    let regenerate = Change::Regenerate { codes: unhashed_codes(rounds as usize) };
    let factors = factors_of(&*stores[0], &alice()).await;
    assert!(change(&*stores[0], &factors, regenerate, Action::RecoveryRegenerated).await);
    for round in 0..rounds {
        let sessions = open_many(&*stores[0]).await;
        let outcomes = race(
            sessions
                .into_iter()
                .enumerate()
                .map(|(number, session)| redeem(Arc::clone(&stores[number % 2]), session, round)),
        )
        .await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        close(&*stores[0]).await;
    }
    assert_eq!(times(&*stores[0], &alice(), Action::RecoveryPassed).await as u64, ROUNDS);
}

/// The caller's loop for a recovery code: again, until it is spent.
async fn redeem(store: Arc<dyn Store>, session: Session, index: u32) -> bool {
    loop {
        let factors = factors_of(&*store, &alice()).await;
        let codes = factors.codes.as_ref().expect("the set is there");
        if !codes.unused.iter().any(|(unused, _)| *unused == index) {
            return false;
        }
        if finish(&*store, &session, &factors, recovery_code(index)).await {
            return true;
        }
    }
}

async fn codes_are_regenerated_or_one_is_redeemed(database: &TestDatabase) {
    let stores = two(database).await;
    enrol(&*stores[0], &alice(), 10, NOW).await;
    for round in 0..ROUNDS {
        let sessions = open_many(&*stores[0]).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        let left = factors.codes.as_ref().expect("they are there").unused.clone();
        let set = unhashed_codes(10);
        let salt = set.salt;
        let regenerate = Change::Regenerate { codes: set };
        let redeemers: Vec<_> = sessions.into_iter().zip(&left).collect();
        let mut contenders = vec![contend(&stores[0], &factors, regenerate)];
        for (number, (session, (index, _))) in redeemers.into_iter().enumerate() {
            let (store, factors) = (Arc::clone(&stores[number % 2]), factors.clone());
            let spend = recovery_code(*index);
            contenders
                .push(Box::pin(async move { finish(&*store, &session, &factors, spend).await }));
        }
        let outcomes = race(contenders).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let after = factors_of(&*stores[1], &alice()).await.codes.expect("they are there");
        assert_eq!(after.salt == salt, outcomes[0]);
        assert_eq!(after.unused.len(), if outcomes[0] { 10 } else { left.len() - 1 });
        close(&*stores[0]).await;
    }
}

type Contender = std::pin::Pin<Box<dyn Future<Output = bool> + Send>>;

/// A change, decided on these factors.
fn contend(store: &Arc<dyn Store>, factors: &Factors, committed: Change) -> Contender {
    let (store, factors) = (Arc::clone(store), factors.clone());
    Box::pin(async move { change(&*store, &factors, committed, Action::AuthenticatorAdded).await })
}

async fn an_authenticator_is_confirmed_or_codes_are_regenerated(database: &TestDatabase) {
    let stores = two(database).await;
    enrol(&*stores[0], &alice(), 2, NOW).await;
    for round in 0..ROUNDS {
        let id = begin(&*stores[0], &alice()).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        let set = unhashed_codes(10);
        let salt = set.salt;
        let outcomes = race([
            contend(&stores[0], &factors, confirm(&id, 0)),
            contend(&stores[1], &factors, Change::Regenerate { codes: set }),
        ])
        .await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let after = factors_of(&*stores[1], &alice()).await;
        let status = after.authenticator(&id).expect("it is there").status;
        assert_eq!(status == Status::Active, outcomes[0]);
        assert_eq!(after.codes.as_ref().is_some_and(|codes| codes.salt == salt), outcomes[1]);
        if outcomes[0] {
            let removed = event(&alice(), Action::AuthenticatorRemoved, NOW);
            commit(&*stores[0], &after, Change::Remove { id }, removed).await;
        }
    }
}

async fn an_authenticator_is_removed_or_its_code_is_spent(database: &TestDatabase) {
    let stores = two(database).await;
    let mut user = enrol(&*stores[0], &alice(), 2, NOW).await;
    for round in 0..ROUNDS {
        let session = open_login(&*stores[0], &alice(), NOW).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        let remove = Change::Remove { id: user.authenticator.clone() };
        let (store, decided, spend) =
            (Arc::clone(&stores[1]), factors.clone(), code(&user, step(round)));
        let spender: Contender =
            Box::pin(async move { finish(&*store, &session, &decided, spend).await });
        let outcomes = race([contend(&stores[0], &factors, remove), spender]).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let after = factors_of(&*stores[1], &alice()).await;
        assert_eq!(after.protect(), !outcomes[0]);
        assert_eq!(after.codes.is_some(), !outcomes[0]);
        if outcomes[0] {
            user = enrol(&*stores[0], &alice(), 1, NOW).await;
        }
    }
}

async fn one_of_many_confirms_an_authenticator(database: &TestDatabase) {
    let stores = two(database).await;
    for round in 0..ROUNDS {
        let id = begin(&*stores[0], &alice()).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        let outcomes = race(
            (0..CONTENDERS).map(|number| contend(&stores[number % 2], &factors, confirm(&id, 3))),
        )
        .await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let codes = factors_of(&*stores[1], &alice()).await.codes.expect("they are there");
        assert_eq!((codes.total, codes.unused.len()), (3, 3));
        let reset = event(&alice(), Action::TwoFactorReset, NOW);
        assert!(stores[0].reset(&alice(), reset).await.expect("the store answers"));
    }
}

async fn one_of_many_begins_set_up(database: &TestDatabase) {
    let stores = two(database).await;
    for round in 0..ROUNDS {
        let factors = factors_of(&*stores[0], &alice()).await;
        let outcomes = race((0..CONTENDERS).map(|number| {
            let id = AuthenticatorId::generate(&SystemEntropy);
            contend(&stores[number % 2], &factors, begin_as(&id))
        }))
        .await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        assert_eq!(factors_of(&*stores[1], &alice()).await.authenticators.len(), 1);
    }
}

/// Whether the last code accepted is the one of this step.
fn spent(factors: &Factors, step: Step) -> bool {
    factors.authenticators.iter().any(|one| one.last_step == Some(step))
}

/// A session that is finished with the code of this round's step.
fn finisher(
    store: &Arc<dyn Store>,
    session: &Session,
    factors: &Factors,
    spend: Spend,
) -> Contender {
    let (store, session, factors) = (Arc::clone(store), session.clone(), factors.clone());
    Box::pin(async move { finish(&*store, &session, &factors, spend).await })
}

async fn after_a_password_change_no_session_is_finished(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    let stores = [store, database.open().await.store];
    let account = NewAccount { user: alice(), password_hash: "old".to_owned(), login: None };
    let registered = event(&alice(), Action::Registered, NOW);
    accounts.create(&account, NOW, registered).await.expect("it answers");
    let user = enrol(&*stores[0], &alice(), 0, NOW).await;
    for round in 0..ROUNDS {
        let sessions = [
            open_login(&*stores[0], &alice(), NOW).await,
            open_login(&*stores[0], &alice(), NOW).await,
        ];
        let factors = factors_of(&*stores[0], &alice()).await;
        let accounts = Arc::clone(&accounts);
        let password: Contender = Box::pin(async move {
            let changed = event(&alice(), Action::PasswordChanged, NOW);
            accounts.set_password(&alice(), "new", LogoutDevices::Keep, None, changed).await.is_ok()
        });
        let spend = code(&user, step(2 * round));
        let outcomes = race([password, finisher(&stores[1], &sessions[0], &factors, spend)]).await;
        assert!(outcomes[0], "round {round}");
        // Finished before, or not at all: never half.
        let after = factors_of(&*stores[0], &alice()).await;
        assert_eq!(spent(&after, step(2 * round)), outcomes[1], "round {round}");
        for session in &sessions {
            assert!(!is_open(&*stores[0], session).await);
        }
        let late = code(&user, step(2 * round + 1));
        assert!(!finish(&*stores[1], &sessions[1], &after, late).await, "round {round}");
    }
}

async fn after_a_reset_no_code_was_spent_and_no_session_is_left(database: &TestDatabase) {
    let stores = two(database).await;
    for round in 0..ROUNDS {
        let user: SeededUser = enrol(&*stores[0], &alice(), 0, NOW).await;
        let session = open_login(&*stores[0], &alice(), NOW).await;
        let factors = factors_of(&*stores[0], &alice()).await;
        let passed = times(&*stores[0], &alice(), Action::TotpPassed).await;
        let store = Arc::clone(&stores[0]);
        let reset: Contender = Box::pin(async move {
            let reset = event(&alice(), Action::TwoFactorReset, NOW);
            store.reset(&alice(), reset).await.expect("the store answers")
        });
        let spend = code(&user, step(round));
        let outcomes = race([reset, finisher(&stores[1], &session, &factors, spend)]).await;
        assert!(outcomes[0], "round {round}");
        assert!(factors_of(&*stores[0], &alice()).await.authenticators.is_empty());
        assert!(!is_open(&*stores[0], &session).await);
        let passed_now = times(&*stores[1], &alice(), Action::TotpPassed).await;
        assert_eq!(passed_now - passed, usize::from(outcomes[1]), "round {round}");
    }
}
