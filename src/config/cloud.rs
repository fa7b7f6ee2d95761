//! The cloud JSON: one document that names a cache cloud and its nodes, in the form `arcus.sh` has always read.
//!
//! Boundary: text to [`Cloud`], or to everything that is wrong with it. How single values are judged is in `values`;
//! what the language allows, in `json`.

mod values;

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use serde_json::Map;

use self::values::{CONNECTIONS, MEMLIMIT, Number, PORT, THREADS};
use super::fault::{Collector, Complaint, Fault, Reported, failures, nearest};
use super::file::read_text;
use super::json::{self, get, index_path, key_path};
use crate::error::Failures;
use crate::model::{Cloud, NodeAddr, NodeOptions, NodeSpec, ServiceCode};

/// The form of the document as a JSON Schema, for editors and other programs.
pub const CLOUD_SCHEMA: &str = include_str!("../../conf/cloud.schema.json");

/// What every node must have from somewhere, its own `config` or the global one.
const NODE_NUMBERS: [&Number; 3] = [&MEMLIMIT, &CONNECTIONS, &THREADS];

/// Reads a cloud from its file.
///
/// # Errors
/// When the file cannot be read, or with every fault of the document, each with its place.
pub fn load_cloud(path: &Path) -> Result<Cloud, Failures> {
    let text = read_text(path, "cloud file", "name the cloud's JSON file, such as conf/ruo91.json")?;
    parse_cloud(&text).map_err(|faults| failures(&path.display().to_string(), faults))
}

/// Reads a cloud from the text of its document.
///
/// # Errors
/// Every fault of the document, in its order; never none.
pub fn parse_cloud(text: &str) -> Result<Cloud, Vec<Fault>> {
    parse(text, HostnameRule::Required)
}

/// Reads a cloud back from the document registered in ZooKeeper, which `arcus.sh` may have written.
///
/// That script looks at no `hostname`, so documents without any are around; such a node is called by its ip. What
/// the script adds, `created` and `modified`, stays in the document like every other key.
///
/// # Errors
/// Every fault of the document, in its order; never none. Data of other tools (empty, `0`, free text) is one.
pub fn parse_registered(text: &str) -> Result<Cloud, Vec<Fault>> {
    parse(text, HostnameRule::Optional)
}

/// Whether a node must say its host's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostnameRule {
    Required,
    Optional,
}

fn parse(text: &str, hostname_rule: HostnameRule) -> Result<Cloud, Vec<Fault>> {
    // Editors on Windows write a byte order mark; it means nothing in UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut faults = Collector::new(text);
    match read_document(text, hostname_rule, &mut faults) {
        Ok(cloud) if faults.is_empty() => Ok(cloud),
        Ok(_) | Err(Reported) => Err(faults.finish()),
    }
}

fn read_document(text: &str, rule: HostnameRule, faults: &mut Collector<'_>) -> Result<Cloud, Reported> {
    let json::Document { tree, value } = json::parse(text, faults)?;
    let root = object(&tree, "$", faults)?;
    let serde_json::Value::Object(document) = value else { return Err(Reported) };
    let code = service_code(root, faults);
    let globals = Globals::read(root, faults);
    let mut servers =
        Servers { rule, globals, document: &document, first: BTreeMap::new(), lacking: Vec::new() };
    let nodes = servers.read(root, faults);
    Ok(Cloud { code: code?, nodes: nodes?, document })
}

fn service_code(root: &Object<'_>, faults: &mut Collector<'_>) -> Result<ServiceCode, Reported> {
    let value = required(root, "$", "serviceCode", faults)?;
    let complain = |complaint| faults.add(value.start(), "$.serviceCode", complaint);
    let text = values::text(value).map_err(complain)?;
    ServiceCode::new(text)
        .map_err(|fault| faults.add(value.start(), "$.serviceCode", Complaint::new(fault.to_string())))
}

/// The `config` beside `servers`, which holds for every server that does not say otherwise.
struct Globals {
    /// Where it starts, or where the document does if there is none.
    start: usize,
    /// The numbers that nodes are started with, as far as it has them.
    numbers: BTreeMap<&'static str, Result<u32, Reported>>,
    /// It is there but no object, so nothing can be said about what it holds.
    broken: bool,
}

