//! The ports of cache nodes and members: free, or held by what arcusctl started.

use super::{Check, CheckItem, Scene, Subject};
use crate::inspect::{HostFacts, Listener, members_of};
use crate::model::{HostName, NodeAddr};
use crate::plan::MemberLayout;

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    for (host, facts) in scene.answered() {
        for node in scene.cloud.nodes.iter().filter(|node| node.host() == *host) {
            items.push(node_port(scene, host, facts, node.addr));
        }
        for layout in scene.members_of(host) {
            items.push(member_ports(scene, host, facts, layout));
        }
    }
}

fn node_port(scene: &Scene<'_>, host: &HostName, facts: &HostFacts, addr: NodeAddr) -> CheckItem {
    let port = addr.port.get();
    let check = Check::new(
        "node-port",
        Subject::Node(addr),
        format!("port {port} is free, or this install's cache node has it"),
    );
    let Some(listeners) = &facts.listeners else { return unknown(check, host, port) };
    let install = format!("{}/", scene.settings.install_path);
    let below = |path: &Option<String>| path.as_ref().is_some_and(|path| path.starts_with(&install));
    // Where the login user may not see whose a port is, ZooKeeper tells who joined by it.
    let code = scene.tree.as_ref().ok().and_then(|tree| tree.codes.get(scene.cloud.code.as_str()));
    let online = code.is_some_and(|code| members_of(code).contains_key(&addr));
    let is_node = |listener: &Listener| listener.name.as_deref().is_none_or(|name| name == "memcached");
    let ours = |listener: &Listener| {
        below(&listener.executable) || below(&listener.program) || online && is_node(listener)
    };
    let mut held = listeners.iter().filter(|listener| listener.port == port).peekable();
    if held.peek().is_none() {
        return check.pass("free");
    }
    match held.find(|listener| !ours(listener)) {
        Some(stranger) => foreign(check, host, port, stranger),
        None => check.pass("this install's cache node has it"),
    }
}

fn member_ports(scene: &Scene<'_>, host: &HostName, facts: &HostFacts, layout: &MemberLayout) -> CheckItem {
    let ports = [
        ("client", layout.member.client_port.get()),
        ("peer", layout.peer_port.get()),
        ("election", layout.election_port.get()),
    ];
    let words: Vec<String> = ports.iter().map(|(role, port)| format!("{role} port {port}")).collect();
    let needed = format!("{} are free, or this member has them", words.join(", "));
    let check = Check::new("member-port", Subject::Member(layout.member.clone()), needed);
    let Some(listeners) = &facts.listeners else { return unknown(check, host, ports[0].1) };
    let client_port = layout.member.client_port.get();
    let wanted = facts.configs.get(&client_port);
    let mut held = false;
    for (role, port) in ports {
        for listener in listeners.iter().filter(|listener| listener.port == port) {
            if listener.config.is_some() && listener.config.as_ref() == wanted {
                held = true;
            } else if listener.pid.is_none() && scene.serves(&layout.member) {
                let mend = format!(
                    "log in as root, who sees whose it is: [ssh] user in arcusctl.toml, or ssh {host} sudo ss -ltnp"
                );
                return check.warn(format!("a process of another user has the {role} port {port}, and a ZooKeeper server answers there"), mend);
            } else {
                return foreign(check, host, port, listener);
            }
        }
    }
    check.pass(if held { "this member has them" } else { "free" })
}

fn unknown(check: Check, host: &HostName, port: u16) -> CheckItem {
    check.warn("cannot be told", format!("see for yourself: ssh {host} ss -ltnp '( sport = :{port} )'"))
}

fn foreign(check: Check, host: &HostName, port: u16, listener: &Listener) -> CheckItem {
    let name = listener.name.as_deref().unwrap_or("a process of another user");
    let what = match (listener.pid, listener.config.as_ref().or(listener.executable.as_ref())) {
        (Some(pid), Some(path)) => format!("{name} (pid {pid}, {path})"),
        (Some(pid), None) => format!("{name} (pid {pid})"),
        (None, _) => name.to_owned(),
    };
    check.fail(
        format!("{what} has port {port}"),
        format!("end that process, or choose another port; ssh {host} ss -ltnp shows it"),
    )
}
