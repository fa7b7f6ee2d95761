//! What goes on round by round: short before it begins, and node by node where it did not come to its end.

use std::collections::BTreeSet;

use super::{names, shape};
use crate::exec::{Outcome, StepResult};
use crate::plan::{Action, Plan, Stage, Step, Target};

/// Rounds that are told as one.
struct Told {
    first: usize,
    last: usize,
    places: Vec<String>,
    words: Vec<String>,
}

/// The rounds of a plan, in a few lines; none for a plan without.
pub(super) fn of(plan: &Plan) -> Vec<String> {
    let rounds = plan.rounds();
    if rounds == 0 {
        return Vec::new();
    }
    let mut lines = vec![headline(plan, rounds)];
    for Told { first, last, places, words } in told(plan, rounds) {
        let number = if first == last { format!("{first}.") } else { format!("{first}-{last}.") };
        let place = names(&places, "host");
        let each = if first == last { "" } else { ", one by one" };
        lines.extend(words.iter().map(|words| format!("  {number:>6} {place}: {words}{each}")));
    }
    lines
}

fn headline(plan: &Plan, rounds: usize) -> String {
    let of_rounds = plan.stages.iter().filter(|stage| stage.round.is_some());
    let waits: BTreeSet<u32> = of_rounds
        .flat_map(|stage| &stage.steps)
        .filter_map(|step| match step.action {
            Action::Settle { seconds, .. } => Some(seconds),
            _ => None,
        })
        .collect();
    let waits = match (waits.first(), waits.last()) {
        (_, None | Some(0)) => String::new(),
        (Some(least), Some(most)) if least == most => format!(", {most} s between them"),
        (_, Some(most)) => format!(", up to {most} s between them"),
    };
    match rounds {
        1 => "in 1 round".to_owned(),
        _ => format!("in {rounds} rounds{waits}; none is begun once something has failed"),
    }
}

/// Rounds of one restart each are told together for each host, and hosts with the same together.
fn told(plan: &Plan, rounds: usize) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    let mut number = 1;
    while number <= rounds {
        let Some((step, last)) = one_by_one(plan, number) else {
            told.extend(steps_of(plan, number).map(|step| Told {
                first: number,
                last: number,
                places: vec![place(step)],
                words: shape::of(step),
            }));
            number += 1;
            continue;
        };
        let words = shape::of(&step);
        match told.last_mut().filter(|before| before.words == words && before.last + 1 == number) {
            Some(before) => {
                before.last = last;
                before.places.push(place(&step));
            }
            None => told.push(Told { first: number, last, places: vec![place(&step)], words }),
        }
        number = last + 1;
    }
    told
}

/// The restarts of single nodes of one host from round `first` on, as if they were one step, and the last such round.
fn one_by_one(plan: &Plan, first: usize) -> Option<(Step, usize)> {
    let single = |round: usize| {
        let mut steps = steps_of(plan, round);
        let step = steps.next().filter(|_| steps.next().is_none())?;
        match &step.action {
            Action::RestartNodes { nodes, .. } if nodes.len() == 1 => Some((step, nodes)),
            _ => None,
        }
    };
    let (step, _) = single(first)?;
    let mut merged = step.clone();
    let mut last = first;
    while let Some((next, nodes)) = single(last + 1).filter(|(next, _)| next.target == step.target) {
        let Action::RestartNodes { nodes: all, drain, .. } = &mut merged.action else { break };
        match next.action {
            Action::RestartNodes { drain: also, .. } if also == *drain => all.extend(nodes.iter().cloned()),
            _ => break,
        }
        last += 1;
    }
    Some((merged, last))
}

/// What is done in a round; its waiting is told for all rounds at once.
fn steps_of(plan: &Plan, round: usize) -> impl Iterator<Item = &Step> {
    let of_round = move |stage: &&Stage| stage.round == Some(round);
    let steps = plan.stages.iter().filter(of_round).flat_map(|stage| &stage.steps);
    steps.filter(|step| !matches!(step.action, Action::Settle { .. }))
}

fn place(step: &Step) -> String {
    step.target.host().map_or_else(|| step.target.to_string(), |host| host.to_string())
}

/// Which nodes it was done to, with which it failed, and which were left as they were; nothing where all was done, or
/// where it did not go round by round.
pub(in crate::report) fn tally(plan: &Plan, results: &[StepResult]) -> Vec<String> {
    let all_done = results.iter().all(|result| matches!(result.outcome, Outcome::Done { .. }));
    if plan.rounds() == 0 || all_done {
        return Vec::new();
    }
    let of = |fits: fn(&Outcome) -> bool| -> Vec<String> {
        let nodes = results.iter().filter(|result| matches!(result.target, Target::Node(_)));
        let fitting = nodes.filter(|result| fits(&result.outcome));
        let names: BTreeSet<&Target> = fitting.map(|result| &result.target).collect();
        names.into_iter().map(ToString::to_string).collect()
    };
    let kinds = [
        ("done", of(|outcome| matches!(outcome, Outcome::Done { .. }))),
        ("failed", of(|outcome| matches!(outcome, Outcome::Failed { .. }))),
        ("left as they were", of(|outcome| matches!(outcome, Outcome::Skipped { .. }))),
    ];
    let told = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    told.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect()
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
