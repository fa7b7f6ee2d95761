//! The text of a member's `zoo.cfg`, and what an existing one says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

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

/// The `server.N` lines: `(N, host, peer port)`.
pub(super) fn servers(text: &str) -> Vec<(u32, String, u16)> {
    parse(text)
        .iter()
        .filter_map(|(key, value)| {
            let id = key.strip_prefix("server.")?.parse().ok()?;
            let mut parts = value.split(':');
            let host = parts.next()?.to_owned();
            let peer_port = parts.next()?.parse().ok()?;
            Some((id, host, peer_port))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_other_tools_wrote() {
        let text = "# arcus\n tickTime = 2000\nserver.3=zk3:2888:3888\nserver.1 = 10.0.0.1:2888:3888:participant;2181\n";
        assert_eq!(parse(text)["tickTime"], "2000");
        assert_eq!(servers(text), [(1, "10.0.0.1".into(), 2888), (3, "zk3".into(), 2888)]);
        assert!(!is_reconfigured(text));
        assert!(is_reconfigured("dynamicConfigFile=/x/zoo.cfg.dynamic.100000000\n"));
    }
}
