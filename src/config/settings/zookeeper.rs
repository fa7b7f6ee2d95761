//! The `[zookeeper]` part of the settings: who belongs to the ensemble, and how its members are set up.
//!
//! Boundary: pure; what is wrong goes on the list of faults.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::section::{Section, key_path, kind, table};
use super::{MemberSettings, ZooKeeperSettings, checks};
use crate::config::fault::{Collector, Complaint, shown};
use crate::model::{Ensemble, EnsembleFault, EnsembleMember};

/// What `arcusctl` writes into `zoo.cfg` itself, and which setting it takes it from.
const OWN_PROPERTIES: [(&str, &str); 4] = [
    ("dataDir", "use zookeeper.data_dir"),
    ("clientPort", "the client ports stand in zookeeper.servers"),
    ("dynamicConfigFile", "the members stand in zookeeper.servers"),
    ("server", "use zookeeper.servers, zookeeper.peer_port and zookeeper.election_port"),
];

pub(super) fn read(
    mut section: Section<'_, '_>,
    zookeeper: &mut ZooKeeperSettings,
    faults: &mut Collector<'_>,
) {
    let ZooKeeperSettings { servers, peer_port, election_port, data_dir, properties, members } = zookeeper;
    if let Some(value) = section.value("servers") {
        *servers = read_servers(value, &section.path("servers"), faults);
    }
    section.read_into("peer_port", peer_port, faults, checks::port);
    section.read_into("election_port", election_port, faults, checks::port);
    report_port_clash(&section, *peer_port, *election_port, faults);
    section.read_into("data_dir", data_dir, faults, |value| checks::remote_directory(value).map(Some));
    if let Some(value) = section.value("properties") {
        let path = section.path("properties");
        if let Ok(table) = table(value, &path, faults) {
            read_properties(table, &path, "", properties, faults);
        }
    }
    if let Some(value) = section.value("members") {
        let path = section.path("members");
        if let Ok(table) = table(value, &path, faults) {
            *members = read_members(table, &path, servers.as_ref(), faults);
        }
    }
    section.finish(faults);
}

/// `["a:2181", "b:2181"]` or `"a:2181,b:2181"`.
fn read_servers(value: &Spanned<DeValue<'_>>, path: &str, faults: &mut Collector<'_>) -> Option<Ensemble> {
    let start = value.span().start;
    let array = match value.get_ref() {
        DeValue::String(list) => {
            let bad = Ensemble::parse(list);
            return bad
                .map_err(|bad| {
                    for fault in bad {
                        faults.add(start, path, Complaint::new(format!("is wrong: {fault}")));
                    }
                })
                .ok();
        }
        DeValue::Array(array) => array,
        other => {
            let complaint = Complaint::new(format!("is {}, not an array of servers", kind(other)));
            faults.add(start, path, complaint.hint("write [\"10.0.0.1:2181\", \"10.0.0.2:2181\"]"));
            return None;
        }
    };
    let entry = |index: usize| format!("{path}[{index}]");
    let mut entries = Vec::with_capacity(array.len());
    let mut strange = 0;
    for (index, element) in array.iter().enumerate() {
        if let DeValue::String(text) = element.get_ref() {
            entries.push(text.trim());
        } else {
            let complaint = Complaint::new(format!(
                "is {}, not a string such as \"10.0.0.1:2181\"",
                kind(element.get_ref())
            ));
            faults.add(element.span().start, entry(index), complaint);
            // Keeps the others in their places; its fault is on the list already.
            entries.push("");
            strange += 1;
        }
    }
    match Ensemble::from_entries(entries) {
        Ok(ensemble) => Some(ensemble),
        Err(bad) => {
            for fault in bad {
                let element = index_of(&fault).and_then(|index| Some((index, array.get(index)?)));
                match element {
                    Some((index, element)) if element.get_ref().is_str() => {
                        let complaint = Complaint::new(format!("is wrong: {fault}"));
                        faults.add(element.span().start, entry(index), complaint);
                    }
                    None if strange == 0 => {
                        faults.add(start, path, Complaint::new("names no server"));
                    }
                    Some(_) | None => {}
                }
            }
            None
        }
    }
}

