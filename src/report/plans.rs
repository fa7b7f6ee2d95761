//! A plan as a person reads it, grouped by host; the same object that would be run.
//!
//! Hosts that are to go through the same steps make one group, so that a plan for many fits a screen.

pub(super) mod rounds;
mod shape;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::plan::{Plan, Price, Risk, Target};

/// So many names are listed; of more, the first, the last and their number are given.
const LISTED: usize = 4;

/// So many changes are priced one by one.
const PRICED: usize = 12;

/// The whole plan: what would be done, what holds, what stands in the way.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{words}");
    };
    line(format!("{} {}", "Plan:".bold(), plan.command));
    for group in groups(plan) {
        line(format!("  {}", names(&group.places, "host").bold()));
        for (number, title, words) in &group.steps {
            line(format!("    {} {title}: {words}", format!("{number}.").dimmed()));
        }
    }
    for told in rounds::of(plan) {
        line(format!("  {told}"));
    }
    for (targets, fact) in holdings(plan) {
        line(format!("  {}  {}", "=".dimmed(), format!("{targets}  {fact}").dimmed()));
    }
    for (targets, reason) in problems(plan) {
        line(format!("  {}  {targets}  left out: {reason}", "!".red().bold()));
    }
    for note in &plan.notes {
        line(format!("  {}  {note}", "note".yellow()));
    }
    if let Some(price) = plan.price.as_ref().filter(|_| !plan.is_empty()) {
        line(format!("  {}", "price".bold()));
        for (what, cost) in prices(price) {
            line(format!("    {what}  {cost}"));
        }
    }
    if plan.is_empty() && plan.problems.is_empty() {
        line("  nothing to do".to_owned());
    }
    text
}

/// Each change and what it costs, in their order, then all of it; of many, the first.
fn prices(price: &Price) -> Vec<(String, String)> {
    let told = price.changes.iter().enumerate().map(|(number, change)| {
        let nodes: Vec<String> = change.nodes.iter().map(ToString::to_string).collect();
        let what = format!("{}. {} {}", number + 1, change.change.verb(), names(&nodes, "node"));
        (what, change.to_string())
    });
    let mut told: Vec<(String, String)> = told.collect();
    if told.len() > PRICED {
        let left_out = told.split_off(PRICED - 1).len();
        told.push((format!("… {left_out} more"), "see --output json".to_owned()));
    }
    told.push(("in all".to_owned(), price.to_string()));
    let width = told.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
    told.into_iter().map(|(what, cost)| (format!("{what:<width$}"), cost)).collect()
}

/// What it costs those who use the clouds, in a sentence; `None` where nobody notices.
pub(super) fn cost(plan: &Plan) -> Option<String> {
    match &plan.risk {
        Risk::Harmless => None,
        Risk::Interrupts { what } | Risk::Destroys { what, .. } => Some(format!("{what}.")),
    }
}

/// What already holds, in one line each.
pub(super) fn render_holdings(plan: &Plan) -> Vec<String> {
    holdings(plan).into_iter().map(|(targets, fact)| format!("{targets}  {fact}")).collect()
}

/// Places that are to go through the same steps: number and title of the stage, and what is done in it.
struct Group {
    places: Vec<String>,
    steps: Vec<(usize, &'static str, String)>,
}

/// In the order in which the places first occur. What goes on in rounds is told by itself.
fn groups(plan: &Plan) -> Vec<Group> {
    let mut places: Vec<Group> = Vec::new();
    for (number, stage) in plan.stages.iter().enumerate().filter(|(_, stage)| stage.round.is_none()) {
        for step in &stage.steps {
            let place = step.target.host().map_or_else(|| step.target.to_string(), |host| host.to_string());
            let steps = shape::of(step).into_iter().map(|words| (number + 1, stage.title, words));
            match places.iter_mut().find(|group| group.places[0] == place) {
                Some(group) => group.steps.extend(steps),
                None => places.push(Group { places: vec![place], steps: steps.collect() }),
            }
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for place in places {
        match groups.iter_mut().find(|group| group.steps == place.steps) {
            Some(group) => group.places.extend(place.places),
            None => groups.push(place),
        }
    }
    groups
}

/// The facts of each target; those that many share are told once.
fn holdings(plan: &Plan) -> Vec<(String, String)> {
    let mut by_target: BTreeMap<&Target, Vec<&str>> = BTreeMap::new();
    for holding in &plan.holds {
        by_target.entry(&holding.target).or_default().push(&holding.fact);
    }
    let mut by_fact: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for (target, facts) in by_target {
        let (target, facts) = (target.to_string(), facts.join(", "));
        let shared = shape::without_pid(&facts);
        match by_fact.iter_mut().find(|(fact, _)| *fact == shared) {
            Some((_, holders)) => holders.push((target, facts)),
            None => by_fact.push((shared, vec![(target, facts)])),
        }
    }
    let mut told = Vec::new();
    for (shared, holders) in by_fact {
        if holders.len() <= LISTED {
            told.extend(holders);
        } else {
            let targets: Vec<String> = holders.into_iter().map(|(target, _)| target).collect();
            told.push((names(&targets, "target"), shared));
        }
    }
    told
}

/// What is left out, and why; what many share is told once.
fn problems(plan: &Plan) -> Vec<(String, String)> {
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    for problem in &plan.problems {
        let target = problem.target.to_string();
        let host = problem.target.host().map_or_else(String::new, |host| host.to_string());
        let told = problem.failure.to_string();
        let own = [&target, &host].into_iter().find_map(|name| told.strip_prefix(&format!("{name}: ")));
        let reason = own.unwrap_or(&told).to_owned();
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, targets)) => targets.push(target),
            None => by_reason.push((reason, vec![target])),
        }
    }
    by_reason.into_iter().map(|(reason, targets)| (names(&targets, "target"), reason)).collect()
}

/// `a, b, c`, or `a … z (16 hosts)`.
fn names(all: &[String], of: &str) -> String {
    match all {
        [first, .., last] if all.len() > LISTED => format!("{first} … {last} ({} {of}s)", all.len()),
        _ => all.join(", "),
    }
}

#[cfg(test)]
#[path = "plans_tests.rs"]
mod tests;
