//! A connection to one cache node.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::reply::{Item, Readiness, item_head, refusal, stat};
use crate::error::{Failure, FailureKind};
use crate::model::{HostName, NodeAddr};
use crate::remote::{Fleet, Stream};

/// For a connection past the host's sshd; a firewall may swallow it.
const DIRECT_LIMIT: Duration = Duration::from_secs(2);
/// A node has no way to tell that it turned to other ZooKeeper members but to be asked.
const TURN_EVERY: Duration = Duration::from_millis(200);
/// No line of an answer is longer: keys have 4000 bytes at most.
const LONGEST_LINE: u64 = 1 << 16;
/// In bytes; a real answer of many lines has some thousands.
const LONGEST_ANSWER: usize = 1 << 20;
/// Of a value no more is kept, however long its node says that it is.
const KEPT: u64 = 1 << 20;

/// A connection to one cache node, with every answer bounded in time and in length. Several questions may follow one another,
/// until one is not answered as it should be: then the connection is of no more use, and every further question fails at once.
pub struct NodeLink {
    addr: NodeAddr,
    /// What it said to the first question: `version`.
    version: String,
    stream: BufReader<Box<dyn Stream>>,
    limit: Duration,
    /// What was sent before its turn, and is not to be sent again.
    sent_ahead: VecDeque<String>,
    /// An answer has begun that was not read to its end. What comes next would be taken for the answer to another question.
    out_of_step: bool,
}

impl std::fmt::Debug for NodeLink {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NodeLink").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl NodeLink {
    /// Connects to the node by way of its host, from whose loopback address a node takes ten connections more than it is
    /// set to, so that a full one answers, too. Where the host forwards nothing or cannot be logged in to, directly.
    ///
    /// # Errors
    /// When the node answers neither way; the failure tells of both.
    pub async fn open(fleet: &Fleet, addr: NodeAddr, limit: Duration) -> Result<Self, Failure> {
        let by_host = async {
            let remote = fleet.host(&HostName::from(addr.ip)).await?;
            let stream = remote.dial(addr.port).await?;
            let asked = Instant::now();
            let greeted = Self::greet(addr, stream, limit).await;
            Ok((greeted, asked.elapsed()))
        };
        let unreached = match by_host.await {
            Ok((Ok(link), _)) => return Ok(link),
            // Whoever takes the connection and says nothing says nothing to anybody else.
            Ok((Err(silent), waited)) if waited >= limit => return Err(silent),
            Ok((Err(failure), _)) | Err(failure) => failure,
        };
        let by_host = |failure: Failure| failure.cause(format!("by way of its host: {}", unreached.message));
        Self::open_directly(addr, limit).await.map_err(by_host)
    }

    /// Connects to the node as a client does.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn open_directly(addr: NodeAddr, limit: Duration) -> Result<Self, Failure> {
        let direct = async {
            let stream = TcpStream::connect((addr.ip, addr.port.get())).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        let no_answer = |cause: String| {
            Failure::unreachable(format!("{addr}: the cache node does not answer")).cause(cause)
        };
        match tokio::time::timeout(DIRECT_LIMIT, direct).await {
            Ok(Ok(stream)) => Self::greet(addr, Box::new(stream), limit).await,
            Ok(Err(error)) => Err(no_answer(error.to_string())),
            Err(_) => Err(no_answer(format!("no connection within {} s", DIRECT_LIMIT.as_secs()))),
        }
    }

    async fn greet(addr: NodeAddr, stream: Box<dyn Stream>, limit: Duration) -> Result<Self, Failure> {
        let stream = BufReader::new(stream);
        let mut link = Self {
            addr,
            version: String::new(),
            stream,
            limit,
            sent_ahead: VecDeque::new(),
            out_of_step: false,
        };
        let line = link.ask("version").await?;
        match line.strip_prefix("VERSION ") {
            Some(version) => link.version = version.to_owned(),
            None => {
                return Err(Failure::unreachable(format!("{addr}: what answers there is no cache node"))
                    .cause(format!("it said {line:?} instead of its version")));
            }
        }
        Ok(link)
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sends these commands in one go; they are to be asked next, in this order. It saves a round trip for each.
    ///
    /// # Errors
    /// When the node does not take them.
    pub async fn ahead(&mut self, commands: &[&str]) -> Result<(), Failure> {
        let text: String = commands.iter().map(|command| format!("{command}\r\n")).collect();
        let (addr, limit) = (self.addr, self.limit);
        let sent = bounded(addr, commands.first().unwrap_or(&""), limit, async {
            self.begin()?;
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await.map(Ok)
        });
        let sent = sent.await;
        self.end(sent)?;
        self.sent_ahead.extend(commands.iter().map(|command| (*command).to_owned()));
        Ok(())
    }

    /// Whether it says of itself that it is in its cloud. That can be wrong: only ZooKeeper knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ready(&mut self) -> Result<Readiness, Failure> {
        Ok(match self.line_for("ready").await?.as_str() {
            "READY" => Readiness::Ready,
            "NOT_READY" => Readiness::NotReady,
            _ => Readiness::Unknown,
        })
    }

