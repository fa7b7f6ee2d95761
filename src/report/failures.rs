//! Failures as a person reads them; those of many hosts that share one cause are told once.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::error::Failure;

/// `error: what`, `cause:`, `hint:` and the failed process's own last lines, one failure after the other.
pub(super) fn render(failures: &[Failure]) -> String {
    let mut text = String::new();
    let mut told: Vec<&Failure> = Vec::new();
    for failure in failures {
        if told.iter().any(|earlier| *earlier == failure || subject_differs(earlier, failure)) {
            continue;
        }
        told.push(failure);
        let like: Vec<&str> = failures
            .iter()
            .filter(|other| subject_differs(failure, other))
            .filter_map(|other| subject(other))
            .collect();
        render_one(&mut text, failure, &like);
    }
    text
}

fn render_one(text: &mut String, failure: &Failure, like: &[&str]) {
    // Writing to a String cannot fail.
    let mut line = |label: &str, words: &str| {
        let _infallible = writeln!(text, "{label} {words}");
    };
    line(&"error:".red().bold().to_string(), &failure.message);
    if !like.is_empty() {
        line(&" also:".bold().to_string(), &like.join(", "));
    }
    for cause in &failure.causes {
        line(&"cause:".bold().to_string(), cause);
    }
    for hint in &failure.hints {
        line(&" hint:".cyan().to_string(), hint);
    }
    for logged in &failure.log {
        line(&"  log |".dimmed().to_string(), logged);
    }
}

/// `host` of `host: what failed`.
fn subject(failure: &Failure) -> Option<&str> {
    failure.message.split_once(": ").map(|(subject, _)| subject)
}

/// The same trouble with another host.
fn subject_differs(one: &Failure, other: &Failure) -> bool {
    let (Some((first, words)), Some((second, other_words))) =
        (one.message.split_once(": "), other.message.split_once(": "))
    else {
        return false;
    };
    let same_hints = one.hints.iter().map(|hint| hint.replace(first, second)).eq(other.hints.iter().cloned());
    let same_causes =
        one.causes.iter().map(|cause| cause.replace(first, second)).eq(other.causes.iter().cloned());
    first != second && words == other_words && same_causes && same_hints && one.log == other.log
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

    #[test]
    fn hosts_that_share_a_cause_are_told_once_by_name() {
        let failures = [dead("a"), dead("b"), Failure::failed("c: disk full"), dead("d")];
        insta::assert_snapshot!(plain(&failures), @r"
        error: a: cannot connect with ssh
         also: b, d
        cause: connect to host a port 22: No route to host
         hint: see whether the host is up
        error: c: disk full
        ");
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
