//! What the tree says of one cloud: its nodes by state, and what each is to be started with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::tree::{ArcusTree, RegisteredCode};
use crate::config::parse_registered;
use crate::error::Failure;
use crate::model::{Cloud, NodeAddr, NodeOptions, ServiceCode, znode};

/// How a cloud does, from a client's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CloudStatus {
    /// Every registered node is online.
    Ok,
    /// Some registered node is not.
    SomeDown,
    /// No registered node is online.
    Down,
}

/// A node as far as it can be named: a mapping whose host nobody knows has no address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeLabel {
    Addr(NodeAddr),
    Name(String),
}

/// A registered node and what it is to be started with.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredNode {
    pub addr: NodeAddr,
    /// It has a mapping; one that only the document names would refuse to start.
    pub mapped: bool,
    /// What to start it with, or why that is not known.
    pub options: Result<NodeOptions, Failure>,
}

/// One line of `memcached list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudReport {
    pub service_code: String,
    pub status: CloudStatus,
    pub total: usize,
    /// Registered and a member.
    pub online: BTreeSet<NodeLabel>,
    /// Registered and no member.
    pub offline: BTreeSet<NodeLabel>,
    /// A member that is not registered.
    pub undefined: BTreeSet<NodeLabel>,
    /// As the registering tool wrote it.
    pub created: Option<String>,
    pub modified: Option<String>,
    /// Connected clients that enter themselves.
    pub clients: usize,
}

impl CloudStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::SomeDown => "SOME_DOWN",
            Self::Down => "DOWN",
        }
    }
}

impl fmt::Display for NodeLabel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => write!(out, "{addr}"),
            Self::Name(name) => out.write_str(name),
        }
    }
}

impl Serialize for NodeLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Sums up one code of the tree.
pub fn report_cloud(code: &str, registered: &RegisteredCode, tree: &ArcusTree) -> CloudReport {
    let document = serde_json::from_slice::<Map<String, Value>>(&registered.data).unwrap_or_default();
    let members = members_of(registered);
    let mut expected = BTreeSet::new();
    for name in mapping_names(code, tree) {
        expected.extend(labels(name, &members, &document));
    }
    let live: BTreeSet<NodeLabel> = members.keys().copied().map(NodeLabel::Addr).collect();
    let online: BTreeSet<NodeLabel> = expected.intersection(&live).cloned().collect();
    let offline: BTreeSet<NodeLabel> = expected.difference(&live).cloned().collect();
    let undefined: BTreeSet<NodeLabel> = live.difference(&expected).cloned().collect();
    let status = match (online.is_empty(), offline.is_empty()) {
        (true, _) => CloudStatus::Down,
        (false, true) => CloudStatus::Ok,
        (false, false) => CloudStatus::SomeDown,
    };
    let written = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    CloudReport {
        service_code: code.to_owned(),
        status,
        total: online.len() + offline.len() + undefined.len(),
        online,
        offline,
        undefined,
        created: written("created"),
        modified: written("modified"),
        clients: tree.clients.get(code).map_or(0, Vec::len),
    }
}

/// The nodes of `code` as they are registered, each with what it is to be started with; `None` when the code is not
/// registered.
pub fn registered_cloud(code: &ServiceCode, tree: &ArcusTree) -> Option<Vec<RegisteredNode>> {
    let registered = tree.codes.get(code.as_str())?;
    let text = String::from_utf8_lossy(&registered.data);
    let cloud = parse_registered(&text).ok();
    let addrs: BTreeSet<NodeAddr> = mapped_nodes(code, tree).into_values().flatten().collect();
    // A node of the document without a mapping would refuse to start; leaving it out would hide that.
    let documented = cloud.iter().flat_map(|cloud| &cloud.nodes).map(|node| node.addr);
    let unmapped: BTreeSet<NodeAddr> = documented.filter(|addr| !addrs.contains(addr)).collect();
    let unmapped = unmapped.into_iter().map(|addr| {
        let failure = Failure::refused(format!("{addr}: has no mapping, so it would refuse to start"))
            .cause(format!("the document of {code} names it, but {} does not exist", znode::mapping(addr)))
            .hint("register the cloud from its JSON: arcusctl memcached register CONF");
        RegisteredNode { addr, mapped: false, options: Err(failure) }
    });
    let mapped = addrs.iter().map(|addr| RegisteredNode {
        addr: *addr,
        mapped: true,
        options: options_of(*addr, cloud.as_ref(), tree),
    });
    Some(mapped.chain(unmapped).collect())
}

/// The live members of a code by address; names that are no address are left out.
pub fn members_of(registered: &RegisteredCode) -> BTreeMap<NodeAddr, String> {
    let read = |name: &String| Some((NodeAddr::from_ephemeral_name(name).ok()?, name.clone()));
    registered.members.iter().filter_map(read).collect()
}

