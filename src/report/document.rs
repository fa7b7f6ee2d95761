//! The one document a command comes to: printed whole as JSON, or told to a person.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::exit_code::exit_code;
use super::{KeyReport, PingAnswer, RunDetail, RunSummary, SmokeResult, StatusReport, exit_code_of};
use crate::check::{CheckItem, EnsembleStanding, Verdict};
use crate::config::EnsembleSource;
use crate::error::{Failure, FailureKind, Failures};
use crate::exec::{HostOutput, Outcome, RunReport, StepResult};
use crate::inspect::{CloudReport, Inspected, InstallSeen, ReleaseSeen};
use crate::journal::CloudRun;
use crate::lock::LockStatus;
use crate::logs::LogLine;
use crate::model::{BackupReport, Ensemble, EnsembleMember, HostName, ReleaseId};
use crate::plan::Plan;
use crate::status::CloudStatus;
use crate::zk::{MemberState, Mode};

/// Counts up when a program that reads the JSON output would have to change.
pub const VERSION: u32 = 1;

/// What a command came to (`docs/json-output.md`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub version: u32,
    pub command: &'static str,
    pub exit_code: u8,
    pub dry_run: bool,
    pub interrupted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<StepResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// People are shown the nodes of a cloud only when they asked for that one.
    #[serde(skip)]
    pub nodes_too: bool,
    /// Everything that failed, whether it is in `plan`, in `results` or in `data` as well.
    pub failures: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What it shows has been shown line by line; for programs it is one line itself then.
    #[serde(skip)]
    pub streamed: bool,
    /// The documents of the commands that a command is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Document>,
}

/// What a command that only looks has to show.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Data {
    Members(Vec<MemberReport>),
    Clouds(Vec<CloudReport>),
    Answers(Vec<PingAnswer>),
    Hosts(Vec<HostReleases>),
    Keys(KeyReport),
    Status(StatusReport),
    Smoke(Vec<SmokeResult>),
    /// What is printed as it is.
    Text(String),
    Backup(BackupReport),
    Logs(Vec<LogLine>),
    Outputs(Vec<HostOutput>),
    Files(WrittenFiles),
    Runs(Vec<RunSummary>),
    Run(Box<RunDetail>),
    CloudRuns(Vec<CloudRun>),
    Checks(Vec<CheckItem>),
    Locks(Vec<LockStatus>),
    Ensemble(EnsembleList),
    Standing(EnsembleStanding),
}

/// The ensemble as it is now, and where the operator has another list written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnsembleList {
    pub ensemble: Ensemble,
    /// Where to write it, in words; none where it stands already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub change: Vec<String>,
}

impl EnsembleList {
    pub fn new(ensemble: &Ensemble, listed: &Ensemble, source: &EnsembleSource) -> Self {
        let quoted: Vec<String> = ensemble.members().iter().map(|member| format!("\"{member}\"")).collect();
        let place = match source {
            EnsembleSource::Flag => format!("from now on give: -z {ensemble}"),
            EnsembleSource::Environment => format!("set ARCUSCTL_ZOOKEEPER={ensemble}"),
            EnsembleSource::Settings(path) => {
                format!("in {}: [zookeeper] servers = [{}]", path.display(), quoted.join(", "))
            }
            EnsembleSource::Default => format!("name the ensemble: -z {ensemble}"),
        };
        let mut change = Vec::new();
        if ensemble != listed {
            change.push(place);
            change.push(
                "wherever else the list stands: clients, other operators, scripts that start cache nodes"
                    .to_owned(),
            );
        }
        Self { ensemble: ensemble.clone(), change }
    }
}

/// What a command wrote on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenFiles {
    pub written: Vec<PathBuf>,
    /// What to type next, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<NextStep>,
}

/// One command to go on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    pub run: String,
    pub does: &'static str,
}

/// The releases of one host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostReleases {
    pub host: HostName,
    pub current: Option<ReleaseId>,
    pub previous: Option<ReleaseId>,
    /// Bytes free at the install path.
    pub free: Option<u64>,
    pub releases: BTreeMap<ReleaseId, ReleaseSeen>,
}

/// One member of the ensemble.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberReport {
    pub member: EnsembleMember,
    #[serde(flatten)]
    pub state: MemberState,
}

impl Document {
    fn new(command: &'static str) -> Self {
        Self {
            version: VERSION,
            command,
            exit_code: 0,
            dry_run: false,
            interrupted: false,
            plan: None,
            results: Vec::new(),
            data: None,
            nodes_too: false,
            failures: Vec::new(),
            seconds: None,
            streamed: false,
            parts: Vec::new(),
        }
    }

