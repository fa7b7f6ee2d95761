//! One answer to `ping`.

use std::time::Duration;

use serde::Serialize;

use crate::error::Failure;
use crate::plan::Target;

/// Who was asked, what it answered and how long that took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PingAnswer {
    pub target: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub milliseconds: f64,
}

impl PingAnswer {
    pub fn new(target: Target, answer: Result<String, Failure>, elapsed: Duration) -> Self {
        let milliseconds = (elapsed.as_secs_f64() * 10_000.0).round() / 10.0;
        let (answer, failure) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure)),
        };
        Self { target, answer, failure, milliseconds }
    }
}
