//! The constant shell scripts. POSIX sh and coreutils only, but where a ZooKeeper server is started: that needs bash.
//!
//! Each stands in a file of its own, which says at its head what its parameters are and what it prints; what several
//! need stands in `processes_here.sh`, `release_users.sh`, `machine_here.sh`, `java_here.sh`, `put_file.sh` and `lock.sh`.

/// Describes the install path.
pub const INSTALL: &str = concat!(
    include_str!("scripts/processes_here.sh"),
    include_str!("scripts/machine_here.sh"),
    include_str!("scripts/install.sh")
);
/// Describes the host before anything is done there.
pub const PREFLIGHT: &str = concat!(
    include_str!("scripts/processes_here.sh"),
    include_str!("scripts/machine_here.sh"),
    include_str!("scripts/java_here.sh"),
    include_str!("scripts/preflight.sh")
);
/// Receives, verifies and unpacks a release.
pub const STAGE: &str = concat!(include_str!("scripts/lock.sh"), include_str!("scripts/stage.sh"));
/// Prints the checksum of a partly received archive.
pub const PARTIAL: &str = include_str!("scripts/partial.sh");
/// Takes the lock of an install's releases.
#[cfg(test)]
const LOCK: &str = include_str!("scripts/lock.sh");
/// Removes releases.
pub const PRUNE: &str = concat!(
    include_str!("scripts/lock.sh"),
    include_str!("scripts/processes_here.sh"),
    include_str!("scripts/release_users.sh"),
    include_str!("scripts/prune.sh")
);
/// Removes what arcusctl made below the install path, or says what that would be.
pub const REMOVE_INSTALL: &str = concat!(
    include_str!("scripts/lock.sh"),
    include_str!("scripts/processes_here.sh"),
    include_str!("scripts/release_users.sh"),
    include_str!("scripts/remove_install.sh")
);
/// Removes logs and pid files of cache nodes that are no more.
pub const FORGET_NODES: &str = include_str!("scripts/forget_nodes.sh");
/// Notes that an ensemble's data is going to be removed.
pub const MARK_DESTROYED: &str = include_str!("scripts/mark_destroyed.sh");
/// Tells whether that was noted.
pub const MEMBER_MARKED: &str = include_str!("scripts/member_marked.sh");
/// Removes a member's data, logs and configuration.
pub const REMOVE_MEMBER: &str =
    concat!(include_str!("scripts/processes_here.sh"), include_str!("scripts/remove_member.sh"));
/// Makes a staged release the current one.
pub const SWITCH: &str = concat!(include_str!("scripts/lock.sh"), include_str!("scripts/switch.sh"));
/// Removes what runs that were cut short left behind.
pub const TIDY: &str = concat!(include_str!("scripts/lock.sh"), include_str!("scripts/tidy.sh"));
/// Gives a release a name.
pub const LABEL: &str = include_str!("scripts/label.sh");
/// Describes a ZooKeeper member.
pub const MEMBER: &str =
    concat!(include_str!("scripts/processes_here.sh"), include_str!("scripts/member.sh"));
/// Writes a member's `myid` and `zoo.cfg`.
pub const CONFIGURE_MEMBER: &str = include_str!("scripts/configure_member.sh");
/// Starts a member.
pub const START_MEMBER: &str =
    concat!(include_str!("scripts/processes_here.sh"), include_str!("scripts/start_member.sh"));
/// Stops a member and waits for its end.
pub const STOP_MEMBER: &str =
    concat!(include_str!("scripts/processes_here.sh"), include_str!("scripts/stop_member.sh"));
/// Sets the `zoo.cfg` of a member aside.
pub const RETIRE_MEMBER: &str = include_str!("scripts/retire_member.sh");
/// Describes what a member keeps on its disk.
pub const MEMBER_STORAGE: &str = include_str!("scripts/member_storage.sh");
/// Prints the end of a member's log.
pub const MEMBER_LOG: &str = include_str!("scripts/member_log.sh");
/// Prints logs of cache nodes and members, and what comes.
pub const LOGS: &str = include_str!("scripts/logs.sh");
/// Runs a command of the operator's.
pub const RUN_COMMAND: &str = include_str!("scripts/run_command.sh");
/// Tells one running machine from every other.
pub const MACHINE: &str = concat!(include_str!("scripts/machine_here.sh"), "tell_machine\n");
/// Lists the memcached processes.
pub const PROCESSES: &str =
    concat!(include_str!("scripts/processes_here.sh"), include_str!("scripts/processes.sh"));
