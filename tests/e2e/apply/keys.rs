//! Keys as a client has them: written to and read from the node that its ring names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use arcusctl::model::NodeAddr;
use arcusctl::ring::Ring;

use crate::support::Site;

/// So many keys go into one request.
const AT_ONCE: usize = 50;

/// 100,000 keys of a name of their own.
pub(super) struct Keys(Vec<String>);

impl Keys {
    pub(super) fn new(name: &str) -> Self {
        Self((0..100_000).map(|number| format!("{name}:{number}")).collect())
    }

    /// Writes every key to its node.
    #[track_caller]
    pub(super) fn write(&self, site: &Site) {
        for (node, keys) in self.by_node(site) {
            let stored = with_node(site, node, |stream| {
                let mut lines = String::new();
                for key in &keys {
                    lines += &format!("set {key} 0 0 1 noreply\r\nx\r\n");
                }
                stream.write_all(lines.as_bytes())?;
                Ok(())
            });
            stored.unwrap();
        }
        assert_eq!(self.missing(site), 0, "not every key was stored");
    }

    /// How many keys the node that now has them does not know.
    #[track_caller]
    pub(super) fn missing(&self, site: &Site) -> usize {
        let found: usize = self
            .by_node(site)
            .into_iter()
            .map(|(node, keys)| with_node(site, node, |stream| count_found(stream, &keys)).unwrap())
            .sum();
        self.0.len() - found
    }

    /// The ring is that of the members as ZooKeeper has them.
    fn by_node(&self, site: &Site) -> BTreeMap<NodeAddr, Vec<&str>> {
        let members = site.members("cloud");
        let nodes: BTreeSet<NodeAddr> =
            members.iter().map(|name| NodeAddr::from_ephemeral_name(name).unwrap()).collect();
        let ring = Ring::new(nodes);
        let mut by_node: BTreeMap<NodeAddr, Vec<&str>> = BTreeMap::new();
        for key in &self.0 {
            by_node.entry(ring.owner(key.as_bytes()).unwrap()).or_default().push(key);
        }
        by_node
    }
}

fn with_node<T: Send>(
    site: &Site,
    node: NodeAddr,
    talk: impl FnOnce(&mut TcpStream) -> std::io::Result<T> + Send,
) -> std::io::Result<T> {
    let talked = site.lab.inside(|| {
        let mut stream = TcpStream::connect((node.ip, node.port.get()))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let said = talk(&mut stream)?;
        // What was sent without asking for an answer has been dealt with once this is answered.
        stream.write_all(b"version\r\nquit\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(said)
    });
    Ok(talked.unwrap())
}

fn count_found(stream: &mut TcpStream, keys: &[&str]) -> std::io::Result<usize> {
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut found = 0;
    for keys in keys.chunks(AT_ONCE) {
        stream.write_all(format!("get {}\r\n", keys.join(" ")).as_bytes())?;
        let mut line = String::new();
        while line.trim_end() != "END" {
            line.clear();
            answers.read_line(&mut line)?;
            found += usize::from(line.starts_with("VALUE "));
        }
    }
    Ok(found)
}
