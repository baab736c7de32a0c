//! Runs the cases, several at a time.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    Case, Failure, Options, Outcome, Report, Verdict, cases, client::Client, clock, fixture::Target,
};

/// Why nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The options cannot be used as they are.
    Usage(String),
    /// The target does not answer HTTP.
    Unreachable(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) => write!(f, "{why}"),
            Self::Unreachable(why) => write!(f, "the target does not answer: {why}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Runs the cases that the options select, and reports them in the order of
/// the table.
///
/// # Errors
///
/// If the options cannot be used, or the target does not answer HTTP.
pub fn run(options: &Options) -> Result<Report, Refusal> {
    let client = Client::new(&options.target).map_err(Refusal::Usage)?;
    let selected = select(options)?;
    let target = Target::new(client, options);
    target.reach().map_err(|failure| Refusal::Unreachable(failure.came))?;
    Ok(Report { verdicts: run_all(&selected, &target, options) })
}

fn select(options: &Options) -> Result<Vec<Case>, Refusal> {
    let all = cases::all();
    let stale = options.known_failures.names().find(|name| all.iter().all(|c| c.name() != *name));
    if let Some(name) = stale {
        return Err(Refusal::Usage(format!("{name} is listed as known failure, but is no case")));
    }
    let filter = options.filter.as_deref().unwrap_or_default();
    let selected: Vec<Case> = all.into_iter().filter(|case| case.name().contains(filter)).collect();
    if selected.is_empty() {
        return Err(Refusal::Usage(format!("no case has {filter:?} in its name")));
    }
    Ok(selected)
}

fn run_all(cases: &[Case], target: &Target, options: &Options) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts: Vec<Mutex<Option<Verdict>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, cases.len()) {
            scope.spawn(|| {
                while let Some(index) = take(&next, cases.len()) {
                    let verdict = judge(&cases[index], target, options);
                    *verdicts[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
                }
            });
        }
    });
    verdicts
        .into_iter()
        .filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

fn take(next: &AtomicUsize, end: usize) -> Option<usize> {
    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < end)
}

fn judge(case: &Case, target: &Target, options: &Options) -> Verdict {
    let began = clock::now();
    let outcome = if case.is_slow() && !options.slow {
        Outcome::Skipped("waits for the next step: runs only with --slow".to_owned())
    } else {
        let result = catch_unwind(AssertUnwindSafe(|| case.check(target))).unwrap_or_else(|_| {
            Err(Failure::new("a case that comes to its end", "a panic in the suite itself", "-"))
        });
        let known = options.known_failures.reason(case.name()).map(str::to_owned);
        match (result, known) {
            (Ok(()), None) => Outcome::Passed,
            (Ok(()), Some(reason)) => Outcome::UnexpectedPass(reason),
            (Err(failure), None) => Outcome::Failed(failure),
            (Err(failure), Some(reason)) => Outcome::KnownFailure { reason, failure },
        }
    };
    Verdict {
        name: case.name().to_owned(),
        section: case.section(),
        clause: case.clause().to_owned(),
        elapsed: clock::now().saturating_sub(began),
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KnownFailures;

    fn options() -> Options {
        Options::new("http://127.0.0.1:9")
    }

    fn target() -> Target {
        Target::new(Client::new("http://127.0.0.1:9").unwrap(), &options())
    }

    fn judged(case: &Case, known: &str, slow: bool) -> Outcome {
        let known_failures = KnownFailures::parse(known).unwrap();
        judge(case, &target(), &Options { slow, known_failures, ..options() }).outcome
    }

    fn passing() -> Case {
        Case::new("a", "§1 A", "a clause", |_| Ok(()))
    }

    fn failing() -> Case {
        Case::new("a", "§1 A", "a clause", |_| Err(Failure::new("e", "c", "r")))
    }

    #[test]
    fn a_known_failure_keeps_its_reason_and_its_failure() {
        let failure = Failure::new("e", "c", "r");
        assert_eq!(judged(&failing(), "", false), Outcome::Failed(failure.clone()));
        let reason = "why".to_owned();
        assert_eq!(judged(&failing(), "a  why", false), Outcome::KnownFailure { reason, failure });
    }

    #[test]
    fn a_known_failure_that_passes_is_reported() {
        assert_eq!(judged(&passing(), "", false), Outcome::Passed);
        assert_eq!(judged(&passing(), "a  why", false), Outcome::UnexpectedPass("why".into()));
    }

    #[test]
    fn a_slow_case_runs_only_when_asked_for() {
        let slow = passing().slow();
        assert!(matches!(judged(&slow, "", false), Outcome::Skipped(_)));
        assert_eq!(judged(&slow, "", true), Outcome::Passed);
    }

    #[test]
    fn a_case_that_panics_fails_and_the_run_goes_on() {
        let case = Case::new("a", "§1 A", "a clause", |_| panic!("on purpose"));
        assert!(matches!(judged(&case, "", false), Outcome::Failed(_)));
    }

    #[test]
    fn verdicts_come_in_the_order_of_the_table_whatever_the_threads() {
        let cases: Vec<Case> =
            (0..40).map(|n| Case::new(format!("case-{n:02}"), "§1 A", "", |_| Ok(()))).collect();
        let verdicts = run_all(&cases, &target(), &Options { threads: 7, ..options() });
        let names: Vec<&str> = verdicts.iter().map(|verdict| verdict.name.as_str()).collect();
        let expected: Vec<&str> = cases.iter().map(Case::name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_filter_selects_by_substring_and_may_not_select_nothing() {
        let filter = |text: &str| Options { filter: Some(text.to_owned()), ..options() };
        let throttle = select(&filter("throttle.")).unwrap();
        assert!(!throttle.is_empty());
        assert!(throttle.iter().all(|case| case.name().contains("throttle.")));
        assert!(matches!(select(&filter("no such case")), Err(Refusal::Usage(_))));
        assert!(select(&options()).unwrap().len() > throttle.len());
    }

    #[test]
    fn a_known_failure_that_is_no_case_is_refused() {
        let known_failures = KnownFailures::parse("gone.case  reason").unwrap();
        let refusal = select(&Options { known_failures, ..options() }).unwrap_err();
        assert!(matches!(refusal, Refusal::Usage(why) if why.contains("gone.case")));
    }
}