/// The names that the machines of a code's nodes go by: as its document has them, and as live nodes name themselves.
pub fn hostnames_of(registered: &RegisteredCode) -> BTreeMap<NodeAddr, BTreeSet<String>> {
    let document = serde_json::from_slice::<Map<String, Value>>(&registered.data).unwrap_or_default();
    let live = members_of(registered).into_iter().filter_map(|(addr, name)| {
        let (_, hostname) = name.split_once('-')?;
        Some((addr, hostname.to_owned()))
    });
    let mut hostnames: BTreeMap<NodeAddr, BTreeSet<String>> = BTreeMap::new();
    for (addr, hostname) in document_servers(&document).into_iter().chain(live) {
        if !hostname.is_empty() {
            hostnames.entry(addr).or_default().insert(hostname);
        }
    }
    hostnames
}

/// The addresses that service codes other than `code` have, each with its owner.
pub fn others_of(code: &ServiceCode, tree: &ArcusTree) -> BTreeMap<NodeAddr, String> {
    let foreign = |owner: &str| owner != code.as_str();
    let mut owners = BTreeMap::new();
    for (name, mapping) in &tree.mappings {
        let owner =
            mapping.codes.iter().filter_map(|child| child.split('^').next()).find(|owner| foreign(owner));
        if let (Ok(addr), Some(owner)) = (name.parse(), owner) {
            owners.insert(addr, owner.to_owned());
        }
    }
    for (owner, registered) in tree.codes.iter().filter(|(owner, _)| foreign(owner)) {
        owners.extend(members_of(registered).into_keys().map(|addr| (addr, owner.clone())));
    }
    owners
}

fn options_of(addr: NodeAddr, cloud: Option<&Cloud>, tree: &ArcusTree) -> Result<NodeOptions, Failure> {
    if let Some(node) = cloud.into_iter().flat_map(|cloud| &cloud.nodes).find(|node| node.addr == addr) {
        return Ok(node.options);
    }
    let mapping = tree.mappings.get(&addr.to_string());
    let config = mapping.and_then(|mapping| serde_json::from_slice::<Map<String, Value>>(&mapping.data).ok());
    let number = |key: &str| match config.as_ref()?.get(key)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        _ => None,
    };
    let options = (number("memlimit"), number("connections"), number("threads"));
    if let (Some(memlimit), Some(connections), Some(threads)) = options {
        return Ok(NodeOptions { memlimit, connections, threads });
    }
    Err(Failure::refused(format!("{addr}: ZooKeeper does not say how to start it"))
        .cause("neither the service code's znode nor its own mapping holds memlimit, connections and threads")
        .hint("register the cloud from its JSON: arcusctl memcached register CONF"))
}

/// The nodes that each mapping of `code` stands for, by the mapping's name; none where nobody knows its host.
pub fn mapped_nodes(code: &ServiceCode, tree: &ArcusTree) -> BTreeMap<String, BTreeSet<NodeAddr>> {
    let registered = tree.codes.get(code.as_str());
    let members = registered.map(members_of).unwrap_or_default();
    let data = registered.map(|registered| registered.data.as_slice()).unwrap_or_default();
    let document = serde_json::from_slice::<Map<String, Value>>(data).unwrap_or_default();
    let nodes = |name: &str| {
        let labels = labels(name, &members, &document).into_iter();
        labels.filter_map(|label| match label {
            NodeLabel::Addr(addr) => Some(addr),
            NodeLabel::Name(_) => None,
        })
    };
    mapping_names(code.as_str(), tree).map(|name| (name.to_owned(), nodes(name).collect())).collect()
}

fn mapping_names<'a>(code: &'a str, tree: &'a ArcusTree) -> impl Iterator<Item = &'a str> {
    tree.mappings
        .iter()
        .filter(move |(_, mapping)| mapping.codes.iter().any(|child| child.split('^').next() == Some(code)))
        .map(|(name, _)| name.as_str())
}

/// The nodes that one mapping stands for. A cache node accepts `ip:port`, `hostname:port` and a bare `ip`.
fn labels(name: &str, members: &BTreeMap<NodeAddr, String>, document: &Map<String, Value>) -> Vec<NodeLabel> {
    if let Ok(addr) = name.parse::<NodeAddr>() {
        return vec![NodeLabel::Addr(addr)];
    }
    let servers = document_servers(document);
    let found: BTreeSet<NodeAddr> = if let Ok(ip) = name.parse::<Ipv4Addr>() {
        let live = members.keys().copied();
        live.chain(servers.into_iter().map(|(addr, _)| addr)).filter(|addr| addr.ip == ip).collect()
    } else if let Some((host, port)) = name.rsplit_once(':') {
        let live =
            members.iter().filter_map(|(addr, member)| Some((*addr, member.split_once('-')?.1.to_owned())));
        live.chain(servers)
            .filter(|(addr, hostname)| hostname == host && addr.port.to_string() == port)
            .map(|(addr, _)| addr)
            .collect()
    } else {
        BTreeSet::new()
    };
    if found.is_empty() {
        return vec![NodeLabel::Name(name.to_owned())];
    }
    found.into_iter().map(NodeLabel::Addr).collect()
}

