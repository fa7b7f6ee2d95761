//! What the exit status of a cache node means (arcus-memcached 1.15.0, `sysexits.h` and its own uses), and the cure.
//!
//! One status has several causes; what the node itself wrote tells which.

use crate::error::Failure;

struct Meaning {
    status: i32,
    means: &'static str,
    cure: &'static str,
}

const MEANINGS: [Meaning; 14] = [
    Meaning {
        status: 0,
        means: "it was told to stop",
        cure: "see who stopped it: its log or syslog names the signal",
    },
    Meaning {
        status: 1,
        means: "a bad option, or a library it cannot load",
        cure: "see its log; compare [memcached] extra_args with the build, and that lib/default_engine.so is there",
    },
    Meaning {
        status: 64,
        means: "EX_USAGE: run as root without -u, or an impossible option value",
        cure: "set [memcached] user to an existing user; see that connections is not tiny",
    },
    Meaning {
        status: 65,
        means: "EX_DATAERR: the host name is longer than 128 characters",
        cure: "give the host a shorter name in DNS or /etc/hosts",
    },
    Meaning {
        status: 66,
        means: "EX_NOINPUT: bin/memcached is not there",
        cure: "bring the build to the host: arcusctl deploy CONF",
    },
    Meaning {
        status: 67,
        means: "EX_NOUSER: the user to run as does not exist",
        cure: "create it (arcusctl hosts prepare CONF; by hand: useradd -M -s /sbin/nologin memcached), or set [memcached] user",
    },
    Meaning {
        status: 69,
        means: "EX_UNAVAILABLE: a ZooKeeper address cannot be resolved there",
        cure: "name the ensemble by addresses that every host can resolve: -z host:port,…",
    },
    Meaning {
        status: 71,
        means: "EX_OSERR: the port is taken, or the open-file or core limit is too low",
        cure: "free the port; raise the open-file limit above connections + 20 and the core limit above 0",
    },
    Meaning {
        status: 75,
        means: "EX_TEMPFAIL: its ZooKeeper session expired",
        cure: "see that the host reaches the ensemble, then start it again",
    },
    Meaning {
        status: 76,
        means: "EX_PROTOCOL: no ZooKeeper, no mapping for its address, or its old znode is still there",
        cure: "see that the host reaches the ensemble by the address the cloud JSON gives as its ip, and register the cloud",
    },
    Meaning {
        status: 77,
        means: "EX_NOPERM: ZooKeeper refused its credentials",
        cure: "see the access lists of the znodes",
    },
    Meaning {
        status: 126,
        means: "bin/memcached cannot be executed",
        cure: "deploy a build for this host's architecture",
    },
    Meaning {
        status: 127,
        means: "bin/memcached, or a library it needs, is missing",
        cure: "deploy again; on the host, ldd <install>/bin/memcached names missing libraries",
    },
    Meaning {
        status: 139,
        means: "it crashed (segmentation fault)",
        cure: "see [memcached] extra_args, a malformed -e value crashes it; a core file lies in <install>/work",
    },
];

/// One of the causes that share a status.
struct Reason {
    /// The statuses that it ends a node with; none for any.
    statuses: &'static [i32],
    /// Words of the node's log, any of them, in lower case.
    words: &'static [&'static str],
    means: &'static str,
    cure: &'static str,
}

/// The more telling words stand first.
const REASONS: [Reason; 11] = [
    Reason {
        statuses: &[],
        words: &["no space left on device"],
        means: "the disk is full",
        cure: "free space on that host, or set install_path to a larger file system",
    },
    Reason {
        statuses: &[64],
        words: &["run as root without the -u"],
        means: "EX_USAGE: it was run as root without -u",
        cure: "set [memcached] user to an existing user",
    },
    Reason {
        statuses: &[71],
        words: &["open files", "maxconns"],
        means: "EX_OSERR: the open-file limit is too low for its connections",
        cure: "raise the login user's open-file limit (nofile in /etc/security/limits.conf) above connections + 20, or lower connections",
    },
    Reason {
        statuses: &[71],
        words: &["core file", "corefile"],
        means: "EX_OSERR: core files are forbidden there, and -r asks for them",
        cure: "raise the login user's core limit above 0 (core in /etc/security/limits.conf)",
    },
    Reason {
        statuses: &[71],
        words: &["is held by process", "already in use", "failed to listen"],
        means: "EX_OSERR: its port is taken",
        cure: "stop the process that holds the port (the log below names it when it can be seen), or give the node another port in the cloud JSON",
    },
    Reason {
        statuses: &[76],
        words: &["old session", "node exists"],
        means: "EX_PROTOCOL: the znode of its predecessor is still there",
        cure: "wait until that session has expired (30 s unless set otherwise), then start it again",
    },
    Reason {
        statuses: &[76],
        words: &["exactly one", "children"],
        means: "EX_PROTOCOL: its address is mapped to no service code, or to more than one",
        cure: "look at its mapping with arcusctl memcached list, then register the cloud again: arcusctl memcached register CONF",
    },
    Reason {
        statuses: &[76],
        words: &["mapping"],
        means: "EX_PROTOCOL: no mapping for its address in ZooKeeper",
        cure: "see that the host reaches the ensemble by the address the cloud JSON gives as its ip, and register the cloud: arcusctl memcached register CONF",
    },
    Reason {
        statuses: &[76],
        words: &["no node", "does not exist"],
        means: "EX_PROTOCOL: the cloud's znode is missing",
        cure: "register the cloud: arcusctl memcached register CONF",
    },
    Reason {
        statuses: &[76],
        words: &["cannot connect to zookeeper", "zookeeper_init", "no answer", "connection loss"],
        means: "EX_PROTOCOL: it does not reach ZooKeeper",
        cure: "see that the host reaches the ensemble: arcusctl zookeeper stat, and the firewall between them",
    },
    Reason {
        statuses: &[127],
        words: &["error while loading shared libraries"],
        means: "a library that bin/memcached needs is missing",
        cure: "install the library that the log names on that host, or deploy a build that brings it along",
    },
];

