//! Between the hosts: by which address each is known to ZooKeeper, and who reaches whom.

use std::net::Ipv4Addr;

use super::{Check, CheckItem, Scene, Subject};
use crate::inspect::{HostFacts, Reach, Route};
use crate::model::HostName;
use crate::plan::MemberLayout;

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    if scene.members().is_empty() {
        return;
    }
    for (host, facts) in scene.answered() {
        if scene.is_node_host(host) {
            items.extend(route(scene, host, facts));
        }
        items.push(reach_clients(scene, host, facts));
        for layout in scene.members_of(host) {
            if scene.members().len() > 1 {
                items.push(reach_peers(scene, layout, facts));
            }
        }
    }
}

/// A cache node joins by the address that it speaks from to the first member that it can resolve.
fn route(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> Option<CheckItem> {
    let ip: Ipv4Addr = host.as_str().parse().ok()?;
    let check = Check::of_host(
        "zookeeper-route",
        host,
        format!("{ip} is its address on the way to ZooKeeper; a cache node joins by that"),
    );
    let Some(routes) = &facts.routes else {
        return Some(check.warn(
            "cannot be told, the host has no ip command",
            "install on the host: iproute2 (Debian, Ubuntu) or iproute",
        ));
    };
    let mut wrong = Vec::new();
    let mut decided = None;
    for layout in scene.members() {
        let name = layout.member.host.as_str();
        let (fits, words) = match routes.get(name) {
            Some(Route::From { source, .. }) if *source == ip => (true, String::new()),
            Some(Route::From { source, .. }) => (false, format!("{source} toward {name}")),
            Some(Route::None { address }) => (false, format!("no way to {name} ({address})")),
            Some(Route::Unresolved) => {
                wrong.push(format!("{name} has no address there"));
                continue;
            }
            None => continue,
        };
        decided.get_or_insert(fits);
        if !fits {
            wrong.push(words);
        }
    }
    let seen = wrong.join(", ");
    let mend = "write the address it has toward ZooKeeper as its ip in the cloud JSON, or mend its routes and /etc/hosts";
    Some(match decided {
        Some(true) if wrong.is_empty() => check.pass("its ip in the cloud JSON"),
        Some(true) => check.warn(seen, mend),
        Some(false) => check.fail(seen, mend),
        None if wrong.is_empty() => check.warn("cannot be told", mend),
        None => check.fail(seen, mend),
    })
}

fn reach_clients(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> CheckItem {
    let check =
        Check::of_host("zookeeper-reach", host, "every member's client port can be reached from the host");
    let ports = scene.members().iter().map(|layout| Wanted {
        layout,
        port: layout.member.client_port.get(),
        must_answer: scene.serves(&layout.member),
    });
    judge(check, facts, ports)
}

fn reach_peers(scene: &Scene<'_>, own: &MemberLayout, facts: &HostFacts) -> CheckItem {
    let check = Check::new(
        "member-reach",
        Subject::Member(own.member.clone()),
        "the peer and election ports of the other members can be reached from its host",
    );
    let others = scene.members().iter().filter(|layout| layout.member.host != own.member.host);
    let ports = others.flat_map(|layout| {
        // Only a leader listens at its peer port.
        let election =
            Wanted { layout, port: layout.election_port.get(), must_answer: scene.serves(&layout.member) };
        [Wanted { layout, port: layout.peer_port.get(), must_answer: false }, election]
    });
    judge(check, facts, ports)
}

/// A connection to a member.
struct Wanted<'a> {
    layout: &'a MemberLayout,
    port: u16,
    /// The member serves, so whoever is refused was refused on the way.
    must_answer: bool,
}

fn judge<'a>(check: Check, facts: &HostFacts, wanted: impl Iterator<Item = Wanted<'a>>) -> CheckItem {
    let Some(reach) = &facts.reach else {
        return check.warn(
            "cannot be told, the host has no bash or no timeout",
            "install on the host: bash, coreutils",
        );
    };
    let (mut wrong, mut idle) = (Vec::new(), 0);
    for Wanted { layout, port, must_answer } in wanted {
        let name = format!("{}:{port}", layout.member.host);
        match reach.get(&(layout.member.host.to_string(), port)) {
            Some(Reach::Open) => {}
            Some(Reach::Refused) if must_answer => {
                wrong.push(format!("{name} refused, though the member serves"));
            }
            Some(Reach::Refused) => idle += 1,
            Some(Reach::Failed(reason)) => wrong.push(format!("{name} {}", reason.to_lowercase())),
            None => wrong.push(format!("{name} no answer")),
        }
    }
    if !wrong.is_empty() {
        return check.fail(
            wrong.join(", "),
            "open these ports in the firewalls between the hosts, and look at the routes",
        );
    }
    check.pass(if idle == 0 {
        "all answer"
    } else {
        "all can be reached; nothing listens at some of the ports now"
    })
}
