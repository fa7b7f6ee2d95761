//! A plan as a person reads it, grouped by what it is about; the same object that would be run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::plan::{Action, Plan, Step, Target};

/// The whole plan: what holds, what would be done, what stands in the way.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |indent: &str, words: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{indent}{words}");
    };
    line("", format!("{} {}", "Plan:".bold(), plan.command));
    let holds = by_target(plan.holds.iter().map(|holding| (&holding.target, holding.fact.clone())));
    for (target, facts) in holds {
        line("  ", format!("{}  {target} {}", "=".dimmed(), facts.join(", ").dimmed()));
    }
    for (number, stage) in plan.stages.iter().enumerate() {
        line("  ", format!("{} {}", format!("{}.", number + 1).bold(), stage.title.bold()));
        for step in &stage.steps {
            for words in details(step) {
                line("     ", format!("{}  {}: {words}", "+".green(), step.target));
            }
        }
    }
    for problem in &plan.problems {
        line("  ", format!("{}  {}: left out, {}", "!".red().bold(), problem.target, problem.failure));
    }
    for note in &plan.notes {
        line("  ", format!("{}  {note}", "note".yellow()));
    }
    if plan.is_empty() && plan.problems.is_empty() {
        line("  ", "nothing to do".to_owned());
    }
    text
}

/// What already holds, in one line each.
pub(super) fn render_holdings(plan: &Plan) -> Vec<String> {
    let holds = by_target(plan.holds.iter().map(|holding| (&holding.target, holding.fact.clone())));
    holds.into_iter().map(|(target, facts)| format!("{target}  {}", facts.join(", "))).collect()
}

fn by_target<'a>(facts: impl Iterator<Item = (&'a Target, String)>) -> BTreeMap<&'a Target, Vec<String>> {
    let mut grouped: BTreeMap<&Target, Vec<String>> = BTreeMap::new();
    for (target, fact) in facts {
        grouped.entry(target).or_default().push(fact);
    }
    grouped
}

fn details(step: &Step) -> Vec<String> {
    match &step.action {
        Action::StartNodes { nodes, .. } => nodes.iter().map(ToString::to_string).collect(),
        Action::CommitZnodes { summary, .. } => summary.clone(),
        action => vec![action.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;
    use crate::model::{Compression, HostName};
    use crate::plan::{Gate, Holding, Problem, Stage};

    #[test]
    fn a_plan_shows_what_holds_what_comes_and_what_is_left_out() {
        let host = |name: &str| Target::Host(HostName::new(name));
        let release = "12ab34cd56ef".parse().unwrap();
        let plan = Plan {
            stages: vec![Stage {
                title: "Stage",
                gate: Gate::OwnTarget,
                steps: vec![Step {
                    target: host("b"),
                    action: Action::StageRelease {
                        release,
                        bytes: 9_400_000,
                        compression: Compression::Gzip,
                        partial: 0,
                    },
                }],
            }],
            holds: vec![Holding { target: host("a"), fact: "has release 12ab34cd56ef in use".into() }],
            problems: vec![Problem {
                target: host("c"),
                failure: Failure::unreachable("c: cannot connect with ssh"),
            }],
            ..Plan::new("deploy")
        };
        insta::assert_snapshot!(anstream::adapter::strip_str(&render(&plan)).to_string(), @r"
        Plan: deploy
          =  a has release 12ab34cd56ef in use
          1. Stage
             +  b: send and unpack release 12ab34cd56ef (9.4 MB)
          !  c: left out, c: cannot connect with ssh
        ");
    }
}