    fn settle(mut self, success: bool) -> Self {
        let failures: Vec<&Failure> = self.failures.iter().collect();
        self.exit_code = exit_code(&failures, success, self.interrupted);
        self
    }

    /// A command that could not even begin.
    pub fn of_failures(command: &'static str, failures: &Failures) -> Self {
        let failures = failures.as_slice().to_vec();
        let interrupted = failures.iter().any(|failure| failure.kind == FailureKind::Interrupted);
        Self { failures, interrupted, ..Self::new(command) }.settle(false)
    }

    /// A plan that is shown and not run.
    pub fn of_plan(plan: Plan) -> Self {
        let failures = plan.problems.iter().map(|problem| problem.failure.clone()).collect();
        let success = !plan.is_empty() || !plan.holds.is_empty();
        let document = Self::new(plan.command);
        Self { failures, dry_run: true, plan: Some(plan), ..document }.settle(success)
    }

    /// A plan that was run.
    pub fn of_run(plan: Plan, report: RunReport, elapsed: Duration) -> Self {
        let problems = plan.problems.iter().map(|problem| problem.failure.clone());
        let failed = report.results.iter().filter_map(|result| result.failure().cloned());
        let failures = problems.chain(failed).collect();
        let done = report.results.iter().any(|result| matches!(result.outcome, Outcome::Done { .. }));
        // What was finished in spite of an interrupt is as good as not interrupted.
        let unfinished = report.results.iter().any(|result| !matches!(result.outcome, Outcome::Done { .. }));
        let success = done || !plan.holds.is_empty();
        let document = Self::new(plan.command);
        Self {
            failures,
            interrupted: report.interrupted && unfinished,
            seconds: Some((elapsed.as_secs_f64() * 1000.0).round() / 1000.0),
            results: report.results,
            plan: Some(plan),
            ..document
        }
        .settle(success)
    }

    /// The state of these members of an ensemble of `size`.
    pub fn of_ensemble(states: Vec<(EnsembleMember, MemberState)>, size: usize) -> Self {
        let failures: Vec<Failure> =
            states.iter().filter_map(|(member, state)| member_failure(member, state, size)).collect();
        let success = failures.len() < states.len();
        let members = states.into_iter().map(|(member, state)| MemberReport { member, state }).collect();
        Self { failures, data: Some(Data::Members(members)), ..Self::new("zookeeper stat") }.settle(success)
    }

    /// What became of a key on each live node.
    pub fn of_smoke(results: Vec<SmokeResult>) -> Self {
        let failures: Vec<Failure> = results.iter().filter_map(|result| result.failure.clone()).collect();
        let success = failures.len() < results.len();
        Self { failures, data: Some(Data::Smoke(results)), ..Self::new("smoke") }.settle(success)
    }

    /// The ensemble and the clouds, and what could not be looked at. Whatever disagrees has failed; without ZooKeeper
    /// nobody knows who is a member, and that is worse than anything that was seen. `nodes_too` when a person is to see
    /// the nodes.
    pub fn of_status(
        report: StatusReport,
        unseen: Vec<Failure>,
        has_zookeeper: bool,
        nodes_too: bool,
    ) -> Self {
        let size = report.ensemble.len();
        let members = report.ensemble.iter();
        let members = members.filter_map(|report| member_failure(&report.member, &report.state, size));
        let disagreements = report.clouds.iter().flat_map(CloudStatus::disagreements);
        let failures =
            unseen.into_iter().chain(members).chain(disagreements.map(|one| one.failure.clone())).collect();
        let document = Self { failures, data: Some(Data::Status(report)), nodes_too, ..Self::new("status") }
            .settle(true);
        if has_zookeeper {
            return document;
        }
        Self { exit_code: exit_code_of(FailureKind::Unreachable), ..document }
    }

    /// The clouds; `nodes_too` when a person is to see every node.
    pub fn of_clouds(clouds: Vec<CloudReport>, nodes_too: bool) -> Self {
        Self { data: Some(Data::Clouds(clouds)), nodes_too, ..Self::new("memcached list") }.settle(true)
    }