/// Which entry, counted from 0, a fault is about.
fn index_of(fault: &EnsembleFault) -> Option<usize> {
    match fault {
        EnsembleFault::Empty => None,
        EnsembleFault::EmptyEntry { index }
        | EnsembleFault::NoPort { index, .. }
        | EnsembleFault::BadPort { index, .. }
        | EnsembleFault::BadHost { index, .. }
        | EnsembleFault::Chroot { index, .. }
        | EnsembleFault::Ipv6 { index, .. }
        | EnsembleFault::Duplicate { index, .. } => index.checked_sub(1),
    }
}

/// A member cannot listen twice on one port.
fn report_port_clash(
    section: &Section<'_, '_>,
    peer: NonZeroU16,
    election: NonZeroU16,
    faults: &mut Collector<'_>,
) {
    let given =
        ["peer_port", "election_port"].into_iter().filter_map(|key| Some((section.offset(key)?, key)));
    if let (true, Some((offset, key))) = (peer == election, given.max()) {
        let other = if key == "peer_port" { "election_port" } else { "peer_port" };
        faults.add(
            offset,
            section.path(key),
            Complaint::new(format!("is {peer}, as is {other}; they must differ")),
        );
    }
}

/// TOML makes tables of `autopurge.purgeInterval = 1`; `zoo.cfg` wants the dotted name back.
fn read_properties(
    table: &DeTable<'_>,
    path: &str,
    prefix: &str,
    properties: &mut BTreeMap<String, String>,
    faults: &mut Collector<'_>,
) {
    for (key, value) in table {
        let path = key_path(path, key.get_ref());
        let name = format!("{prefix}{}", key.get_ref());
        let start = key.span().start;
        // Of a whole table `server` each line is told.
        let own = OWN_PROPERTIES.iter().find(|(own, _)| match *own {
            "server" => name.starts_with("server.") || name == "server" && !value.get_ref().is_table(),
            own => own == name,
        });
        if let Some((_, instead)) = own {
            let complaint = Complaint::new("is written by arcusctl itself").hint(*instead);
            faults.add(start, path, complaint);
            continue;
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            || key.get_ref().is_empty()
        {
            let complaint = "is no property; a name has letters, digits, '.', '_' and '-'";
            faults.add(start, path, Complaint::new(complaint));
            continue;
        }
        if let DeValue::Table(inner) = value.get_ref() {
            read_properties(inner, &path, &format!("{name}."), properties, faults);
            continue;
        }
        match property(value.get_ref()) {
            Err(complaint) => {
                faults.add(value.span().start, path, complaint);
            }
            Ok(text) => {
                if properties.insert(name.clone(), text).is_some() {
                    faults.add(start, path, Complaint::new(format!("gives {name} a second time")));
                }
            }
        }
    }
}

fn property(value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::String(text) if text.chars().any(char::is_control) => {
            Err(Complaint::new(format!("is {}; a property is one line of plain text", shown(text))))
        }
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(integer) => checks::integer_value(integer)
            .map(|number| number.to_string())
            .ok_or_else(|| Complaint::new(format!("is {integer}, which is out of any range"))),
        DeValue::Float(float) => Ok(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Ok(boolean.to_string()),
        other @ (DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_)) => Err(Complaint::new(
            format!("is {}; a property is a string, a number, true or false", kind(other)),
        )),
    }
}

/// What was said about one member, and where its things stand.
struct Seen<'a> {
    name: &'a str,
    path: String,
    own: MemberSettings,
    start: usize,
}

