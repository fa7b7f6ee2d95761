//! Failures as a person reads them; those of many hosts that share one cause are told once.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::error::{Failure, FailureKind};

/// `error: what`, `cause:`, `hint:` and the failed process's own last lines, one failure after the other.
///
/// Failures that differ only in whom they are about make one block, which names them all; its log is that of the first.
pub(super) fn render(failures: &[Failure]) -> String {
    let mut text = String::new();
    for Group(like) in group(failures) {
        if let [failure, others @ ..] = like.as_slice() {
            render_one(&mut text, failure, others);
        }
    }
    text
}

/// Failures of one shape, in the order of whom they are about.
struct Group<'f>(Vec<&'f Failure>);

fn group(failures: &[Failure]) -> Vec<Group<'_>> {
    let mut groups: Vec<(Shape, Group<'_>)> = Vec::new();
    for failure in failures {
        let shape = Shape::of(failure);
        match groups.iter_mut().find(|(known, _)| *known == shape) {
            // Told of twice, it is still one.
            Some((_, Group(like))) if like.iter().any(|other| other.message == failure.message) => {}
            Some((_, Group(like))) => like.push(failure),
            None => groups.push((shape, Group(vec![failure]))),
        }
    }
    for (_, Group(like)) in &mut groups {
        like.sort_by_cached_key(|failure| subject(&failure.message).map(natural));
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Orders `host-2` before `host-10`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for character in name.chars() {
        if in_number && !character.is_ascii_digit() {
            parts.push((String::new(), 0));
        }
        in_number = character.is_ascii_digit();
        if let Some((text, number)) = parts.last_mut() {
            match character.to_digit(10) {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(u64::from(digit)),
                None => text.push(character),
            }
        }
    }
    parts
}

fn render_one(text: &mut String, failure: &Failure, others: &[&Failure]) {
    // Writing to a String cannot fail.
    let mut line = |label: &str, words: &str| {
        let _infallible = writeln!(text, "{label} {words}");
    };
    line(&"error:".red().bold().to_string(), &failure.message);
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().filter_map(|other| subject(&other.message)).collect();
        let count = if others.len() > 1 { format!(" ({} in all)", others.len() + 1) } else { String::new() };
        line(&" also:".bold().to_string(), &format!("{}{count}", names.join(", ")));
    }
    for cause in &failure.causes {
        line(&"cause:".bold().to_string(), cause);
    }
    for hint in &failure.hints {
        line(&" hint:".cyan().to_string(), hint);
    }
    if others.iter().any(|other| other.log != failure.log)
        && let Some(subject) = subject(&failure.message)
    {
        line(&"  log |".dimmed().to_string(), &format!("({subject}; the others say the same of themselves)"));
    }
    for logged in &failure.log {
        line(&"  log |".dimmed().to_string(), logged);
    }
}

/// A failure without whom it is about: equal for all that share one cause.
#[derive(PartialEq, Eq)]
struct Shape {
    kind: FailureKind,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    log: Vec<String>,
}

impl Shape {
    fn of(failure: &Failure) -> Self {
        let Some(subject) = subject(&failure.message) else {
            let Failure { kind, message, causes, hints, log } = failure.clone();
            return Self { kind, message, causes, hints, log };
        };
        // A node's failure may speak of its host and of its port by themselves.
        let (host, port) = subject.rsplit_once(':').unwrap_or((subject, ""));
        let anybody = |text: &String| {
            let text = without_word(&without_word(text, subject), host);
            without_pids(&if port.is_empty() { text } else { without_word(&text, &format!("port {port}")) })
        };
        let all = |texts: &[String]| texts.iter().map(anybody).collect();
        Self {
            kind: failure.kind,
            message: anybody(&failure.message),
            causes: all(&failure.causes),
            hints: all(&failure.hints),
            // Times and numbers differ in every log.
            log: failure.log.iter().map(|line| without_numbers(&anybody(line))).collect(),
        }
    }
}

/// `host` of `host: what failed`; a message about a file or the ensemble has none.
fn subject(message: &str) -> Option<&str> {
    let (subject, _) = message.split_once(": ")?;
    (!subject.is_empty() && !subject.contains(char::is_whitespace)).then_some(subject)
}

/// Takes a name out of a text, but not out of the middle of another name.
fn without_word(text: &str, word: &str) -> String {
    let part = |character: char| character.is_alphanumeric() || "-_".contains(character);
    let mut told = String::new();
    let mut copied = 0;
    for (place, _) in text.match_indices(word) {
        let (before, after) = (&text[..place], &text[place + word.len()..]);
        let mut next = after.chars();
        let goes_on =
            next.next().is_some_and(|first| part(first) || first == '.' && next.next().is_some_and(part));
        let began_before = before.ends_with(|last| part(last) || last == '.');
        if !goes_on && !began_before {
            told = told + &text[copied..place] + "…";
            copied = place + word.len();
        }
    }
    told + &text[copied..]
}

