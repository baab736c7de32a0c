//! The table of cases, section by section.

mod auth_dict;
mod authenticators;
mod bodies;
mod challenges;
mod codes;
mod confirmation;
mod cross_signing;
mod discovery;
mod fallback;
mod gate;
mod gate_effects;
mod gate_paths;
mod login;
mod login_details;
mod order;
mod races;
mod recovery;
mod secrecy;
mod sessions;
mod set_up;
mod steps;
mod throttle;
mod throttle_scope;
mod voids;

use crate::{Case, case::Row};

const STAGES: &str = "§1 Stages";
const LOGIN: &str = "§2 Login";
const TWO_FACTOR: &str = "§3 Two-factor endpoints";
const DISCOVERY: &str = "§4 Discovery";
const FALLBACK: &str = "§5 Fallback pages";
const GATED: &str = "§6 What is gated";

/// Every case, in the order of the protocol's sections.
#[must_use]
pub fn all() -> Vec<Case> {
    let tables: [(&'static str, &'static [Row]); 17] = [
        (STAGES, codes::CASES),
        (STAGES, steps::CASES),
        (STAGES, challenges::CASES),
        (STAGES, auth_dict::CASES),
        (STAGES, order::CASES),
        (STAGES, sessions::CASES),
        (STAGES, voids::CASES),
        (STAGES, races::CASES),
        (STAGES, throttle::CASES),
        (STAGES, throttle_scope::CASES),
        (STAGES, secrecy::CASES),
        (STAGES, bodies::CASES),
        (LOGIN, login::CASES),
        (LOGIN, login_details::CASES),
        (TWO_FACTOR, set_up::CASES),
        (TWO_FACTOR, confirmation::CASES),
        (TWO_FACTOR, authenticators::CASES),
    ];
    let later: [(&'static str, &'static [Row]); 5] = [
        (TWO_FACTOR, recovery::CASES),
        (DISCOVERY, discovery::CASES),
        (FALLBACK, fallback::CASES),
        (GATED, gate_effects::CASES),
        (GATED, cross_signing::CASES),
    ];
    let mut all: Vec<Case> = tables.into_iter().chain(later).flat_map(rows).collect();
    all.extend(rows((STAGES, steps::SLOW)).map(Case::slow));
    all.extend(gate::cases());
    all.extend(gate_paths::cases());
    all.sort_by_key(Case::section);
    all
}

fn rows((section, rows): (&'static str, &'static [Row])) -> impl Iterator<Item = Case> {
    rows.iter().map(move |(name, clause, body)| Case::new(*name, section, *clause, body))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_unique() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(Case::name).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn names_are_clauses_in_lower_case_and_clauses_are_sentences() {
        for case in all() {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            assert!(case.name().chars().all(fits), "{}", case.name());
            assert!(case.name().contains('.'), "{}", case.name());
            assert!(case.clause().ends_with('.'), "{}", case.name());
        }
    }

    #[test]
    fn sections_come_in_order() {
        let sections: Vec<&str> = all().iter().map(Case::section).collect();
        assert!(sections.is_sorted());
        let sections: BTreeSet<&str> = sections.into_iter().collect();
        assert_eq!(sections.len(), 6);
    }
}
