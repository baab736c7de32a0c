//! The engine's rules, from outside.

use std::time::Duration;

use myelin_ambient::{SeededEntropy, Timestamp};
use myelin_uia::{
    Binding, DEFAULT_LIFETIME, Flows, Progress, Refusal, Session, SessionId, Stage, with_error,
};
use proptest::prelude::*;
use ruma::{UserId, user_id};
use serde_json::{Map, Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn alice() -> &'static UserId {
    user_id!("@alice:localhost")
}

fn binding(user: &UserId) -> Binding {
    Binding::new(Some(user), "POST", "delete_devices", &[], &Map::new())
}

fn session() -> Session {
    let entropy = SeededEntropy::new(7);
    Session::open(&entropy, Some(alice().to_owned()), binding(alice()), NOW, DEFAULT_LIFETIME)
}

fn two_factor() -> Flows {
    Flows::new([[Stage::Password, Stage::Totp], [Stage::Password, Stage::Recovery]])
}

/// The session after these stages, none of which finishes the flow.
fn after(stages: &[Stage]) -> Session {
    stages.iter().fold(session(), |session, stage| {
        let admitted =
            session.admit(&binding(alice()), &two_factor(), *stage, NOW).expect("it comes next");
        match admitted.complete() {
            Progress::More(session) => session,
            Progress::Done(_) => panic!("the flow is complete"),
        }
    })
}

#[test]
fn a_flow_passed_in_order_yields_a_proof() {
    let session = after(&[Stage::Password]);
    let admitted = session.admit(&binding(alice()), &two_factor(), Stage::Totp, NOW).unwrap();
    assert!(admitted.finishes());
    let Progress::Done(proof) = admitted.complete() else { panic!("not done") };
    assert_eq!(proof.user(), Some(alice()));
    assert_eq!(proof.completed(), [Stage::Password, Stage::Totp]);
    assert!(proof.is_for(&binding(alice())));
    assert!(!proof.is_for(&binding(user_id!("@bob:localhost"))));
}

#[test]
fn the_second_stage_cannot_come_first() {
    let refused = session().admit(&binding(alice()), &two_factor(), Stage::Totp, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::OutOfOrder);
}

#[test]
fn a_completed_stage_cannot_be_retried() {
    let session = after(&[Stage::Password]);
    let refused = session.admit(&binding(alice()), &two_factor(), Stage::Password, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::OutOfOrder);
}

#[test]
fn a_stage_that_is_not_offered_is_refused() {
    let refused = session().admit(&binding(alice()), &two_factor(), Stage::Dummy, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::OutOfOrder);
}

#[test]
fn stages_of_two_flows_cannot_be_mixed() {
    let flows = Flows::new([[Stage::Password, Stage::Totp], [Stage::Dummy, Stage::Recovery]]);
    let admitted = session().admit(&binding(alice()), &flows, Stage::Dummy, NOW).unwrap();
    let Progress::More(session) = admitted.complete() else { panic!("done too early") };
    let refused = session.admit(&binding(alice()), &flows, Stage::Totp, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::OutOfOrder);
}

#[test]
fn another_request_or_user_is_refused() {
    let other = binding(user_id!("@bob:localhost"));
    let refused = session().admit(&other, &two_factor(), Stage::Password, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::OtherRequest);
}

#[test]
fn a_session_ends_with_its_lifetime() {
    let last = NOW + DEFAULT_LIFETIME - Duration::from_millis(1);
    assert!(session().admit(&binding(alice()), &two_factor(), Stage::Password, last).is_ok());
    let end = NOW + DEFAULT_LIFETIME;
    let refused = session().admit(&binding(alice()), &two_factor(), Stage::Password, end);
    assert_eq!(refused.unwrap_err(), Refusal::Expired);
}

#[test]
#[should_panic(expected = "at least one flow")]
fn no_flow_at_all_is_a_mistake_of_the_programmer() {
    let _ = Flows::new(Vec::<Vec<Stage>>::new());
}

#[test]
#[should_panic(expected = "at least one stage")]
fn an_empty_flow_is_a_mistake_of_the_programmer() {
    let _ = Flows::new([Vec::new()]);
}

#[test]
fn the_challenge_always_has_flows_params_and_session() {
    let session = session();
    let params = |stage| match stage {
        Stage::Totp => Map::from_iter([("digits".to_owned(), json!("6"))]),
        _ => Map::new(),
    };
    let info = with_error(session.challenge(&two_factor(), params), "No.");
    assert_eq!(
        serde_json::to_value(info).unwrap(),
        json!({
            "flows": [
                {"stages": ["m.login.password", "m.login.2fa.totp"]},
                {"stages": ["m.login.password", "m.login.2fa.recovery"]},
            ],
            "params": {
                "m.login.password": {},
                "m.login.2fa.totp": {"digits": "6"},
                "m.login.2fa.recovery": {},
            },
            "session": session.id.as_str(),
            "errcode": "M_FORBIDDEN",
            "error": "No.",
        })
    );
}

