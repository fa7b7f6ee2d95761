//! Having a cache node go back to its cloud.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Operator;
use crate::error::{Failure, FailureKind};
use crate::model::{NodeAddr, ServiceCode};
use crate::node::{NodeLink, Readiness};

/// A node that has just lost its place refuses until it has closed its old session, which takes it a moment.
const CLOSING: Duration = Duration::from_secs(10);
/// It tells nobody when that is done.
const AGAIN: Duration = Duration::from_millis(200);

impl Operator {
    /// Asks the node, which is to be process `pid`, to rejoin and waits until its znode is there.
    pub(super) async fn rejoin_node(
        &self,
        addr: NodeAddr,
        code: &ServiceCode,
        pid: u32,
    ) -> Result<String, Failure> {
        let limit = self.settings.timeouts.join;
        let membership = self.membership(code).await?;
        // It answers once it has a session, which can take as long as ZooKeeper lets it wait.
        let mut link = NodeLink::open(&self.fleet, addr, limit).await?;
        is_process(addr, pid, link.stats("").await?.get("pid").map(String::as_str))?;
        let answer = ask(&mut link).await;
        let joined = match &answer {
            Ok(_) => timeout(limit, membership.joined(addr)).await,
            // It refuses also when it has come back by itself in between; ZooKeeper knows.
            Err(_) if membership.has(addr) => Ok(Ok(())),
            Err(refused) => {
                return Err(refused
                    .clone()
                    .cause("it does not know that it lost its place, or it cannot reach ZooKeeper")
                    .hint(format!("restart it: arcusctl memcached restart {code} {addr}")));
            }
        };
        joined.map_err(|_| {
            Failure::failed(format!(
                "{addr}: took the request to rejoin, but its znode did not appear within {} s",
                limit.as_secs()
            ))
            .hint(format!(
                "it may have rejoined another cloud or under another address: see arcusctl status {code}"
            ))
        })??;
        match link.ready().await? {
            Readiness::Ready => Ok("rejoined, and says READY".to_owned()),
            Readiness::Unknown => Ok("rejoined".to_owned()),
            Readiness::NotReady => {
                Err(Failure::failed(format!("{addr}: is a member again, but says NOT_READY"))
                    .hint(format!("see arcusctl status {code}")))
            }
        }
    }
}

/// Who listens at the port by now may be another: the process was looked at before the operator was asked.
fn is_process(addr: NodeAddr, pid: u32, said: Option<&str>) -> Result<(), Failure> {
    if said == Some(pid.to_string().as_str()) {
        return Ok(());
    }
    let said =
        said.map_or_else(|| "which one it is it does not say".to_owned(), |said| format!("it is pid {said}"));
    Err(Failure::refused(format!("{addr}: what answers there is not the process that was looked at (pid {pid})"))
        .cause(said)
        .hint("it was restarted meanwhile, or another process has that port at its host's loopback address; look again: arcusctl status"))
}

async fn ask(link: &mut NodeLink) -> Result<String, Failure> {
    let begun = Instant::now();
    loop {
        let refused = match link.ask("zkensemble rejoin").await {
            Err(failure) if failure.kind == FailureKind::Refused => failure,
            answered => return answered,
        };
        let knows = link.ready().await? == Readiness::NotReady;
        let closing =
            link.stats("zookeeper").await?.get("zk_connected").is_some_and(|connected| connected == "true");
        if !knows || !closing || begun.elapsed() >= CLOSING {
            return Err(refused);
        }
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_that_was_looked_at_is_asked() {
        let addr = "10.0.0.1:11211".parse().unwrap();
        assert!(is_process(addr, 7, Some("7")).is_ok());
        let other = is_process(addr, 7, Some("71")).unwrap_err();
        assert!(other.message.contains("pid 7") && other.causes[0].contains("pid 71"), "{other:?}");
        assert!(is_process(addr, 7, None).is_err());
    }
}