    /// The releases of every host that could be asked.
    pub fn of_releases(hosts: Vec<(HostName, Inspected<InstallSeen>)>) -> Self {
        let mut failures = Vec::new();
        let mut answered = Vec::new();
        for (host, seen) in hosts {
            match seen {
                Ok(seen) => {
                    let InstallSeen { current, previous, free, releases, .. } = seen;
                    answered.push(HostReleases { host, current, previous, free, releases });
                }
                Err(failure) => failures.push(failure),
            }
        }
        let success = !answered.is_empty();
        Self { failures, data: Some(Data::Hosts(answered)), ..Self::new("releases") }.settle(success)
    }

    /// The runs of this operator.
    pub fn of_runs(runs: Vec<RunSummary>) -> Self {
        Self { data: Some(Data::Runs(runs)), ..Self::new("history") }.settle(true)
    }

    /// One of them. How it ended is no matter of the command that shows it.
    pub fn of_run_detail(run: RunDetail) -> Self {
        Self { data: Some(Data::Run(Box::new(run))), ..Self::new("history show") }.settle(true)
    }

    /// The last runs that changed a cloud.
    pub fn of_cloud_runs(runs: Vec<CloudRun>) -> Self {
        Self { data: Some(Data::CloudRuns(runs)), ..Self::new("history") }.settle(true)
    }

    /// How the ensemble stands.
    pub fn of_standing(standing: EnsembleStanding) -> Self {
        let failures = standing.failures();
        let success = standing.serving > 0;
        Self { failures, data: Some(Data::Standing(standing)), ..Self::new("zookeeper status") }
            .settle(success)
    }

    /// What the ensemble is once members came or went.
    pub fn of_list(command: &'static str, list: EnsembleList) -> Self {
        Self { data: Some(Data::Ensemble(list)), ..Self::new(command) }.settle(true)
    }

    /// Who has which lock, and of which places that could not be told.
    pub fn of_locks(locks: Vec<LockStatus>, failures: Vec<Failure>) -> Self {
        let success = !locks.is_empty();
        Self { failures, data: Some(Data::Locks(locks)), ..Self::new("lock status") }.settle(success)
    }

    /// Answers to `ping`, and what kept others from being asked.
    pub fn of_ping(answers: Vec<PingAnswer>, unasked: Vec<Failure>) -> Self {
        let failed = answers.iter().filter_map(|answer| answer.failure.clone());
        let failures = failed.chain(unasked).collect();
        let success = answers.iter().any(|answer| answer.failure.is_none());
        Self { failures, data: Some(Data::Answers(answers)), ..Self::new("ping") }.settle(success)
    }

    /// A text that was asked for.
    pub fn of_text(command: &'static str, text: String) -> Self {
        Self { data: Some(Data::Text(text)), ..Self::new(command) }.settle(true)
    }

    /// The same, with what a command said on each host.
    #[must_use]
    pub fn with_outputs(self, outputs: Vec<HostOutput>) -> Self {
        Self { data: Some(Data::Outputs(outputs)), ..self }
    }

    /// Lines of the logs on so many hosts, some of which failed.
    pub fn of_logs(command: &'static str, lines: Vec<LogLine>, hosts: usize, failures: Vec<Failure>) -> Self {
        let success = failures.len() < hosts;
        Self { failures, data: Some(Data::Logs(lines)), ..Self::new(command) }.settle(success)
    }

    /// Logs that were shown as they came. That the operator ended it is how it ends.
    pub fn of_followed_logs(command: &'static str, hosts: usize, failures: Vec<Failure>) -> Self {
        let success = failures.len() < hosts;
        Self { failures, streamed: true, ..Self::new(command) }.settle(success)
    }

    /// A backup that was written. What is missing in it is a failure: somebody may rely on it.
    pub fn of_backup(report: BackupReport) -> Self {
        let failures: Vec<Failure> = report
            .left_out
            .iter()
            .map(|(path, why)| {
                Failure::refused(format!("{path} is not in the backup, nor is anything below it"))
                    .cause(why)
                    .hint("Arcus's znodes are open to everyone and hold nobody but members; see who made this one")
            })
            .collect();
        Self { failures, data: Some(Data::Backup(report)), ..Self::new("backup") }.settle(true)
    }

    /// The same, with a text to print as it is in place of what it tells.
    #[must_use]
    pub fn with_text(self, text: String) -> Self {
        Self { data: Some(Data::Text(text)), ..self }
    }

    /// Files that were written, and what to do with them.
    pub fn of_files(command: &'static str, written: Vec<PathBuf>, next: Vec<NextStep>) -> Self {
        Self { data: Some(Data::Files(WrittenFiles { written, next })), ..Self::new(command) }.settle(true)
    }

