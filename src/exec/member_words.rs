//! What a ZooKeeper server's last words mean, and the cure.

use crate::error::Failure;

/// What it says of itself, in lower case; what that means; what to do.
const KNOWN: [(&[&str], &str, &str); 10] = [
    (
        &["no space left on device"],
        "the disk of its data or log directory is full",
        "free space on that host; old snapshots go with autopurge ([zookeeper.properties])",
    ),
    (
        &["unsupportedclassversionerror", "unsupported major.minor"],
        "its Java is too old for this ZooKeeper",
        "install Java 8 (1.8) or later on that host",
    ),
    (
        &[
            "java could not be found",
            "java: not found",
            "java: command not found",
            "no such file or directory: java",
        ],
        "there is no Java on that host",
        "install a Java runtime, 1.8 or later, or set JAVA_HOME for the login user",
    ),
    (
        &["address already in use", "bindexception"],
        "a port of it is taken: the client, peer or election port",
        "see who listens there (ss -ltnp), end it, or give the member other ports in arcusctl.toml",
    ),
    (
        &[
            "myid file is missing",
            "is not in the peer list",
            "not in the peer list",
            "invalid config",
            "serverid",
        ],
        "its myid and its zoo.cfg do not fit each other",
        "write the number that zoo.cfg has for this host (server.N) into myid in its data directory; where there is no myid: arcusctl zookeeper init",
    ),
    (
        &["could not reserve enough space", "outofmemoryerror", "cannot allocate memory"],
        "the host has too little memory for its heap",
        "free memory, or lower the heap (ZK_SERVER_HEAP in zookeeper/conf/java.env, in MB)",
    ),
    (
        &["unable to load database on disk", "last transaction was partial", "crc check failed"],
        "its data on disk cannot be read",
        "keep a copy of its data directory, then empty version-2 in it: it takes the data from the other members",
    ),
    (
        &["permission denied", "accessdeniedexception", "unable to create data directory"],
        "it may not write its data or log directory",
        "give both directories to the login user, or log in as their owner ([ssh] user)",
    ),
    (
        &["unknownhostexception"],
        "a member's name cannot be resolved on that host",
        "name the ensemble by addresses that every host can resolve: -z host:port,…",
    ),
    (&["already running as process"], "it runs already", "see arcusctl zookeeper stat"),
];

/// Adds what `failure`'s log is known to mean; what is not known speaks for itself.
pub(super) fn explain(failure: Failure) -> Failure {
    let log = failure.log.join("\n").to_lowercase() + &failure.causes.join("\n").to_lowercase();
    match KNOWN.iter().find(|(words, ..)| words.iter().any(|words| log.contains(words))) {
        Some((_, means, cure)) => failure.cause(*means).hint(*cure),
        None if failure.log.is_empty() => failure
            .hint("it wrote nothing; run zookeeper/bin/zkServer.sh start-foreground on that host to see why"),
        None => {
            failure.hint("the server's own last words are below; mend the cause and run the command again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_last_words_are_explained() {
        let cases = [
            ("java.net.BindException: Address already in use (Bind failed)", "port of it is taken"),
            ("Error: JAVA_HOME is not set and java could not be found in PATH.", "no Java"),
            ("java.lang.RuntimeException: My id 9 not in the peer list", "myid"),
            ("java.lang.IllegalArgumentException: /opt/arcus/zookeeper/data/myid file is missing", "myid"),
            ("Exception in thread \"main\" java.lang.UnsupportedClassVersionError: org/apache", "too old"),
            ("java.io.IOException: No space left on device", "full"),
            ("java.net.UnknownHostException: zk-9", "resolved"),
            ("Unable to load database on disk", "cannot be read"),
            ("mkdir: cannot create directory: Permission denied", "may not write"),
            ("Error occurred during initialization of VM: Could not reserve enough space", "memory"),
        ];
        for (log, means) in cases {
            let failure = explain(Failure::failed("m: could not start ZooKeeper").log([log.to_owned()]));
            assert!(failure.causes[0].contains(means), "{log}: {failure:?}");
            assert_eq!(failure.hints.len(), 1, "{failure:?}");
        }
    }

    #[test]
    fn every_known_word_for_word() {
        let known = KNOWN.iter().map(|(words, means, cure)| format!("{words:?}: {means}\n  {cure}"));
        insta::assert_snapshot!(known.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn unknown_last_words_are_shown_and_silence_is_told() {
        let said = explain(Failure::failed("m: x").log(["a surprise".to_owned()]));
        assert!(said.causes.is_empty() && said.hints[0].contains("below"), "{said:?}");
        assert!(explain(Failure::failed("m: x")).hints[0].contains("start-foreground"));
    }
}
