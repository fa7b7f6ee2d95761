//! What a ZooKeeper server says of itself, by the one word that every version answers: `srvr`.

use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::model::{Ensemble, EnsembleMember};

/// `srvr` answers are well under a kilobyte; a port that talks without end is no ZooKeeper.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// A server's part in the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Leader,
    Follower,
    Observer,
    Standalone,
    ReadOnly,
}

/// The figures of a `srvr` answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStats {
    pub version: String,
    pub mode: Mode,
    pub zxid: String,
    pub connections: u64,
    pub outstanding: u64,
    /// Milliseconds.
    pub latency_min: f64,
    /// Milliseconds.
    pub latency_avg: f64,
    /// Milliseconds.
    pub latency_max: f64,
    pub znodes: u64,
}

/// What was found at a member's client port.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum MemberState {
    /// It serves requests.
    Serving(ServerStats),
    /// A ZooKeeper server that has no quorum (yet).
    NotServing,
    /// Nothing listens there.
    Down { reason: String },
    /// Nothing answers there.
    Unreachable { reason: String },
    /// Something listens there that is no ZooKeeper server, or one that refuses `srvr`.
    Strange { answer: String },
    /// Something listens there and says nothing.
    Silent,
}

impl MemberState {
    pub fn stats(&self) -> Option<&ServerStats> {
        match self {
            Self::Serving(stats) => Some(stats),
            _ => None,
        }
    }

    /// One phrase for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Serving(stats) => stats.mode.as_str().to_owned(),
            Self::NotServing => "running, but without a quorum".to_owned(),
            Self::Down { reason } => format!("down ({reason})"),
            Self::Unreachable { reason } => format!("unreachable ({reason})"),
            Self::Strange { answer } => format!("answers srvr with {answer:?}"),
            Self::Silent => "accepts connections but does not answer".to_owned(),
        }
    }
}

#[cfg(test)]
impl MemberState {
    /// A member that serves, and nothing else about it that would matter.
    pub(crate) fn serving(mode: Mode) -> Self {
        Self::Serving(ServerStats {
            version: "3.5.9".into(),
            mode,
            zxid: "0x1".into(),
            connections: 1,
            outstanding: 0,
            latency_min: 0.0,
            latency_avg: 0.0,
            latency_max: 0.0,
            znodes: 5,
        })
    }
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::Standalone => "standalone",
            Self::ReadOnly => "read-only",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Leader, Self::Follower, Self::Observer, Self::Standalone, Self::ReadOnly]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

/// Asks one member; takes `limit` at most.
pub async fn probe_member(member: &EnsembleMember, limit: Duration) -> MemberState {
    let deadline = Instant::now() + limit;
    let connecting = TcpStream::connect((member.host.as_str(), member.client_port.get()));
    let stream = match tokio::time::timeout_at(deadline, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return MemberState::Down { reason: "connection refused".to_owned() };
        }
        Ok(Err(error)) => return MemberState::Unreachable { reason: error.to_string() },
        Err(_) => {
            return MemberState::Unreachable {
                reason: format!("no answer within {} s", limit.as_secs_f32()),
            };
        }
    };
    // A ZooKeeper server closes the connection after its answer. What does not is something else, or hangs.
    let mut answer = Vec::new();
    let text = |answer: &[u8]| String::from_utf8_lossy(answer).into_owned();
    match tokio::time::timeout_at(deadline, ask(stream, "srvr", &mut answer)).await {
        Ok(Ok(())) => read_answer(&text(&answer)),
        Ok(Err(error)) => MemberState::Unreachable { reason: error.to_string() },
        Err(_) if answer.is_empty() => MemberState::Silent,
        Err(_) => read_answer(&text(&answer)),
    }
}

/// Asks every member at once; the answers stand in the ensemble's order.
pub async fn probe_members(ensemble: &Ensemble, limit: Duration) -> Vec<(EnsembleMember, MemberState)> {
    let probes = ensemble.members().iter().map(|member| async move {
        let state = probe_member(member, limit).await;
        (member.clone(), state)
    });
    join_all(probes).await
}

