//! How fast a command goes from node to node.

use std::time::Duration;

use clap::Args;

use super::context::Context;
use crate::error::Failures;
use crate::inspect::inspect_session_timeouts;
use crate::model::NodeAddr;
use crate::plan::{Pace, settling_time};

/// A node that serves says at once what its session is; one that does not is not waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

#[derive(Args, Clone, Copy, Debug)]
pub struct Pacing {
    /// So many nodes at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// For so many seconds a node that has left its cloud serves the connections it has; 0 stops it at once
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(..=600))]
    pub drain: u16,
    /// Seconds to wait after nodes have joined [default: the session timeout of the cloud's nodes]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86400))]
    pub settle: Option<u32>,
}

impl Pacing {
    /// The pace at which nodes go on that are live now: as the operator says, or as their sessions do.
    pub(super) async fn pace(
        &self,
        context: &Context,
        max_unavailable: Option<u16>,
        members: impl Iterator<Item = NodeAddr>,
    ) -> Result<Pace, Failures> {
        let settle = match self.settle {
            Some(seconds) => seconds,
            None => {
                let asking = inspect_session_timeouts(&context.fleet, members, ANSWER_LIMIT);
                settling_time(context.look(asking).await?, context.settings.memcached.session_timeout)
            }
        };
        Ok(Pace {
            batch: usize::from(self.batch),
            max_unavailable: usize::from(max_unavailable.unwrap_or(self.batch)),
            drain: self.drain,
            settle,
        })
    }
}
