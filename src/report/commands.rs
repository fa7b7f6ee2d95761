//! What a command said on many hosts: hosts that said the same are folded.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::terminal::colourless;
use crate::exec::HostOutput;
use crate::model::human_bytes;
use crate::remote::Caught;

/// Each output once, under the hosts that it came from.
pub(super) fn render(outputs: &[HostOutput]) -> String {
    let mut groups: Vec<(&HostOutput, Vec<&str>)> = Vec::new();
    for output in outputs {
        let same = |(other, _): &&mut (&HostOutput, Vec<&str>)| {
            (other.status, &other.stdout, &other.stderr) == (output.status, &output.stdout, &output.stderr)
        };
        match groups.iter_mut().find(same) {
            Some((_, hosts)) => hosts.push(output.host.as_str()),
            None => groups.push((output, vec![output.host.as_str()])),
        }
    }
    let mut text = String::new();
    for (output, hosts) in groups {
        let many = if hosts.len() > 1 { format!(" ({} hosts)", hosts.len()) } else { String::new() };
        let status = match output.status {
            Some(0) => "exit status 0".green().to_string(),
            Some(status) => format!("exit status {status}").red().to_string(),
            None => "did not end".red().to_string(),
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}{many}: {status}", fold(&hosts).bold());
        add(&mut text, &output.stdout);
        if !output.stderr.kept.is_empty() {
            let _infallible = writeln!(text, "{}", "standard error:".dimmed());
            add(&mut text, &output.stderr);
        }
    }
    text
}

fn add(text: &mut String, caught: &Caught) {
    text.push_str(&colourless(&String::from_utf8_lossy(&caught.kept)));
    if !caught.kept.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if caught.cut > 0 {
        let _infallible = writeln!(text, "{} {} more", "…".yellow(), human_bytes(caught.cut));
    }
}

/// `10.0.0.[1-3,7], cache-a`: names that differ only in the number at their end stand together.
fn fold(hosts: &[&str]) -> String {
    let mut groups: Vec<(&str, Vec<u64>)> = Vec::new();
    for host in hosts {
        let digits = host.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (head, number) = host.split_at(host.len() - digits);
        // A number that would be written otherwise, such as 007, is part of the name.
        match number.parse::<u64>().ok().filter(|value| value.to_string() == number) {
            Some(value) => {
                match groups.iter_mut().find(|(other, values)| *other == head && !values.is_empty()) {
                    Some((_, values)) => values.push(value),
                    None => groups.push((head, vec![value])),
                }
            }
            None => groups.push((host, Vec::new())),
        }
    }
    let told = groups.into_iter().map(|(head, mut values)| {
        values.sort_unstable();
        match values.as_slice() {
            [] => head.to_owned(),
            [one] => format!("{head}{one}"),
            values => format!("{head}[{}]", ranges(values)),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// `1-3,7`
fn ranges(sorted: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for value in sorted {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*value) => *last = *value,
            _ => ranges.push((*value, *value)),
        }
    }
    let told = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    told.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostName;

    fn output(host: &str, status: Option<i32>, stdout: &str, stderr: &str) -> HostOutput {
        let caught = |text: &str| Caught { kept: text.into(), cut: 0 };
        HostOutput {
            host: HostName::new(host),
            status,
            stdout: caught(stdout),
            stderr: caught(stderr),
            seconds: 0.5,
        }
    }

    #[test]
    fn hosts_that_say_the_same_are_told_once() {
        let mut outputs = vec![
            output("10.0.0.1", Some(0), "up\n", ""),
            output("10.0.0.3", Some(2), "", "no such file"),
            output("10.0.0.2", Some(0), "up\n", ""),
            output("10.0.0.4", None, "half", ""),
        ];
        outputs[3].stdout.cut = 2_000_000;
        assert!(!render(&[output("h", Some(0), "\u{1b}[30mblack\n", "")]).contains("[30m"));
        let text = anstream::adapter::strip_str(&render(&outputs)).to_string();
        insta::assert_snapshot!(text, @"
        10.0.0.[1-2] (2 hosts): exit status 0
        up
        10.0.0.3: exit status 2
        standard error:
        no such file
        10.0.0.4: did not end
        half
        … 2.0 MB more
        ");
    }

    #[test]
    fn names_fold_by_the_number_at_their_end() {
        assert_eq!(fold(&["c1", "c2", "c3", "c7", "d2", "x", "e01"]), "c[1-3,7], d2, x, e01");
        assert_eq!(fold(&["10.0.0.9", "10.0.0.10", "10.0.1.1"]), "10.0.0.[9-10], 10.0.1.1");
    }
}