/// `(pid 171)` and `(pid 172)` are no difference.
fn without_pids(text: &str) -> String {
    let mut parts = text.split("pid ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        told + "pid " + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}

fn without_numbers(line: &str) -> String {
    line.chars().filter(|character| !character.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(failures: &[Failure]) -> String {
        anstream::adapter::strip_str(&render(failures)).to_string()
    }

    fn dead(host: &str) -> Failure {
        Failure::unreachable(format!("{host}: cannot connect with ssh"))
            .cause(format!("connect to host {host} port 22: No route to host"))
            .hint("see whether the host is up")
    }

    /// A node that ended for `cause`, with a log of its own.
    fn ended(node: &str, pid: u32, cause: &str) -> Failure {
        let port = node.rsplit_once(':').unwrap().1;
        Failure::failed(format!("{node}: ended before it joined"))
            .cause(format!("its process (pid {pid}) ended: {cause}"))
            .hint(format!("free port {port}"))
            .log([format!("12:00:0{} failed to listen on TCP port {port}", pid % 10)])
    }

    #[test]
    fn hosts_that_share_a_cause_are_told_once_by_name() {
        let failures = [dead("a"), dead("b"), Failure::failed("c: disk full"), dead("d")];
        insta::assert_snapshot!(plain(&failures), @r"
        error: a: cannot connect with ssh
         also: b, d (3 in all)
        cause: connect to host a port 22: No route to host
         hint: see whether the host is up
        error: c: disk full
        ");
    }

    #[test]
    fn nodes_that_share_a_cause_are_told_once_whatever_their_ports_pids_and_times() {
        let taken = |node: &str, pid: u32| ended(node, pid, "the port is taken");
        let failures = [
            taken("10.0.0.1:11211", 171),
            taken("10.0.0.1:11212", 172),
            ended("10.0.0.1:11213", 173, "no mapping"),
            taken("10.0.0.2:11211", 99),
            taken("10.0.0.3:11211", 5),
        ];
        insta::assert_snapshot!(plain(&failures), @r"
        error: 10.0.0.1:11211: ended before it joined
         also: 10.0.0.1:11212, 10.0.0.2:11211, 10.0.0.3:11211 (4 in all)
        cause: its process (pid 171) ended: the port is taken
         hint: free port 11211
          log | (10.0.0.1:11211; the others say the same of themselves)
          log | 12:00:01 failed to listen on TCP port 11211
        error: 10.0.0.1:11213: ended before it joined
        cause: its process (pid 173) ended: no mapping
         hint: free port 11213
          log | 12:00:03 failed to listen on TCP port 11213
        ");
    }

    #[test]
    fn what_is_not_the_same_is_told_apart() {
        let other_cause = dead("b").cause("and something else");
        let other_log = Failure::failed("c: x").log(["one thing".to_owned()]);
        let others_log = Failure::failed("d: x").log(["another thing".to_owned()]);
        let failures = [dead("a"), other_cause, other_log, others_log];
        assert_eq!(group(&failures).len(), 4);
    }

    #[test]
    fn a_failure_that_is_told_twice_is_read_once() {
        assert_eq!(group(&[dead("a"), dead("a"), dead("b"), dead("b")]).len(), 1);
        assert_eq!(plain(&[dead("a"), dead("a")]).matches("error:").count(), 1);
        let nobody = Failure::refused("service code x is not registered");
        assert_eq!(group(&[nobody.clone(), nobody]).len(), 1);
    }

    #[test]
    fn whoever_fails_first_the_order_is_that_of_the_names() {
        let told = plain(&[dead("cache-10"), dead("cache-2"), dead("10.0.0.2:2"), dead("10.0.0.2:11")]);
        let lines: Vec<&str> = told.lines().take(2).collect();
        assert_eq!(
            lines,
            [
                "error: 10.0.0.2:2: cannot connect with ssh",
                " also: 10.0.0.2:11, cache-2, cache-10 (4 in all)"
            ]
        );
    }

    #[test]
    fn a_thousand_hosts_are_grouped_in_no_time() {
        let failures: Vec<Failure> = (0..1000).map(|number| dead(&format!("cache-{number}"))).collect();
        assert!(plain(&failures).contains("(1000 in all)"));
        assert_eq!(group(&failures).len(), 1);
    }

    #[test]
    fn a_name_within_another_name_is_another_name() {
        assert_eq!(
            without_word("a: cannot reach a, but a-1, aa, a.example and b.a", "a"),
            "…: cannot reach …, but a-1, aa, a.example and b.a"
        );
        assert_eq!(
            without_word("10.0.0.1 and 10.0.0.11 and 110.0.0.1, 10.0.0.1.", "10.0.0.1"),
            "… and 10.0.0.11 and 110.0.0.1, …."
        );
    }

    #[test]
    fn a_failed_process_speaks_for_itself() {
        let failure = Failure::failed("10.0.0.1:11211: ended before it joined")
            .cause("exit status 71: the port is taken")
            .hint("free the port")
            .log(["failed to listen on TCP port 11211".to_owned()]);
        insta::assert_snapshot!(plain(&[failure]), @r"
        error: 10.0.0.1:11211: ended before it joined
        cause: exit status 71: the port is taken
         hint: free the port
          log | failed to listen on TCP port 11211
        ");
    }
}