impl Globals {
    fn read(root: &Object<'_>, faults: &mut Collector<'_>) -> Self {
        let mut globals = Self { start: root.start(), numbers: BTreeMap::new(), broken: false };
        let Some(value) = get(root, "config") else { return globals };
        globals.start = value.start();
        let Ok(config) = object(value, "$.config", faults) else {
            globals.broken = true;
            return globals;
        };
        for number in NODE_NUMBERS.into_iter().chain([&PORT]) {
            if let Some(read) = own_number(config, "$.config", number, faults) {
                globals.numbers.insert(number.name, read);
            }
        }
        globals
    }

    fn get(&self, number: &Number) -> Option<Result<u32, Reported>> {
        if self.broken { Some(Err(Reported)) } else { self.numbers.get(number.name).copied() }
    }
}

/// A number that a server lacks, its own `config` and the global one taken together.
struct Lacking {
    name: &'static str,
    index: usize,
    /// Where the server's `config` starts, or the server itself if it has none.
    start: usize,
}

/// What is known while the servers are gone through.
struct Servers<'d> {
    rule: HostnameRule,
    globals: Globals,
    document: &'d Map<String, serde_json::Value>,
    /// Which server had an address first, and where it stands.
    first: BTreeMap<NodeAddr, (usize, usize)>,
    lacking: Vec<Lacking>,
}