    /// Where keys are, and which could not be asked for.
    pub fn of_keys(report: KeyReport, failures: Vec<Failure>) -> Self {
        let success = failures.len() < report.keys.len();
        Self { failures, data: Some(Data::Keys(report)), ..Self::new("locate") }.settle(success)
    }

    /// What was checked. Something is so when a host has no fail; without any such host nothing is.
    pub fn of_checks(items: Vec<CheckItem>) -> Self {
        let success = some_host_is_sound(&items);
        let failures = items.iter().filter_map(CheckItem::failure).collect();
        Self { failures, data: Some(Data::Checks(items)), ..Self::new("check") }.settle(success)
    }

    /// What was checked once `mended` was through, whose plan and results it keeps.
    pub fn of_mended_checks(mended: Self, items: Vec<CheckItem>) -> Self {
        let Self { plan, results, mut failures, interrupted, dry_run, seconds, .. } = mended;
        // A host that cannot be logged in to is told of by its own check.
        let shut: BTreeSet<HostName> = items
            .iter()
            .filter(|item| item.id == "ssh" && item.verdict == Verdict::Fail)
            .filter_map(|item| item.subject.host())
            .collect();
        for problem in plan.iter().flat_map(|plan| &plan.problems) {
            if problem.target.host().is_some_and(|host| shut.contains(&host)) {
                failures.retain(|failure| *failure != problem.failure);
            }
        }
        let success = some_host_is_sound(&items);
        let checked = Self::of_checks(items);
        let failures = failures.into_iter().chain(checked.failures.clone()).collect();
        Self { plan, results, failures, interrupted, dry_run, seconds, ..checked }.settle(success)
    }

    /// What `mended` came to, after which looking again failed or was interrupted.
    pub fn of_unchecked_mending(mended: Self, failures: &Failures) -> Self {
        let success = mended.has_success();
        let unchecked = Self::of_failures("check", failures);
        Self {
            command: unchecked.command,
            interrupted: mended.interrupted || unchecked.interrupted,
            failures: mended.failures.iter().cloned().chain(unchecked.failures).collect(),
            ..mended
        }
        .settle(success)
    }

    /// A command made of others.
    pub fn of_parts(command: &'static str, parts: Vec<Self>) -> Self {
        let failures = parts.iter().flat_map(|part| part.failures.iter().cloned()).collect();
        let success = parts.iter().any(Self::has_success);
        Self {
            failures,
            interrupted: parts.iter().any(|part| part.interrupted),
            dry_run: parts.iter().any(|part| part.dry_run),
            parts,
            ..Self::new(command)
        }
        .settle(success)
    }

    /// Something of what was asked for is so.
    pub fn has_success(&self) -> bool {
        let done = self.results.iter().any(|result| matches!(result.outcome, Outcome::Done { .. }));
        let holds = self.plan.as_ref().is_some_and(|plan| {
            !plan.holds.is_empty()
                || (self.dry_run && !plan.is_empty())
                || plan.is_empty() && plan.problems.is_empty()
        });
        done || holds || self.data.is_some() || self.parts.iter().any(Self::has_success)
    }

    /// There was nothing to do.
    pub fn is_unchanged(&self) -> bool {
        self.plan.as_ref().is_some_and(Plan::is_empty)
    }
}

/// What is wrong with a member of an ensemble of `size`.
fn member_failure(member: &EnsembleMember, state: &MemberState, size: usize) -> Option<Failure> {
    match state.stats() {
        None => {
            let failure = Failure::unreachable(format!("{member}: does not serve")).cause(state.describe());
            Some(failure.hint(match state {
                MemberState::Unreachable { .. } => "see whether its host is up and reachable from here",
                _ => "start it: arcusctl zookeeper start",
            }))
        }
        Some(stats) if size > 1 && stats.mode == Mode::Standalone => Some(
            Failure::failed(format!("{member}: serves alone, it is no member of an ensemble"))
                .cause(format!("the ensemble list has {size} members, and its zoo.cfg one"))
                .hint("clients that reach it see other znodes than the rest; see arcusctl zookeeper init --dry-run"),
        ),
        Some(_) => None,
    }
}

/// Some host has no fail.
fn some_host_is_sound(items: &[CheckItem]) -> bool {
    let hosts = |fits: fn(Verdict) -> bool| -> BTreeSet<HostName> {
        items.iter().filter(|item| fits(item.verdict)).filter_map(|item| item.subject.host()).collect()
    };
    let failed = hosts(|verdict| verdict == Verdict::Fail);
    hosts(|_| true).iter().any(|host| !failed.contains(host))
}
