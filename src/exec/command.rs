//! Running an operator's own command on hosts, with what it says kept within bounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use data_encoding::BASE64;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::{Events, Outcome, Perform, StepResult};
use crate::error::Failure;
use crate::model::HostName;
use crate::plan::{Action, Step, Target};
use crate::remote::{Caught, Fleet, Script, scripts};

/// Of each of the two outputs of a host so many bytes are kept.
const MOST_OUTPUT: usize = 1 << 20;

/// What a command said on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostOutput {
    pub host: HostName,
    /// `None` when it did not come to its end: the host was lost, or the time was up.
    pub status: Option<i32>,
    pub stdout: Caught,
    pub stderr: Caught,
    pub seconds: f64,
}

/// Carries out [`Action::RunCommand`], and nothing else.
#[derive(Debug)]
pub struct CommandRunner {
    fleet: Arc<Fleet>,
    limit: Duration,
    elevated: bool,
    outputs: Mutex<BTreeMap<HostName, HostOutput>>,
}

impl CommandRunner {
    /// `limit` is for the command on each host; `elevated`: as root by way of sudo.
    pub fn new(fleet: Arc<Fleet>, limit: Duration, elevated: bool) -> Self {
        Self { fleet, limit, elevated, outputs: Mutex::default() }
    }

    /// What was said, by host.
    pub fn into_outputs(self) -> Vec<HostOutput> {
        self.outputs.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    async fn run(&self, host: &HostName, argv: &[String]) -> Result<String, Failure> {
        let start = Instant::now();
        let script = Script::new("run the command", scripts::RUN_COMMAND).args(argv).elevate(self.elevated);
        let process = self.fleet.host(host).await?.spawn(&script).await?;
        let (mut stdout, mut stderr) = (Caught::default(), Caught::default());
        let caught = process.catch(&mut stdout, &mut stderr, MOST_OUTPUT);
        let ended = tokio::time::timeout(self.limit, caught).await;
        let status = match &ended {
            Ok(Ok(status)) => Some(*status),
            _ => None,
        };
        let seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let output = HostOutput { host: host.clone(), status, stdout, stderr, seconds };
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), output);
        match ended {
            Ok(Ok(0)) => Ok("exit status 0".to_owned()),
            Ok(Ok(status)) => Err(Failure::failed(format!("{host}: exit status {status}"))),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::failed(format!("{host}: did not end within {} s", self.limit.as_secs()))
                .cause("it was sent SIGTERM, and SIGKILL 5 s later")
                .hint("give it more time: --timeout SECONDS")),
        }
    }
}

#[async_trait]
impl Perform for CommandRunner {
    async fn perform(&self, step: &Step, _: &Events) -> Vec<StepResult> {
        let start = Instant::now();
        let ran = match (&step.action, &step.target) {
            (Action::RunCommand { argv }, Target::Host(host)) => self.run(host, argv).await,
            (action, target) => Err(Failure::failed(format!("{target}: {action} is no command"))),
        };
        let outcome = match ran {
            Ok(detail) => Outcome::Done { detail },
            Err(failure) => Outcome::Failed { failure },
        };
        vec![StepResult::since(start, step.target.clone(), outcome)]
    }
}

impl Serialize for HostOutput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("host", &self.host)?;
        map.serialize_entry("exitStatus", &self.status)?;
        for (key, as_bytes, cut, caught) in [
            ("stdout", "stdoutBase64", "stdoutCut", &self.stdout),
            ("stderr", "stderrBase64", "stderrCut", &self.stderr),
        ] {
            match std::str::from_utf8(&caught.kept) {
                Ok(text) => map.serialize_entry(key, text)?,
                Err(_) => map.serialize_entry(as_bytes, &BASE64.encode(&caught.kept))?,
            }
            if caught.cut > 0 {
                map.serialize_entry(cut, &caught.cut)?;
            }
        }
        map.serialize_entry("seconds", &self.seconds)?;
        map.end()
    }
}
