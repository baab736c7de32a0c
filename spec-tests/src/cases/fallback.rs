//! The pages for clients that do not know a stage.

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    client::Reply,
    fixture::{Ceremony, Operation, Page, Proof, Target, User},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "fallback.pages",
        "The page of each second factor takes a code by its form, and ends in onAuthDone or \
         postMessage.",
        pages,
    ),
    (
        "fallback.pages-refuse-a-wrong-code",
        "A page on which a code was wrong has done nothing.",
        pages_refuse_a_wrong_code,
    ),
    (
        "fallback.sso-page-asks-for-both-factors",
        "Where m.login.sso is offered, its page asks for the password and a second factor.",
        sso_page_asks_for_both,
    ),
    (
        "fallback.client-resubmits",
        "A request with the session alone goes on from what the page has done, once.",
        client_resubmits,
    ),
    (
        "fallback.client-resubmits-a-login",
        "A login with the session alone goes on from what the page has done.",
        client_resubmits_a_login,
    ),
];

/// Opens the page of a stage and sends the right code there.
fn pass(
    target: &Target,
    user: &User,
    session: &str,
    (stage, code): (&str, &str),
) -> Result<Reply, Failure> {
    let page = Page::open(target, stage, session)?;
    let reply = page.submit(target, user, code)?;
    reply.status(200)?;
    Ok(reply)
}

/// Repeats the request with the session alone, and completes what is left
/// where the second factor comes first.
fn resubmit(ceremony: &Ceremony<'_>, stage: &str) -> Result<Reply, Failure> {
    let reply = ceremony.send(&json!({"session": ceremony.session}))?;
    ceremony.settle(stage, reply)
}

fn pages(target: &Target) -> Check {
    let alice = target.guarded()?;
    for (proof, stage) in [(Proof::Totp, stage::TOTP), (Proof::Recovery, stage::RECOVERY)] {
        let ceremony = alice.open(&Operation::set_up("Tablet"), proof)?;
        ceremony.reach(stage)?;
        let code = if proof == Proof::Totp { alice.code()? } else { alice.recovery_code()? };
        let done = pass(target, &alice, &ceremony.session, (stage, &code))?;
        Page::demand_the_call(target, &done).map_err(|failure| failure.during(stage))?;
    }
    Ok(())
}

fn pages_refuse_a_wrong_code(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open_at_totp(&Operation::set_up("Tablet"))?;
    let page = Page::open(target, stage::TOTP, &ceremony.session)?;
    page.submit(target, &alice, &alice.phone()?.wrong_code())?;
    let reply = ceremony.send(&json!({"session": ceremony.session}))?;
    let completed = reply.challenge()?.completed;
    reply.demand(!completed.contains(&stage::TOTP.to_owned()), "no second factor completed")?;
    pass(target, &alice, &ceremony.session, (stage::TOTP, &alice.code()?))?;
    resubmit(&ceremony, stage::TOTP)?.status(200)?;
    Ok(())
}

fn sso_page_asks_for_both(target: &Target) -> Check {
    let alice = target.guarded()?;
    let operation = Operation::set_up("Tablet");
    let challenge = alice.ask(&operation)?.challenge()?;
    if !challenge.flows.iter().any(|flow| *flow == [stage::SSO]) {
        // A server may offer it.
        return Ok(());
    }
    let session = json!({"session": challenge.session});
    let page = Page::open(target, stage::SSO, &challenge.session)?;
    page.submit(target, &alice, &alice.phone()?.wrong_code())?;
    let reply = alice.call(operation.request(Some(&session)))?;
    reply.demand(reply.challenge()?.completed.is_empty(), "nothing completed")?;

    let done = pass(target, &alice, &challenge.session, (stage::SSO, &alice.code()?))?;
    Page::demand_the_call(target, &done)?;
    alice.call(operation.request(Some(&session)))?.status(200)?;
    Ok(())
}

fn client_resubmits(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open_at_totp(&Operation::set_up("Tablet"))?;
    pass(target, &alice, &ceremony.session, (stage::TOTP, &alice.code()?))?;
    resubmit(&ceremony, stage::TOTP)?.status(200)?;
    let again = ceremony.send(&json!({"session": ceremony.session}))?;
    again.demand(again.challenge()?.session != ceremony.session, "a new session")?;
    Ok(())
}

fn client_resubmits_a_login(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    pass(target, &alice, &login.session, (stage::TOTP, &alice.code()?))?;
    alice.logged_in(&login.send(&json!({"session": login.session}))?)?;
    Ok(())
}
