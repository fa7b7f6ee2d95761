//! Where things are going to be written: may they be, and is there room.

use super::{Check, CheckItem, Scene};
use crate::inspect::{HostFacts, PlaceSeen, RunDirectory};
use crate::model::{HostName, human_bytes};
use crate::plan::SPARE_BYTES;

/// With less than this free an operator should know, whatever is going to be written.
const LITTLE: u64 = 1024 * 1024 * 1024;
/// Without a package to measure by, less than this is too little for any.
const TOO_LITTLE: u64 = 100 * 1024 * 1024;
/// ZooKeeper grows its log of transactions by so much at a time.
const LOG_PIECE: u64 = 64 * 1024 * 1024;

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    for (host, facts) in scene.answered() {
        let path = &scene.settings.install_path;
        items.push(writable(
            Check::of_host("install-path", host, format!("{path} can be written to")),
            host,
            facts,
            path,
        ));
        let (needed, check) = match scene.wants() {
            Some(wants) => {
                let needed = wants.bytes + SPARE_BYTES;
                let words = format!("{} free at {path} for the package", human_bytes(needed));
                (needed, Check::of_host("install-disk", host, words))
            }
            None => {
                let words = format!("{} free at {path}", human_bytes(TOO_LITTLE));
                (TOO_LITTLE, Check::of_host("install-disk", host, words))
            }
        };
        items.push(room(check, facts, path, needed));
        for layout in scene.members_of(host) {
            let data = &layout.data_dir;
            let check = Check::of_host("data-directory", host, format!("{data} can be written to"));
            items.push(writable(check, host, facts, data));
            let words =
                format!("{} free at {data} for ZooKeeper's log of transactions", human_bytes(LOG_PIECE));
            items.push(room(Check::of_host("data-disk", host, words), facts, data, LOG_PIECE));
            let logs = &layout.log_dir;
            let check = Check::of_host("log-directory", host, format!("{logs} can be written to"));
            items.push(writable(check, host, facts, logs));
        }
        if scene.is_node_host(host) {
            items.extend(run_directory(scene, host, facts));
        }
    }
}

fn writable(check: Check, host: &HostName, facts: &HostFacts, path: &str) -> CheckItem {
    match facts.place(path) {
        None => check.warn("cannot be told", format!("see for yourself: ssh {host} ls -ld {path}")),
        Some(PlaceSeen { existing, is_directory: false, .. }) => {
            check.fail(format!("{existing} is no directory"), format!("move {existing} away"))
        }
        Some(PlaceSeen { existing, writable: false, .. }) if facts.uid == Some(0) => check.fail(
            format!("not even root can write to {existing}: its file system is read-only, or it is made immutable"),
            format!("mount -o remount,rw … on the host, or set another path in arcusctl.toml; lsattr -d {existing} shows the flag"),
        ),
        Some(PlaceSeen { existing, writable: false, .. }) => check.fail(
            format!("{existing} cannot be written to by {}", facts.login),
            format!("arcusctl hosts prepare CONF, or by hand: mkdir -p {path} && chown {} {path}", facts.login),
        ),
        Some(PlaceSeen { existing, .. }) if existing == path => check.pass(format!("{path} can be written to")),
        Some(PlaceSeen { existing, .. }) => check.pass(format!("can be made in {existing}")),
    }
}

fn room(check: Check, facts: &HostFacts, path: &str, needed: u64) -> CheckItem {
    let Some(free) = facts.place(path).and_then(|place| place.free) else {
        return check.warn(
            "cannot be told, the host's df says nothing of it",
            format!("see for yourself: df -h {path}"),
        );
    };
    let seen = format!("{} free", human_bytes(free));
    let mend = "free space there, or set another path on a larger file system in arcusctl.toml";
    if free < needed {
        check.fail(seen, mend)
    } else if free < LITTLE {
        check.warn(seen, mend)
    } else {
        // Figures differ from host to host; that there is enough does not.
        check.pass(format!("more than {} free", human_bytes(LITTLE.max(needed))))
    }
}

fn run_directory(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> Option<CheckItem> {
    const PATH: &str = "/var/run/memcached";
    let user = if facts.uid == Some(0) { &scene.settings.memcached.user } else { &facts.login };
    let check = Check::of_host(
        "run-directory",
        host,
        format!(
            "{PATH} of the user {user}, for the pid files of other tools; arcusctl keeps its own below the install path"
        ),
    );
    let mend = format!("arcusctl hosts prepare CONF, or by hand: install -d -o {user} {PATH}");
    Some(match facts.run_directory.as_ref()? {
        RunDirectory::Missing => check.warn(format!("there is no {PATH}"), mend),
        RunDirectory::NoDirectory => {
            check.fail(format!("{PATH} is no directory"), format!("remove it; then {mend}"))
        }
        RunDirectory::Present { owner, .. } if owner == user => check.pass(format!("belongs to {owner}")),
        RunDirectory::Present { writable: true, .. } if facts.uid != Some(0) => {
            check.pass("can be written to")
        }
        RunDirectory::Present { owner, .. } => check.warn(format!("belongs to {owner}"), mend),
    })
}
