//! The text of a member's `zoo.cfg`, and what an existing one says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::MemberLayout;

/// What `arcus.sh` configures (arcus `scripts/conf/zoo.cfg`), with old snapshots purged and the admin server off.
///
/// The admin server listens on 8080 by default; a standalone server exits when that port is taken.
const DEFAULTS: [(&str, &str); 10] = [
    ("tickTime", "2000"),
    ("initLimit", "10"),
    ("syncLimit", "5"),
    ("maxClientCnxns", "100"),
    ("minSessionTimeout", "4000"),
    ("maxSessionTimeout", "200000"),
    ("4lw.commands.whitelist", "*"),
    ("autopurge.snapRetainCount", "10"),
    ("autopurge.purgeInterval", "24"),
    ("admin.enableServer", "false"),
];

/// Written by a server that was reconfigured at run time; from then on it owns the file.
const RECONFIGURED: &str = "dynamicConfigFile";

/// Renders the `zoo.cfg` of `own`, one of `all`.
pub(super) fn render(
    own: &MemberLayout,
    all: &[MemberLayout],
    properties: &BTreeMap<String, String>,
) -> String {
    let mut text =
        String::from("# Written by arcusctl zookeeper init; set properties in arcusctl.toml, not here.\n");
    let mut line = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{key}={value}");
    };
    for (key, default) in DEFAULTS {
        line(key, properties.get(key).map_or(default, String::as_str));
    }
    for (key, value) in properties {
        if !DEFAULTS.iter().any(|(known, _)| known == key) {
            line(key, value);
        }
    }
    line("dataDir", &own.data_dir);
    line("clientPort", &own.member.client_port.to_string());
    let mut servers: Vec<&MemberLayout> = all.iter().collect();
    servers.sort_by_key(|server| server.id);
    for server in servers {
        let address = format!("{}:{}:{}", server.member.host, server.peer_port, server.election_port);
        line(&format!("server.{}", server.id), &address);
    }
    text
}

/// An existing `zoo.cfg`: its settings without comments, order and white space.
pub(super) fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// True when ZooKeeper itself took the file over.
pub(super) fn is_reconfigured(text: &str) -> bool {
    parse(text).contains_key(RECONFIGURED)
}

/// One `server.N` line without its client port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    pub host: String,
    pub peer_port: u16,
    pub election_port: u16,
    /// It has no vote.
    pub observer: bool,
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.observer { ":observer" } else { "" };
        write!(out, "{}:{}:{}{role}", self.host, self.peer_port, self.election_port)
    }
}

/// The servers of an ensemble by their ids.
pub type ServerList = BTreeMap<u32, Server>;

/// The `server.N` lines of a `zoo.cfg`, or of what a running server says of its configuration (`conf`, `/zookeeper/config`):
/// `server.N=host:2888:3888[:participant|:observer][;[address:]2181]` (ZooKeeper's `zoo_sample.cfg.dynamic`).
pub fn server_list(text: &str) -> ServerList {
    let server = |value: &str| {
        let address = value.split(';').next()?;
        let mut parts = address.split(':');
        Some(Server {
            host: parts.next()?.to_owned(),
            peer_port: parts.next()?.parse().ok()?,
            election_port: parts.next()?.parse().ok()?,
            observer: parts.next() == Some("observer"),
        })
    };
    let lines = parse(text).into_iter();
    lines
        .filter_map(|(key, value)| Some((key.strip_prefix("server.")?.parse().ok()?, server(&value)?)))
        .collect()
}

/// The list as a member of `all` would have it in its `zoo.cfg`.
pub(super) fn list_of<'a>(all: impl IntoIterator<Item = &'a MemberLayout>) -> ServerList {
    let server = |layout: &MemberLayout| Server {
        host: layout.member.host.to_string(),
        peer_port: layout.peer_port.get(),
        election_port: layout.election_port.get(),
        observer: false,
    };
    all.into_iter().map(|layout| (layout.id, server(layout))).collect()
}

/// What else than the servers changes when `new` takes the place of `old`: `key: old -> new`.
pub(super) fn other_changes(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (parse(old), parse(new));
    let keys: BTreeSet<&String> =
        old.keys().chain(new.keys()).filter(|key| !key.starts_with("server.")).collect();
    let said = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| format!("{key}: {} -> {}", said(old.get(key)), said(new.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_other_tools_wrote() {
        let text = "# arcus\n tickTime = 2000\nserver.3=zk3:2888:3888\nserver.1 = 10.0.0.1:2888:3888:participant;2181\n";
        assert_eq!(parse(text)["tickTime"], "2000");
        let servers: Vec<(u32, String, u16)> =
            server_list(text).into_iter().map(|(id, server)| (id, server.host, server.peer_port)).collect();
        assert_eq!(servers, [(1, "10.0.0.1".into(), 2888), (3, "zk3".into(), 2888)]);
        assert!(!is_reconfigured(text));
        assert!(is_reconfigured("dynamicConfigFile=/x/zoo.cfg.dynamic.100000000\n"));
    }
}
