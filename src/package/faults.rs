//! What is wrong with one package: gathered in any number, told up to a limit.
//!
//! Boundary: knows no package, only words about one.

use std::path::Path;

use crate::error::{Failure, Failures};

/// So many faults are told one by one; the rest is counted.
const TOLD: usize = 20;
/// Longest piece of an entry's name that a message repeats, in characters.
const SHOWN: usize = 160;

/// The faults of one package.
#[derive(Debug)]
pub(super) struct Faults {
    package: String,
    told: Vec<Failure>,
    untold: u64,
}

impl Faults {
    pub(super) fn of(package: &Path) -> Self {
        Self { package: package.display().to_string(), told: Vec::new(), untold: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    pub(super) fn add(&mut self, message: impl AsRef<str>) {
        if self.told.len() < TOLD {
            self.told.push(self.failure(message.as_ref()));
        } else {
            self.untold += 1;
        }
    }

    /// A hint that several faults share is given once.
    pub(super) fn add_with_hint(&mut self, message: impl AsRef<str>, hint: &str) {
        let known = self.told.iter().any(|failure| failure.hints.iter().any(|given| given == hint));
        let room = self.told.len() < TOLD;
        self.add(message);
        if room
            && !known
            && let Some(last) = self.told.pop()
        {
            self.told.push(last.hint(hint));
        }
    }

    /// The fault that kept the rest of the package from being looked at: always told, and told first.
    pub(super) fn end(mut self, message: impl AsRef<str>, hint: &str) -> Failures {
        let mut last = self.failure(message.as_ref());
        if !hint.is_empty() {
            last = last.hint(hint);
        }
        self.told.insert(0, last);
        self.into_failures()
    }

    /// # Errors
    /// The faults, if there are any.
    pub(super) fn none(self) -> Result<(), Failures> {
        if self.is_empty() { Ok(()) } else { Err(self.into_failures()) }
    }

    fn failure(&self, message: &str) -> Failure {
        Failure::config(format!("{}: {message}", self.package))
    }

    fn into_failures(mut self) -> Failures {
        if self.untold > 0 {
            let noun = if self.untold == 1 { "fault" } else { "faults" };
            self.told.push(self.failure(&format!("and {} more {noun} of this kind or another", self.untold)));
        }
        match Failures::none_of(self.told) {
            Err(failures) => failures,
            Ok(()) => Failure::config(format!("{} cannot be used", self.package)).into(),
        }
    }
}

/// A name out of a package for use in a message: in quotes, nothing unprintable, not too long.
pub(super) fn shown(name: impl AsRef<[u8]>) -> String {
    let mut text = String::new();
    for chunk in name.as_ref().utf8_chunks() {
        // The quotes around it are single ones, so a double quote may stand as it is.
        text.push_str(&chunk.valid().escape_debug().to_string().replace("\\\"", "\""));
        text.extend(chunk.invalid().iter().flat_map(|byte| byte.escape_ascii()).map(char::from));
    }
    let rest = if text.chars().count() > SHOWN { "…" } else { "" };
    let head: String = text.chars().take(SHOWN).collect();
    format!("'{head}{rest}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_beyond_the_limit_are_counted() {
        let mut faults = Faults::of(Path::new("p.tgz"));
        for number in 0..TOLD + 3 {
            faults.add_with_hint(format!("fault {number}"), "mend it");
        }
        let failures = faults.none().unwrap_err();
        assert_eq!(failures.as_slice().len(), TOLD + 1);
        assert_eq!(failures.as_slice()[0].hints, ["mend it"]);
        assert!(failures.as_slice()[1].hints.is_empty());
        assert_eq!(failures.as_slice()[TOLD].message, "p.tgz: and 3 more faults of this kind or another");
    }

    #[test]
    fn what_ended_the_reading_is_told_first() {
        let mut faults = Faults::of(Path::new("p.tgz"));
        for _ in 0..TOLD + 3 {
            faults.add("small");
        }
        assert_eq!(faults.end("large", "").as_slice()[0].message, "p.tgz: large");
    }

    #[test]
    fn what_is_shown_is_printable_and_short() {
        assert_eq!(shown("a\n\u{1b}[1m"), r"'a\n\u{1b}[1m'");
        assert_eq!(shown(b"caf\xe9 \"x\""), r#"'caf\xe9 "x"'"#);
        assert_eq!(shown("캐시"), "'캐시'");
        assert_eq!(shown("x".repeat(1000)).chars().count(), SHOWN + 3);
    }
}