fn read_members(
    table: &DeTable<'_>,
    path: &str,
    servers: Option<&Ensemble>,
    faults: &mut Collector<'_>,
) -> BTreeMap<EnsembleMember, MemberSettings> {
    // In the order of the file, so that of two members in each other's way the second is told.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut seen: BTreeMap<EnsembleMember, Seen<'_>> = BTreeMap::new();
    for (key, value) in entries {
        let name: &str = key.get_ref();
        let (path, start) = (key_path(path, name), key.span().start);
        let member = name.parse::<EnsembleMember>().map_err(|fault| member_complaint(name, &fault));
        let own = self::table(value, &path, faults)
            .map(|table| read_member(Section::new(path.as_str(), table), faults));
        let (member, own) = match (member, own) {
            (Ok(member), Ok(own)) => (member, own),
            (Err(complaint), _) => {
                faults.add(start, path, complaint);
                continue;
            }
            (Ok(_), Err(_)) => continue,
        };
        if let Some(servers) = servers.filter(|servers| !servers.members().contains(&member)) {
            let complaint = Complaint::new("is not one of zookeeper.servers");
            faults.add(start, &path, complaint.hint(format!("these are: {servers}")));
        }
        if let Some(complaint) = seen.iter().find_map(|(other, had)| clash(&member, &own, other, had)) {
            faults.add(start, &path, complaint);
        }
        seen.entry(member).or_insert(Seen { name, path, own, start });
    }
    if let Some(servers) = servers {
        report_client_port_clashes(&seen, servers, faults);
    }
    seen.into_iter().map(|(member, seen)| (member, seen.own)).collect()
}

fn read_member(mut section: Section<'_, '_>, faults: &mut Collector<'_>) -> MemberSettings {
    let mut own = MemberSettings::default();
    let MemberSettings { id, peer_port, election_port, data_dir } = &mut own;
    // ZooKeeper's own range.
    section.read_into("id", id, faults, |value| checks::number(value, &(1..=255)).map(Some));
    section.read_into("peer_port", peer_port, faults, |value| checks::port(value).map(Some));
    section.read_into("election_port", election_port, faults, |value| checks::port(value).map(Some));
    section.read_into("data_dir", data_dir, faults, |value| checks::remote_directory(value).map(Some));
    if let (Some(peer), Some(election)) = (*peer_port, *election_port) {
        report_port_clash(&section, peer, election, faults);
    }
    section.finish(faults);
    own
}

/// The fault without its "entry 1 of the list", for there is no list here.
fn member_complaint(name: &str, fault: &EnsembleFault) -> Complaint {
    let text = fault.to_string();
    let reason = text.strip_prefix(&format!("entry 1, '{}', ", name.trim())).unwrap_or("names no member");
    Complaint::new(reason.to_owned()).hint("write a member as it stands in zookeeper.servers")
}

/// What keeps a member from standing beside one that came before it.
fn clash(
    member: &EnsembleMember,
    own: &MemberSettings,
    other: &EnsembleMember,
    had: &Seen<'_>,
) -> Option<Complaint> {
    let name = had.name;
    if member == other {
        return Some(Complaint::new(format!("is the same member as {name}")));
    }
    if let Some(id) = own.id.filter(|_| own.id == had.own.id) {
        return Some(Complaint::new(format!("has the id {id}, which {name} has already")));
    }
    if member.host != other.host {
        return None;
    }
    if let Some(directory) = own.data_dir.as_ref().filter(|_| own.data_dir == had.own.data_dir) {
        return Some(Complaint::new(format!(
            "has the data_dir '{directory}', which {name} on the same host has already"
        )));
    }
    let ports =
        |own: &MemberSettings| [own.peer_port, own.election_port].into_iter().flatten().collect::<Vec<_>>();
    let theirs = ports(&had.own);
    let port = ports(own).into_iter().find(|port| theirs.contains(port))?;
    Some(Complaint::new(format!("has the port {port}, which {name} on the same host has already")))
}

/// A member's own ports against the ports that the members on its host serve clients on.
fn report_client_port_clashes(
    seen: &BTreeMap<EnsembleMember, Seen<'_>>,
    servers: &Ensemble,
    faults: &mut Collector<'_>,
) {
    for (member, Seen { own, path, start, .. }) in seen {
        for other in servers.members().iter().filter(|other| other.host == member.host) {
            if [own.peer_port, own.election_port].contains(&Some(other.client_port)) {
                let port = other.client_port;
                let complaint = format!("has the port {port}, on which {other} serves clients");
                faults.add(*start, path, Complaint::new(complaint));
            }
        }
    }
}