/// What a member answers to another word, such as `mntr`; `None` when it does not answer, or not to this word: servers
/// from 3.5 on answer those alone that `4lw.commands.whitelist` names.
pub async fn ask_word(member: &EnsembleMember, word: &'static str, limit: Duration) -> Option<String> {
    let asking = async {
        let stream = TcpStream::connect((member.host.as_str(), member.client_port.get())).await?;
        let mut answer = Vec::new();
        ask(stream, word, &mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(limit, asking).await.ok()?.ok()?;
    (!answer.contains("is not executed because it is not in the whitelist")).then_some(answer)
}

/// Reads into `answer` as it comes, so that what came before a time-out is not lost.
async fn ask(mut stream: TcpStream, word: &str, answer: &mut Vec<u8>) -> std::io::Result<()> {
    // No line end: a server closes the connection with it unread, and that reset can overtake the answer.
    stream.write_all(word.as_bytes()).await?;
    let mut stream = stream.take(LONGEST_ANSWER);
    while stream.read_buf(answer).await? > 0 {}
    Ok(())
}

fn read_answer(text: &str) -> MemberState {
    if text.contains("not currently serving requests") {
        return MemberState::NotServing;
    }
    // A server that is just starting closes the connection without a word.
    if text.is_empty() {
        return MemberState::NotServing;
    }
    parse_srvr(text).map_or_else(
        || MemberState::Strange {
            answer: text.lines().next().unwrap_or_default().chars().take(80).collect(),
        },
        MemberState::Serving,
    )
}

fn parse_srvr(text: &str) -> Option<ServerStats> {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut latency = field("Latency min/avg/max")?.split('/').map(str::parse::<f64>);
    let mut next_latency = || latency.next()?.ok();
    Some(ServerStats {
        version: field("Zookeeper version")?.split([',', '-']).next()?.to_owned(),
        mode: Mode::parse(field("Mode")?)?,
        zxid: field("Zxid")?.to_owned(),
        connections: field("Connections")?.parse().ok()?,
        outstanding: field("Outstanding")?.parse().ok()?,
        latency_min: next_latency()?,
        latency_avg: next_latency()?,
        latency_max: next_latency()?,
        znodes: field("Node count")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER_3_5: &str = "Zookeeper version: 3.5.9-83df9301aa5c2a5d284a9940177808c01bc35cef, built on 01/06/2021 20:03 GMT\n\
        Latency min/avg/max: 0/1/23\nReceived: 76\nSent: 75\nConnections: 3\nOutstanding: 0\n\
        Zxid: 0x100000012\nMode: follower\nNode count: 27\n";
    const ANSWER_3_8: &str = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2023-01-29 12:57 UTC\n\
        Latency min/avg/max: 0/0.5385/4\nReceived: 27\nSent: 26\nConnections: 1\nOutstanding: 0\n\
        Zxid: 0x7\nMode: leader\nNode count: 9\nProposal sizes last/min/max: 48/48/102\n";

    #[test]
    fn reads_the_answers_of_old_and_new_servers() {
        let old = read_answer(ANSWER_3_5);
        let new = read_answer(ANSWER_3_8);
        let old = old.stats().unwrap();
        let new = new.stats().unwrap();
        assert_eq!((old.version.as_str(), old.mode, old.znodes), ("3.5.9", Mode::Follower, 27));
        assert_eq!((new.version.as_str(), new.mode, new.latency_avg), ("3.8.0", Mode::Leader, 0.5385));
    }

    #[test]
    fn a_server_without_quorum_is_not_serving() {
        assert_eq!(
            read_answer("This ZooKeeper instance is not currently serving requests\n"),
            MemberState::NotServing
        );
    }

    #[test]
    fn something_else_on_the_port_is_named() {
        assert_eq!(read_answer("ERROR\r\n"), MemberState::Strange { answer: "ERROR".into() });
    }
}