/// Starts cache nodes and reports what becomes of them.
pub const START_NODES: &str = include_str!("scripts/start_nodes.sh");
/// Prints why a cache node may have failed.
pub const NODE_LOG: &str = include_str!("scripts/node_log.sh");
/// Signals cache nodes and waits for their end.
pub const STOP_NODES: &str =
    concat!(include_str!("scripts/processes_here.sh"), include_str!("scripts/stop_nodes.sh"));
/// Describes what a host has of what `hosts prepare` makes.
pub const PREPARED: &str = concat!(
    include_str!("scripts/processes_here.sh"),
    include_str!("scripts/machine_here.sh"),
    include_str!("scripts/java_here.sh"),
    include_str!("scripts/prepared.sh")
);
/// Makes a user that cannot log in.
pub const CREATE_USER: &str = include_str!("scripts/create_user.sh");
/// Makes a directory that must be there anew after each boot.
pub const MAKE_RUN_DIRECTORY: &str =
    concat!(include_str!("scripts/put_file.sh"), include_str!("scripts/make_run_directory.sh"));
/// Makes the install path and gives it to its owner.
pub const MAKE_INSTALL_PATH: &str = include_str!("scripts/make_install_path.sh");
/// Writes the limits of logins.
pub const WRITE_LIMITS: &str =
    concat!(include_str!("scripts/put_file.sh"), include_str!("scripts/write_limits.sh"));
/// Installs a Java runtime by the host's package manager.
pub const INSTALL_JAVA: &str = concat!(
    include_str!("scripts/processes_here.sh"),
    include_str!("scripts/java_here.sh"),
    include_str!("scripts/install_java.sh")
);

/// Holds the operation lock of a host.
pub const HOLD_LOCK: &str = include_str!("scripts/hold_lock.sh");
/// Prints who holds the operation lock.
pub const LOCK_STATUS: &str = include_str!("scripts/lock_status.sh");

/// What to do about an error that a script's tools are known to print.
pub(super) fn hint(stderr: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 11] = [
        (
            "Unable to locate package",
            "see that the host reaches its package archive (apt-get update there), or install a JRE by hand",
        ),
        ("Could not get lock", "another package manager is at work on that host; run the command again"),
        (
            "is still no java",
            "put a Java runtime of 1.8 or later into PATH, or set JAVA_HOME in /etc/profile",
        ),
        ("No space left on device", "free space on that host, or set install_path to a larger file system"),
        ("Disk quota exceeded", "free space on that host, or have the login user's quota raised"),
        ("Read-only file system", "remount the file system writable, or set install_path elsewhere"),
        (
            "Permission denied",
            "log in as a user who may do this ([ssh] user), or change the owner of the path",
        ),
        ("Operation not permitted", "log in as root, or as the user that cache nodes run as"),
        (
            "Cannot exec",
            "install what is missing on that host; arcusctl needs sh, tar, gzip and coreutils there",
        ),
        ("another arcusctl is", "wait until the other run is through, then run the command again"),
        (
            "not found",
            "install what is missing on that host; arcusctl needs sh, tar, gzip and coreutils there",
        ),
    ];
    KNOWN.iter().find(|(words, _)| stderr.contains(words)).map(|(_, hint)| *hint)
}

#[cfg(test)]
#[path = "scripts/logs_tests.rs"]
mod logs_tests;

#[cfg(test)]
#[path = "scripts/remove_tests.rs"]
mod remove_tests;

#[cfg(test)]
#[path = "scripts/process_tests.rs"]
mod process_tests;

#[cfg(test)]
#[path = "scripts/prepare_tests.rs"]
mod prepare_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_say_is_hinted_at() {
        let said = [
            "tar: x: Cannot write: No space left on device",
            "mkdir: cannot create directory 'x': Disk quota exceeded",
            "touch: cannot touch 'x': Read-only file system",
            "mkdir: cannot create directory 'x': Permission denied",
            "chown: changing ownership of 'x': Operation not permitted",
            "tar (child): gzip: Cannot exec: No such file or directory",
            "another arcusctl is staging a release here",
            "sh: 1: tar: not found",
            "something else",
        ];
        let told = said.map(|words| format!("{words}\n  {}", hint(words).unwrap_or("-")));
        insta::assert_snapshot!(told.join("\n"));
    }
}
