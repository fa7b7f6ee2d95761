//! What a check found, for a person: passes folded into a line each, all else in full.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::check::{CheckItem, IDS, Subject, Verdict};

/// So many subjects are named; of more, the number is told.
const NAMED: usize = 6;

/// Items of one check that came out alike, but for what they are about.
struct Group<'a> {
    first: &'a CheckItem,
    subjects: Vec<&'a Subject>,
}

/// All items, the worst last: that is where a person's eye is when the command ends.
pub(super) fn render(items: &[CheckItem]) -> String {
    let mut text = String::new();
    for verdict in [Verdict::Pass, Verdict::Warn, Verdict::Fail] {
        for group in groups(items, verdict) {
            // Writing to a String cannot fail.
            let _infallible = match verdict {
                Verdict::Pass => writeln!(text, "{}", pass_line(&group)),
                Verdict::Warn | Verdict::Fail => write!(text, "{}", in_full(&group)),
            };
        }
    }
    text
}

/// `3 failed, 2 warnings, 40 passed`
pub(super) fn summary(items: &[CheckItem]) -> String {
    let count = |verdict| items.iter().filter(|item| item.verdict == verdict).count();
    let (fails, warns) = (count(Verdict::Fail), count(Verdict::Warn));
    let mut told = vec![format!("{} passed", count(Verdict::Pass))];
    if warns > 0 {
        told.push(format!("{warns} warned of").yellow().to_string());
    }
    if fails > 0 {
        told.push(format!("{fails} failed").red().to_string());
    }
    told.join(", ")
}

fn groups(items: &[CheckItem], verdict: Verdict) -> Vec<Group<'_>> {
    let mut found: Vec<Group<'_>> = Vec::new();
    for item in items.iter().filter(|item| item.verdict == verdict) {
        match found.iter_mut().find(|group| is_alike(group.first, item)) {
            Some(group) => group.subjects.push(&item.subject),
            None => found.push(Group { first: item, subjects: vec![&item.subject] }),
        }
    }
    found.sort_by_key(|group| IDS.iter().position(|id| *id == group.first.id));
    found
}

/// The same finding about another subject; the subject may stand in its words.
fn is_alike(one: &CheckItem, other: &CheckItem) -> bool {
    let (own, theirs) = (name(&one.subject), name(&other.subject));
    let same = |left: &str, right: &str| left.replace(&own, "\u{0}") == right.replace(&theirs, "\u{0}");
    let mends = match (&one.mend, &other.mend) {
        (Some(left), Some(right)) => same(left, right),
        (left, right) => left == right,
    };
    // What a pass needed is not shown.
    let needs = one.verdict == Verdict::Pass || same(&one.needed, &other.needed);
    one.id == other.id && same(&one.seen, &other.seen) && needs && mends
}

/// How words refer to a subject: a node by its host's address, too.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Node(addr) => addr.ip.to_string(),
        Subject::Member(member) => member.host.to_string(),
        other => other.to_string(),
    }
}

fn pass_line(group: &Group<'_>) -> String {
    let CheckItem { id, seen, .. } = group.first;
    format!("{}  {id:<17} {}  {}", "pass".green(), common(group, seen), subjects(group).dimmed())
}

fn in_full(group: &Group<'_>) -> String {
    let CheckItem { id, verdict, seen, needed, mend, .. } = group.first;
    let label = match verdict {
        Verdict::Fail => "FAIL".red().bold().to_string(),
        _ => "warn".yellow().to_string(),
    };
    let mut text = format!("{label}  {:<17} {}\n", id.bold(), subjects(group));
    let mend = mend.iter().map(|mend| ("mend", mend));
    for (label, words) in [("seen", seen), ("needed", needed)].into_iter().chain(mend) {
        // Writing to a String cannot fail.
        let _infallible =
            writeln!(text, "        {} {}", format!("{label:<6}").dimmed(), common(group, words));
    }
    text
}

/// Words about one subject, for all of a group.
fn common(group: &Group<'_>, words: &str) -> String {
    if group.subjects.len() == 1 {
        return words.to_owned();
    }
    words.replace(&name(&group.first.subject), "HOST")
}

/// `10.0.0.1, 10.0.0.2`, or `32 hosts`.
fn subjects(group: &Group<'_>) -> String {
    let unique: BTreeSet<&Subject> = group.subjects.iter().copied().collect();
    if unique.len() > NAMED || group.first.verdict == Verdict::Pass && unique.len() > 1 {
        let kind = match group.first.subject {
            Subject::Host(_) => "hosts",
            Subject::Member(_) => "members",
            Subject::Node(_) => "nodes",
            Subject::Cloud(_) | Subject::Ensemble | Subject::Package => "",
        };
        if group.first.verdict == Verdict::Pass {
            return format!("{} {kind}", unique.len());
        }
        let all: Vec<String> = unique.iter().map(ToString::to_string).collect();
        return format!("{} {kind}: {}", unique.len(), all.join(", "));
    }
    let named: Vec<String> = unique.iter().map(ToString::to_string).collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FailureKind;
    use crate::model::HostName;

    fn item(id: &'static str, host: &str, verdict: Verdict, seen: &str) -> CheckItem {
        CheckItem {
            id,
            subject: Subject::Host(HostName::new(host)),
            verdict,
            seen: seen.into(),
            needed: "what is needed".into(),
            mend: (verdict != Verdict::Pass).then(|| format!("ssh {host} mend")),
            kind: FailureKind::Failed,
        }
    }

    #[test]
    fn passes_are_folded_and_all_else_is_told_in_full() {
        let items = [
            item("java", "10.0.0.1", Verdict::Fail, "no Java"),
            item("java", "10.0.0.2", Verdict::Pass, "Java 17"),
            item("java", "10.0.0.3", Verdict::Pass, "Java 17"),
            item("java", "10.0.0.4", Verdict::Fail, "no Java"),
            item("ssh", "10.0.0.2", Verdict::Pass, "logged in as root"),
            item("flock", "10.0.0.2", Verdict::Warn, "no flock"),
        ];
        insta::assert_snapshot!(anstream::adapter::strip_str(&render(&items)).to_string(), @r"
        pass  ssh               logged in as root  10.0.0.2
        pass  java              Java 17  2 hosts
        warn  flock             10.0.0.2
                seen   no flock
                needed what is needed
                mend   ssh 10.0.0.2 mend
        FAIL  java              10.0.0.1, 10.0.0.4
                seen   no Java
                needed what is needed
                mend   ssh HOST mend
        ");
        let told = summary(&items);
        assert_eq!(anstream::adapter::strip_str(&told).to_string(), "3 passed, 1 warned of, 2 failed");
    }
}
