//! Who sits at the terminal, for the audit log.

/// The system's name of the user that runs this process; with `sudo` also of
/// the one who called it. The second is what `sudo` says in the environment.
pub(crate) fn name() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    match std::env::var("SUDO_USER") {
        Ok(caller) if !caller.is_empty() && caller != user => {
            let caller: String = caller.chars().filter(|c| !c.is_control()).take(64).collect();
            format!("{user} (sudo: {caller})")
        }
        _ => user,
    }
}
