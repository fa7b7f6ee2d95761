//! What the exit status of a cache node means (arcus-memcached 1.15.0, `sysexits.h` and its own uses), and the cure.

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
        cure: "create it (useradd -M -s /sbin/nologin memcached), or set [memcached] user",
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

/// What `status` of a cache node means, in words.
pub fn meaning(status: i32) -> String {
    match MEANINGS.iter().find(|known| known.status == status) {
        Some(known) => format!("exit status {status}: {}", known.means),
        None if status > 128 => format!("ended by signal {}", status - 128),
        None => format!("exit status {status}"),
    }
}

/// Adds meaning and cure of `status` to `failure`.
pub(super) fn explain(failure: Failure, status: i32) -> Failure {
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
}