impl Servers<'_> {
    fn read(&mut self, root: &Object<'_>, faults: &mut Collector<'_>) -> Result<Vec<NodeSpec>, Reported> {
        let value = required(root, "$", "servers", faults)?;
        let Value::Array(array) = value else {
            let found = json::kind(value);
            let complaint = Complaint::new(format!("is {found}, not an array of servers"));
            return Err(faults.add(value.start(), "$.servers", complaint));
        };
        if array.elements.is_empty() {
            return Err(faults.add(value.start(), "$.servers", Complaint::new("names no server")));
        }
        let mut nodes = Vec::with_capacity(array.elements.len());
        let mut readable = 0;
        for (index, element) in array.elements.iter().enumerate() {
            let path = index_path("$.servers", index);
            let Ok(server) = object(element, &path, faults) else { continue };
            let own = match get(server, "config")
                .map(|config| object(config, &key_path(&path, "config"), faults))
            {
                Some(Err(Reported)) => None,
                Some(Ok(config)) => Some(Some(config)),
                None => Some(None),
            };
            readable += usize::from(own.is_some());
            if let Ok(node) = self.server(index, &path, server, own, faults) {
                nodes.push(node);
            }
        }
        self.report_lacking(readable, faults);
        // One that is missing from here is on the list of faults, so the list is not empty.
        Ok(nodes)
    }

    /// `own` is the server's own `config`: `None` when it is no object, `Some(None)` when there is none.
    fn server(
        &mut self,
        index: usize,
        path: &str,
        server: &Object<'_>,
        own: Option<Option<&Object<'_>>>,
        faults: &mut Collector<'_>,
    ) -> Result<NodeSpec, Reported> {
        let ip = required(server, path, "ip", faults).and_then(|value| {
            values::ip(value).map_err(|complaint| faults.add(value.start(), key_path(path, "ip"), complaint))
        });
        let hostname = self.hostname(path, server, ip, faults);
        let config_path = key_path(path, "config");
        let mut number = |number: &'static Number, faults: &mut Collector<'_>| {
            let own = own.ok_or(Reported)?;
            let read = own.and_then(|config| own_number(config, &config_path, number, faults));
            read.or_else(|| self.globals.get(number)).unwrap_or_else(|| {
                let start = own.map_or(server.start(), Ranged::start);
                self.lacking.push(Lacking { name: number.name, index, start });
                Err(Reported)
            })
        };
        let port = number(&PORT, faults).and_then(|port| u16::try_from(port).map_err(|_| Reported));
        let memlimit = number(&MEMLIMIT, faults);
        let connections = number(&CONNECTIONS, faults);
        let threads = number(&THREADS, faults);
        let port = port.and_then(|port| port.try_into().map_err(|_| Reported));
        let addr = NodeAddr { ip: ip?, port: port? };
        let place =
            own.flatten().and_then(|config| get(config, PORT.name)).map_or(server.start(), Ranged::start);
        self.claim(addr, index, path, place, faults)?;
        let options = NodeOptions { memlimit: memlimit?, connections: connections?, threads: threads? };
        Ok(NodeSpec { addr, hostname: hostname?, options, config: self.merged_config(index) })
    }

    fn hostname(
        &self,
        path: &str,
        server: &Object<'_>,
        ip: Result<Ipv4Addr, Reported>,
        faults: &mut Collector<'_>,
    ) -> Result<String, Reported> {
        if self.rule == HostnameRule::Optional && get(server, "hostname").is_none() {
            return ip.map(|ip| ip.to_string());
        }
        let value = required(server, path, "hostname", faults)?;
        values::hostname(value)
            .map_err(|complaint| faults.add(value.start(), key_path(path, "hostname"), complaint))
    }

    /// No two servers may have one address: its mapping can name only one of them.
    fn claim(
        &mut self,
        addr: NodeAddr,
        index: usize,
        path: &str,
        place: usize,
        faults: &mut Collector<'_>,
    ) -> Result<(), Reported> {
        let (first, start) = *self.first.entry(addr).or_insert((index, place));
        if first == index {
            return Ok(());
        }
        let line = faults.line(start);
        let complaint = Complaint::new(format!(
            "has the address {addr}, which $.servers[{first}] on line {line} has already"
        ));
        Err(faults.add(place, path, complaint))
    }

    /// The node's own `config` laid over the global one, values as they were written.
    fn merged_config(&self, index: usize) -> Map<String, serde_json::Value> {
        let part = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_object).cloned();
        let mut config = part(self.document.get("config")).unwrap_or_default();
        let server = self.document.get("servers").and_then(|servers| servers.get(index));
        config.extend(part(server.and_then(|server| server.get("config"))).unwrap_or_default());
        config
    }

    /// A number that every one of `readable` servers lacks was forgotten once, not once for each of them.
    fn report_lacking(&self, readable: usize, faults: &mut Collector<'_>) {
        for number in NODE_NUMBERS.into_iter().chain([&PORT]) {
            let lacking: Vec<&Lacking> =
                self.lacking.iter().filter(|lack| lack.name == number.name).collect();
            // A port is a server's own: one for all of them would be the exception.
            if lacking.len() == readable && number.name != PORT.name && !lacking.is_empty() {
                let complaint = Complaint::new("is missing, and no server has its own");
                faults.add(self.globals.start, key_path("$.config", number.name), complaint);
                continue;
            }
            for Lacking { name, index, start } in lacking {
                let path = key_path(&format!("$.servers[{index}].config"), name);
                let found =
                    if *name == PORT.name { "is missing" } else { "is missing, here and in $.config" };
                faults.add(*start, path, Complaint::new(found));
            }
        }
    }
}

fn object<'v, 't>(
    value: &'v Value<'t>,
    path: &str,
    faults: &mut Collector<'_>,
) -> Result<&'v Object<'t>, Reported> {
    value.as_object().ok_or_else(|| {
        let complaint = Complaint::new(format!("is {}, not an object", json::kind(value)));
        faults.add(value.start(), path, complaint)
    })
}

fn required<'v, 't>(
    parent: &'v Object<'t>,
    path: &str,
    key: &str,
    faults: &mut Collector<'_>,
) -> Result<&'v Value<'t>, Reported> {
    get(parent, key).ok_or_else(|| {
        let complaint = Complaint::new("is missing");
        let others = parent.properties.iter().map(|property| property.name.as_str());
        let complaint = match nearest(key, others) {
            Some(other) => complaint.hint(format!("'{other}' is not it; the key is written {key}")),
            None => complaint,
        };
        faults.add(parent.start(), key_path(path, key), complaint)
    })
}

/// The number of that name in `config`, if it is there.
fn own_number(
    config: &Object<'_>,
    path: &str,
    number: &Number,
    faults: &mut Collector<'_>,
) -> Option<Result<u32, Reported>> {
    let value = get(config, number.name)?;
    let complain = |complaint| faults.add(value.start(), key_path(path, number.name), complaint);
    Some(number.read(value).map_err(complain))
}