/// Address and hostname of each server of a registered document, as far as they can be read.
fn document_servers(document: &Map<String, Value>) -> Vec<(NodeAddr, String)> {
    let servers = document.get("servers").and_then(Value::as_array);
    servers.into_iter().flatten().filter_map(document_server).collect()
}

/// Address and hostname of one server of a registered document; `None` when it names no address.
pub fn document_server(server: &Value) -> Option<(NodeAddr, String)> {
    let port = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let ip = server.get("ip")?.as_str()?;
    let port = port(server.get("config")?.get("port")?)?;
    let addr = format!("{ip}:{port}").parse().ok()?;
    Some((addr, server.get("hostname").and_then(Value::as_str).unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Mapping;

    fn tree(mappings: &[&str], data: &str, members: &[&str]) -> ArcusTree {
        let mapping = || Mapping { codes: vec!["c".into()], ..Mapping::default() };
        let registered = RegisteredCode {
            data: data.into(),
            version: 0,
            members: members.iter().map(ToString::to_string).collect(),
        };
        ArcusTree {
            codes: BTreeMap::from([("c".into(), registered)]),
            mappings: mappings.iter().map(|name| ((*name).to_owned(), mapping())).collect(),
            ..ArcusTree::default()
        }
    }

    fn report(tree: &ArcusTree) -> CloudReport {
        report_cloud("c", &tree.codes["c"], tree)
    }

    fn counts(tree: &ArcusTree) -> (CloudStatus, usize, usize, usize, usize) {
        let report = report(tree);
        (report.status, report.total, report.online.len(), report.offline.len(), report.undefined.len())
    }

    #[test]
    fn the_status_counts_registered_nodes_only() {
        let both = ["10.0.0.1:1", "10.0.0.2:1"];
        assert_eq!(
            counts(&tree(&both, "", &["10.0.0.1:1-a", "10.0.0.2:1-b"])),
            (CloudStatus::Ok, 2, 2, 0, 0)
        );
        assert_eq!(counts(&tree(&both, "0", &["10.0.0.1:1-a"])), (CloudStatus::SomeDown, 2, 1, 1, 0));
        assert_eq!(counts(&tree(&both, "text", &["10.0.0.3:1-c"])), (CloudStatus::Down, 3, 0, 2, 1));
        assert_eq!(
            counts(&tree(&both[..1], "", &["10.0.0.1:1-a", "10.0.0.3:1-c"])),
            (CloudStatus::Ok, 2, 1, 0, 1)
        );
        assert_eq!(counts(&tree(&[], "", &[])), (CloudStatus::Down, 0, 0, 0, 0));
    }

    #[test]
    fn a_mapping_by_hostname_or_bare_ip_counts_as_its_node() {
        let live =
            tree(&["cache-1:11211", "10.0.0.2"], "", &["10.0.0.1:11211-cache-1", "10.0.0.2:11211-cache-2"]);
        assert_eq!(counts(&live), (CloudStatus::Ok, 2, 2, 0, 0));
        let document =
            r#"{"servers": [{"ip": "10.0.0.1", "hostname": "cache-1", "config": {"port": "11211"}}]}"#;
        let down = report(&tree(&["cache-1:11211", "nobody:1"], document, &[]));
        let offline: Vec<String> = down.offline.iter().map(ToString::to_string).collect();
        assert_eq!(offline, ["10.0.0.1:11211", "nobody:1"]);
    }

    #[test]
    fn a_machine_goes_by_its_registered_name_and_by_that_of_its_live_node() {
        let document =
            r#"{"servers": [{"ip": "10.0.0.1", "hostname": "cache-1", "config": {"port": "11211"}}]}"#;
        let tree = tree(&[], document, &["10.0.0.1:11211-cache-1.example", "10.0.0.2:11211-cache-2"]);
        let names: Vec<Vec<String>> =
            hostnames_of(&tree.codes["c"]).into_values().map(|names| names.into_iter().collect()).collect();
        assert_eq!(names, [vec!["cache-1", "cache-1.example"], vec!["cache-2"]]);
    }

    #[test]
    fn a_node_starts_with_what_the_document_or_else_its_mapping_says() {
        let mut tree = tree(&["10.0.0.1:1", "10.0.0.2:1"], "0", &[]);
        tree.mappings.get_mut("10.0.0.1:1").unwrap().data =
            br#"{"memlimit": "100", "connections": 1000, "threads": "6"}"#.to_vec();
        let wishes = registered_cloud(&ServiceCode::new("c").unwrap(), &tree).unwrap();
        let options = wishes[0].options.as_ref().unwrap();
        assert_eq!((options.memlimit, options.connections, options.threads), (100, 1000, 6));
        assert!(wishes[1].options.as_ref().unwrap_err().hints[0].contains("memcached register"));
        assert!(registered_cloud(&ServiceCode::new("d").unwrap(), &tree).is_none());
    }
}
