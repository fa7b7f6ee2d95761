//! The exit status of a command: one documented number for each way it can end (`docs/exit-codes.md`).

use crate::error::{Failure, FailureKind};

/// Some of what was asked for was done, some failed.
const PARTIAL: u8 = 3;

/// The status when nothing succeeded and this is the worst that happened.
pub const fn exit_code_of(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Failed => 1,
        FailureKind::Usage => 2,
        FailureKind::Config => 4,
        FailureKind::Refused => 5,
        FailureKind::Unreachable => 6,
        FailureKind::Interrupted => 130,
    }
}

/// Every exit status and what it says, for the help and the documentation.
pub const fn exit_codes() -> [(u8, &'static str); 8] {
    [
        (0, "everything that was asked for is so"),
        (exit_code_of(FailureKind::Failed), "it was tried and failed"),
        (exit_code_of(FailureKind::Usage), "the command line cannot be understood"),
        (PARTIAL, "some of it succeeded and some failed"),
        (exit_code_of(FailureKind::Config), "the cloud JSON, the settings or the ensemble list is wrong"),
        (exit_code_of(FailureKind::Refused), "it could be done but must not be"),
        (exit_code_of(FailureKind::Unreachable), "a host or the ensemble cannot be reached"),
        (exit_code_of(FailureKind::Interrupted), "the operator stopped it"),
    ]
}

/// The status of a command that came to these failures; `success` when any part of it succeeded.
pub(super) fn exit_code(failures: &[&Failure], success: bool, interrupted: bool) -> u8 {
    if interrupted {
        return exit_code_of(FailureKind::Interrupted);
    }
    let kinds = failures.iter().map(|failure| failure.kind);
    match kinds.min() {
        None => 0,
        Some(FailureKind::Interrupted) => exit_code_of(FailureKind::Interrupted),
        Some(_) if success => PARTIAL,
        Some(worst) => exit_code_of(worst),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_what_happened() {
        let failed = Failure::failed("x");
        let dead = Failure::unreachable("x");
        assert_eq!(exit_code(&[], true, false), 0);
        assert_eq!(exit_code(&[], true, true), 130);
        assert_eq!(exit_code(&[&dead], true, false), 3);
        assert_eq!(exit_code(&[&dead], false, false), 6);
        assert_eq!(exit_code(&[&dead, &failed], false, false), 1);
    }

    #[test]
    fn no_two_endings_share_a_status() {
        let codes: std::collections::BTreeSet<u8> = exit_codes().iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), exit_codes().len());
    }
}