    /// `stats`, or `stats WHAT`: its counters by name.
    ///
    /// # Errors
    /// When it does not answer, or does not know them.
    pub async fn stats(&mut self, what: &str) -> Result<BTreeMap<String, String>, Failure> {
        let asked = if what.is_empty() { "stats".to_owned() } else { format!("stats {what}") };
        let (addr, limit) = (self.addr, self.limit);
        let answer = bounded(addr, &asked, limit, async {
            self.send(&asked).await?;
            let mut stats = BTreeMap::new();
            let mut left = LONGEST_ANSWER;
            loop {
                let line = self.line_within(&mut left).await?;
                if line == "END" {
                    return Ok(Ok(stats));
                }
                if let Some(failure) = refusal(addr, &asked, &line) {
                    return Ok(Err(failure));
                }
                stats.extend(stat(&line));
            }
        });
        let answer = answer.await;
        self.end(answer)
    }

    /// Sends one command and gives the line that answers it.
    ///
    /// # Errors
    /// When it does not answer or does not take the command.
    pub async fn ask(&mut self, command: &str) -> Result<String, Failure> {
        let line = self.line_for(command).await?;
        match refusal(self.addr, command, &line) {
            Some(failure) => Err(failure),
            None => Ok(line),
        }
    }

    /// The addresses of ZooKeeper that the node follows (`zkensemble get`), with commas between.
    ///
    /// # Errors
    /// When it does not answer or has none.
    pub async fn zookeeper(&mut self) -> Result<String, Failure> {
        // Two empty lines follow instead of an END; they are passed over before the next answer.
        let line = self.ask("zkensemble get").await?;
        // The server puts blanks between addresses, though it takes commas.
        let addresses = line.split([',', ' ']).filter(|address| !address.is_empty());
        Ok(addresses.collect::<Vec<_>>().join(","))
    }