/// What `status` of a cache node means, in words.
pub fn meaning(status: i32) -> String {
    match MEANINGS.iter().find(|known| known.status == status) {
        Some(known) => format!("exit status {status}: {}", known.means),
        None if status > 128 => format!("ended by signal {}", status - 128),
        None => format!("exit status {status}"),
    }
}

/// Adds meaning and cure of `status` to `failure`, whose log tells which of several causes it was.
pub(super) fn explain(failure: Failure, status: i32) -> Failure {
    let log = failure.log.join("\n").to_lowercase();
    let told = |reason: &&Reason| {
        (reason.statuses.is_empty() || reason.statuses.contains(&status))
            && reason.words.iter().any(|words| log.contains(words))
    };
    if let Some(reason) = REASONS.iter().find(told) {
        return failure.cause(format!("exit status {status}: {}", reason.means)).hint(reason.cure);
    }
    let failure = failure.cause(meaning(status));
    match MEANINGS.iter().find(|known| known.status == status) {
        Some(known) => failure.hint(known.cure),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_statuses_are_explained_and_others_still_named() {
        assert!(meaning(76).contains("no mapping for its address"));
        assert_eq!(meaning(137), "ended by signal 9");
        assert_eq!(meaning(3), "exit status 3");
        assert_eq!(explain(Failure::failed("x"), 67).hints.len(), 1);
    }

    #[test]
    fn every_status_and_every_reason_word_for_word() {
        let statuses = MEANINGS.iter().map(|known| format!("{}\n  {}", meaning(known.status), known.cure));
        let reasons = REASONS.iter().map(|known| {
            format!("{:?} {:?}: {}\n  {}", known.statuses, known.words, known.means, known.cure)
        });
        insta::assert_snapshot!(statuses.chain(reasons).collect::<Vec<_>>().join("\n"));
    }

    /// What arcus-memcached (and, where it differs, the lab's cache node) says before it ends, and what is made of it.
    #[test]
    fn what_a_node_wrote_tells_which_of_several_causes_it_was() {
        let cases = [
            (64, "can't run as root without the -u switch", "without -u", "[memcached] user"),
            (
                71,
                "failed to set rlimit for open files. Try running as root or requesting smaller maxconns value.",
                "open-file limit",
                "connections + 20",
            ),
            (71, "failed to ensure corefile creation", "core files", "core limit"),
            (71, "failed to ensure core file creation", "core files", "core limit"),
            (
                71,
                "failed to listen on TCP port 11211: Address already in use",
                "port is taken",
                "another port",
            ),
            (75, "ZooKeeper session expired: shutting down (failstop)", "session expired", "start it again"),
            (
                76,
                "znode /arcus/cache_list/c/10.0.0.1:11211-h: node exists. old session still exist",
                "predecessor",
                "expired",
            ),
            (
                76,
                "no mapping for this node in /arcus/cache_server_mapping",
                "no mapping",
                "memcached register",
            ),
            (
                76,
                "/arcus/cache_server_mapping/10.0.0.1:1 has 2 children; exactly one service code must be there",
                "more than one",
                "register",
            ),
            (
                76,
                "cannot create /arcus/cache_list/c/x: /arcus/cache_list/c does not exist",
                "znode is missing",
                "register",
            ),
            (
                76,
                "cannot connect to ZooKeeper at 10.0.0.1:2181: no answer within 30 s",
                "does not reach ZooKeeper",
                "zookeeper stat",
            ),
            (
                127,
                "memcached: error while loading shared libraries: libevent-2.1.so.7: cannot open shared object file",
                "library",
                "library that the log names",
            ),
            (1, "cannot write the log: No space left on device", "disk is full", "free space"),
        ];
        for (status, log, cause, cure) in cases {
            let failure = explain(Failure::failed("x").log([log.to_owned()]), status);
            assert!(failure.causes[0].contains(&format!("exit status {status}: ")), "{failure:?}");
            assert!(failure.causes[0].contains(cause) && failure.hints[0].contains(cure), "{failure:?}");
            assert_eq!((failure.causes.len(), failure.hints.len()), (1, 1), "{failure:?}");
        }
    }
}