#[test]
fn completed_stages_are_told_in_order() {
    let info = after(&[Stage::Password]).challenge(&two_factor(), |_| Map::new());
    let info: Value = serde_json::to_value(info).unwrap();
    assert_eq!(info["completed"], json!(["m.login.password"]));
}

#[test]
fn a_session_id_has_192_bits_and_is_url_safe() {
    let id = SessionId::generate(&SeededEntropy::new(1));
    assert_eq!(id.as_str().len(), 32);
    assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    assert_eq!(SessionId::parse(id.as_str()), Some(id.clone()));
    assert!(!format!("{id:?}").contains(id.as_str()), "Debug does not show it");
}

#[test]
fn two_sessions_of_one_request_keep_different_digests() {
    let entropy = SeededEntropy::new(7);
    let open = || Session::open(&entropy, None, binding(alice()), NOW, DEFAULT_LIFETIME);
    let (one, other) = (open(), open());
    assert_ne!(one.binding, other.binding);
    assert!(
        one.check(&binding(alice()), NOW).is_ok() && other.check(&binding(alice()), NOW).is_ok()
    );
}

#[test]
fn what_cannot_be_a_session_id_is_none() {
    for text in ["", "short", &"A".repeat(31), &"A".repeat(33), &"=".repeat(32), &"é".repeat(16)] {
        assert_eq!(SessionId::parse(text), None, "{text}");
    }
}

#[test]
fn stage_names_read_as_they_are_written() {
    for stage in Stage::ALL {
        assert_eq!(Stage::parse(stage.as_str()), Some(stage));
    }
    assert_eq!(Stage::parse("m.login.2fa"), None);
}

fn any_stage() -> impl Strategy<Value = Stage> {
    proptest::sample::select(Stage::ALL.to_vec())
}

proptest! {
    /// Whatever is tried, in whatever order: a proof comes only of a whole
    /// flow, passed in its order.
    #[test]
    fn no_sequence_of_attempts_skips_a_stage(
        flows in proptest::collection::vec(proptest::collection::vec(any_stage(), 1..4), 1..4),
        attempts in proptest::collection::vec(any_stage(), 0..12),
    ) {
        let offered = Flows::new(flows.clone());
        let mut session = session();
        for stage in attempts {
            match session.clone().admit(&binding(alice()), &offered, stage, NOW) {
                Err(refusal) => prop_assert_eq!(refusal, Refusal::OutOfOrder),
                Ok(admitted) => match admitted.complete() {
                    Progress::More(next) => {
                        prop_assert!(flows.iter().any(|flow| flow.starts_with(&next.completed)));
                        session = next;
                    }
                    Progress::Done(proof) => {
                        prop_assert!(flows.iter().any(|flow| flow == proof.completed()));
                        break;
                    }
                },
            }
        }
    }
}

/// The session once the page has passed this stage in it.
fn passed_on_a_page(session: Session, flows: &Flows, stage: Stage) -> Session {
    let admitted = session.admit_elsewhere(flows, stage, NOW).expect("it comes next");
    assert!(!admitted.finishes(), "a page performs nothing");
    let Progress::More(session) = admitted.complete() else { panic!("it was performed") };
    session
}

#[test]
fn a_flow_passed_on_a_page_waits_for_its_own_request() {
    let flows = Flows::new([vec![Stage::Sso], vec![Stage::Password, Stage::Totp]]);
    let session = passed_on_a_page(session(), &flows, Stage::Sso);
    let other = binding(user_id!("@bob:localhost"));
    let refused = session.clone().admit_execution(&other, &flows, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::OtherRequest);
    let executable = session.admit_execution(&binding(alice()), &flows, NOW).unwrap();
    let proof = executable.execute();
    assert_eq!((proof.user(), proof.completed()), (Some(alice()), &[Stage::Sso][..]));
}

#[test]
fn nothing_is_performed_while_a_stage_is_missing() {
    for session in [session(), after(&[Stage::Password])] {
        let refused = session.admit_execution(&binding(alice()), &two_factor(), NOW);
        assert_eq!(refused.unwrap_err(), Refusal::OutOfOrder);
    }
}

#[test]
fn a_page_can_neither_skip_a_stage_nor_use_a_session_that_is_over() {
    let early = session().admit_elsewhere(&two_factor(), Stage::Totp, NOW);
    assert_eq!(early.unwrap_err(), Refusal::OutOfOrder);
    let late = NOW + DEFAULT_LIFETIME;
    let over = session().admit_elsewhere(&two_factor(), Stage::Password, late);
    assert_eq!(over.unwrap_err(), Refusal::Expired);
    let done = passed_on_a_page(after(&[Stage::Password]), &two_factor(), Stage::Totp);
    let over = done.admit_execution(&binding(alice()), &two_factor(), late);
    assert_eq!(over.unwrap_err(), Refusal::Expired);
}