    /// Has it follow the members of `list`, and sees that it does: it takes the list, and then turns to it. `same` makes two
    /// lists of the same members equal.
    ///
    /// # Errors
    /// When it does not answer, or still follows others when its time is up.
    pub async fn follow<T: PartialEq>(
        &mut self,
        list: &str,
        same: impl Fn(&str) -> T,
    ) -> Result<(), Failure> {
        self.ask(&format!("zkensemble set {list}")).await?;
        let deadline = Instant::now() + self.limit;
        loop {
            let said = self.zookeeper().await?;
            if same(&said) == same(list) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let addr = self.addr;
                return Err(Failure::failed(format!(
                    "{addr}: took the new list of members, and does not follow it"
                ))
                .cause(format!("after {} s zkensemble get still says {said}", self.limit.as_secs_f32())));
            }
            tokio::time::sleep(TURN_EVERY).await;
        }
    }

    /// What it has under `key`; `None` when it has nothing.
    ///
    /// # Errors
    /// When it does not answer or does not take the key.
    pub async fn get(&mut self, key: &str) -> Result<Option<Item>, Failure> {
        let (addr, limit) = (self.addr, self.limit);
        let answer = bounded(addr, "get", limit, async {
            self.send(&format!("get {key}")).await?;
            let mut item = None;
            loop {
                let line = self.line().await?;
                if line == "END" {
                    return Ok(Ok(item));
                }
                let Some((flags, length)) = item_head(&line) else {
                    let unknown = || Failure::failed(format!("{addr}: answers 'get' with {line:?}"));
                    return Ok(Err(refusal(addr, "get", &line).unwrap_or_else(unknown)));
                };
                let mut value = Vec::new();
                let kept = (&mut self.stream).take(length.min(KEPT)).read_to_end(&mut value).await? as u64;
                let mut rest = (&mut self.stream).take(length - length.min(KEPT));
                let dropped = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
                if kept + dropped < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.stream.read_exact(&mut [0; 2]).await?;
                item = Some(Item { flags, length, value });
            }
        });
        let answer = answer.await;
        self.end(answer)
    }

    /// Stores `value` under `key` for `seconds`.
    ///
    /// # Errors
    /// When it does not answer or does not store it.
    pub async fn set(&mut self, key: &str, value: &[u8], seconds: u32) -> Result<(), Failure> {
        self.store("set", key, value, seconds).await
    }

    /// Stores `value` under a `key` that is not there yet, for `seconds`.
    ///
    /// # Errors
    /// When it does not answer or does not store it; also when the key is there.
    pub async fn add(&mut self, key: &str, value: &[u8], seconds: u32) -> Result<(), Failure> {
        self.store("add", key, value, seconds).await
    }

    async fn store(&mut self, how: &str, key: &str, value: &[u8], seconds: u32) -> Result<(), Failure> {
        let (addr, limit) = (self.addr, self.limit);
        let answer = bounded(addr, how, limit, async {
            self.begin()?;
            let mut request = format!("{how} {key} 0 {seconds} {}\r\n", value.len()).into_bytes();
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n");
            self.stream.write_all(&request).await?;
            self.line().await.map(Ok)
        });
        let answer = answer.await;
        let line = self.end(answer)?;
        match line.as_str() {
            "STORED" => Ok(()),
            _ => Err(refusal(addr, how, &line)
                .unwrap_or_else(|| Failure::failed(format!("{addr}: answers '{how}' with {line:?}")))),
        }
    }

    /// The attributes of the item under `key` (`getattr`, of arcus-memcached); `None` when there is none.
    ///
    /// # Errors
    /// When it does not answer or does not know the command.
    pub async fn attributes(&mut self, key: &str) -> Result<Option<BTreeMap<String, String>>, Failure> {
        let (addr, limit) = (self.addr, self.limit);
        let answer = bounded(addr, "getattr", limit, async {
            self.send(&format!("getattr {key}")).await?;
            let mut attributes = BTreeMap::new();
            let mut left = LONGEST_ANSWER;
            loop {
                let line = self.line_within(&mut left).await?;
                match line.as_str() {
                    "END" => return Ok(Ok(Some(attributes))),
                    "NOT_FOUND" => return Ok(Ok(None)),
                    _ => {}
                }
                let Some((name, value)) = line.strip_prefix("ATTR ").and_then(|pair| pair.split_once('='))
                else {
                    let unknown = || Failure::failed(format!("{addr}: answers 'getattr' with {line:?}"));
                    return Ok(Err(refusal(addr, "getattr", &line).unwrap_or_else(unknown)));
                };
                attributes.insert(name.to_owned(), value.to_owned());
            }
        });
        let answer = answer.await;
        self.end(answer)
    }

    /// Removes `key`; false when it was not there.
    ///
    /// # Errors
    /// When it does not answer or does not take the key.
    pub async fn delete(&mut self, key: &str) -> Result<bool, Failure> {
        Ok(self.ask(&format!("delete {key}")).await? == "DELETED")
    }

    async fn line_for(&mut self, command: &str) -> Result<String, Failure> {
        let word = command.split(' ').next().unwrap_or_default();
        let answer = bounded(self.addr, word, self.limit, async {
            self.send(command).await?;
            self.line().await.map(Ok)
        });
        let answer = answer.await;
        self.end(answer)
    }

    /// Every question begins with this and ends with [`Self::end`]; one that is given up in between does not end.
    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.out_of_step, true) {
            return Err(io::Error::other("it did not answer an earlier question on this connection"));
        }
        Ok(())
    }

    /// Only an answer that was understood to its end, be it a refusal, leaves the connection in step.
    fn end<T>(&mut self, answer: Result<Result<T, Failure>, Failure>) -> Result<T, Failure> {
        let answer = answer?;
        self.out_of_step = answer.as_ref().is_err_and(|failure| failure.kind != FailureKind::Refused);
        answer
    }

    async fn send(&mut self, command: &str) -> io::Result<()> {
        self.begin()?;
        if self.sent_ahead.front().is_some_and(|sent| sent == command) {
            self.sent_ahead.pop_front();
            return Ok(());
        }
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// The next line of an answer that may have `left` bytes more.
    async fn line_within(&mut self, left: &mut usize) -> io::Result<String> {
        let line = self.line().await?;
        *left = left.checked_sub(line.len() + 1).ok_or_else(|| {
            io::Error::other(format!("its answer has no end within {LONGEST_ANSWER} bytes"))
        })?;
        Ok(line)
    }

    /// The next line that is not empty, without its end.
    async fn line(&mut self) -> io::Result<String> {
        loop {
            let mut line = Vec::new();
            (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
            if line.last() != Some(&b'\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if !text.is_empty() {
                return Ok(text.to_owned());
            }
        }
    }
}

async fn bounded<T>(
    addr: NodeAddr,
    asked: &str,
    limit: Duration,
    answer: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    let failure = || Failure::unreachable(format!("{addr}: does not answer '{asked}'"));
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(failure().cause("the connection was closed"))
        }
        Ok(Err(error)) => Err(failure().cause(error)),
        Err(_) => Err(failure().cause(format!("nothing within {} s", limit.as_secs_f32()))),
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
