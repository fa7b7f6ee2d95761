//! One shape for everything that can go wrong: what failed, where, why, what to do; and the exit code it means.
//!
//! Boundary: no printing. `report` renders a [`Failure`]; `main` turns a [`FailureKind`] into the exit status.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of trouble a failure is. Decides the exit status; see `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The work was tried and did not succeed.
    Failed,
    /// The command line cannot be understood.
    Usage,
    /// The cloud JSON, the settings or the ensemble list is wrong.
    Config,
    /// It could be done, but must not be.
    Refused,
    /// A host or the ensemble cannot be reached.
    Unreachable,
    /// The operator stopped it.
    Interrupted,
}

/// One thing that went wrong, fit for a person and for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// What failed and where, as a sentence fragment in lower case.
    pub message: String,
    /// Why, most direct cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The last lines that the failed process itself wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), log: Vec::new() }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Config, message)
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, message)
    }

    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unreachable, message)
    }

    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Interrupted, message)
    }

    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn log(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.log.extend(lines);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        for cause in &self.causes {
            write!(out, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Several failures at once; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures(Vec<Failure>);

impl Failures {
    pub fn as_slice(&self) -> &[Failure] {
        &self.0
    }

    /// `Err` when anything was collected.
    ///
    /// # Errors
    /// The collected failures, if there are any.
    pub fn none_of(collected: Vec<Failure>) -> Result<(), Self> {
        if collected.is_empty() { Ok(()) } else { Err(Self(collected)) }
    }
}

impl From<Failure> for Failures {
    fn from(failure: Failure) -> Self {
        Self(vec![failure])
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, failure) in self.0.iter().enumerate() {
            if position > 0 {
                out.write_str("; ")?;
            }
            write!(out, "{failure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failures {}
