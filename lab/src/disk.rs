//! What lies on the disks: the files in which a host differs from the machine, and those of the admin.
//!
//! A host's disk is the upper layer of an overlay over `/`. It is filled here before the host's first boot, and stays
//! when the host loses power.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::net::ADMIN_IP;
use crate::state::{HostLayout, Layout};

/// Directories of a host that don't show what the machine has there, but start empty.
pub(crate) const OWN_DIRS: [&str; 3] = ["opt", "home", "root"];

/// The system user that cache nodes run as on a host.
const CACHE_USER: &str = "memcached";

/// sshd as a distribution sets it up (MaxSessions, MaxStartups and so on are its defaults), less PAM and passwords.
const SSHD_CONFIG: &str = "\
Port 22
AddressFamily inet
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
UseDNS no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
";

/// `/etc/hosts` for everyone on the lab's network.
pub(crate) fn hosts_file(hosts: &[(String, Ipv4Addr)]) -> String {
    let mut text = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n{ADMIN_IP}\tadmin\n");
    for (name, ip) in hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{ip}\t{name}");
    }
    text
}

/// Makes an ed25519 key pair at `path` and `path`.pub, unless it is there; gives the public line without comment.
pub(crate) fn ensure_key(path: &Path) -> Result<String> {
    let public = path.with_extension("pub");
    if !public.exists() {
        let output = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "arcus-lab", "-f"])
            .arg(path)
            .output()
            .context("running ssh-keygen (Debian package openssh-client)")?;
        if !output.status.success() {
            bail!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    let line = fs::read_to_string(&public).with_context(|| format!("reading {}", public.display()))?;
    Ok(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Fills the admin's home and the files that replace the machine's in the admin's namespace; gives its public key.
pub(crate) fn prepare_admin(layout: &Layout, hosts: &str) -> Result<String> {
    let ssh = layout.admin_ssh();
    fs::create_dir_all(&ssh)?;
    fs::set_permissions(&ssh, Permissions::from_mode(0o700))?;
    let etc = layout.admin_etc();
    fs::create_dir_all(&etc)?;
    fs::write(etc.join("hosts"), hosts)?;
    fs::write(etc.join("hostname"), "admin\n")?;
    let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    fs::write(etc.join("passwd"), with_root_home(&passwd, &layout.admin_home().to_string_lossy()))?;
    ensure_key(&ssh.join("id_ed25519"))
}

/// OpenSSH looks for `~/.ssh` in the home that passwd names, whatever `$HOME` says; so passwd must name the lab's.
fn with_root_home(passwd: &str, home: &str) -> String {
    edit_first(passwd, "root", |fields| {
        if let Some(field) = fields.get_mut(5) {
            home.clone_into(field);
        }
    })
}

/// Applies `edit` to the fields of the first line for `user` in a colon-separated account file.
fn edit_first(text: &str, user: &str, edit: impl FnOnce(&mut Vec<String>)) -> String {
    let mut edit = Some(edit);
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if fields[0] == user
            && let Some(edit) = edit.take()
        {
            edit(&mut fields);
        }
        out.push_str(&fields.join(":"));
        out.push('\n');
    }
    out
}

/// What a host's disk is made from.
#[derive(Debug)]
pub(crate) struct HostFiles<'a> {
    pub(crate) name: &'a str,
    pub(crate) hosts: &'a str,
    pub(crate) admin_key: &'a str,
}

/// Fills a new host's disk; gives the host's public key.
pub(crate) fn prepare_host(layout: &HostLayout, files: &HostFiles<'_>) -> Result<String> {
    let (upper, ssh) = (layout.upper(), layout.upper().join("etc/ssh"));
    for dir in [&upper, &upper.join("etc"), &ssh, &layout.work(), &layout.mount_point()] {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    for top in OWN_DIRS {
        fs::create_dir_all(layout.own(top))?;
        fs::set_permissions(
            layout.own(top),
            Permissions::from_mode(if top == "root" { 0o700 } else { 0o755 }),
        )?;
    }

    let etc = upper.join("etc");
    fs::write(etc.join("hostname"), format!("{}\n", files.name))?;
    fs::write(etc.join("hosts"), files.hosts)?;
    fs::write(
        etc.join("resolv.conf"),
        "# The lab's network has no name server: /etc/hosts knows everybody.\n",
    )?;
    let machine_id = fs::read_to_string("/proc/sys/kernel/random/uuid").context("reading a random uuid")?;
    fs::write(etc.join("machine-id"), machine_id.replace('-', ""))?;
    write_accounts(&etc)?;

    fs::write(ssh.join("sshd_config"), SSHD_CONFIG)?;
    let authorized = layout.own("root").join(".ssh");
    fs::create_dir_all(&authorized)?;
    fs::set_permissions(&authorized, Permissions::from_mode(0o700))?;
    write_private(&authorized.join("authorized_keys"), &format!("{} admin\n", files.admin_key))?;
    ensure_key(&ssh.join("ssh_host_ed25519_key"))
}

/// The machine's accounts plus the user that cache nodes run as, and a root that sshd lets in by key.
fn write_accounts(etc: &Path) -> Result<()> {
    let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let group = fs::read_to_string("/etc/group").context("reading /etc/group")?;
    let shadow = fs::read_to_string("/etc/shadow").context("reading /etc/shadow")?;
    // The machine may keep root's home elsewhere; a host's is /root, where its authorized_keys lie.
    let mut passwd = with_root_home(&passwd, "/root");
    let mut group = group;
    // Without PAM sshd takes a password field that begins with '!' (Ubuntu's root) for a locked account.
    let mut shadow = edit_first(&shadow, "root", |fields| {
        if let Some(field) = fields.get_mut(1) {
            "*".clone_into(field);
        }
    });
    if !passwd.lines().any(|line| line.split(':').next() == Some(CACHE_USER)) {
        let id = free_system_id(&passwd, &group)?;
        let _ = writeln!(passwd, "{CACHE_USER}:x:{id}:{id}:Cache nodes:/nonexistent:/usr/sbin/nologin");
        let _ = writeln!(group, "{CACHE_USER}:x:{id}:");
        let _ = writeln!(shadow, "{CACHE_USER}:!:19000::::::");
    }
    fs::write(etc.join("passwd"), passwd)?;
    fs::write(etc.join("group"), group)?;
    write_private(&etc.join("shadow"), &shadow)
}

/// The highest number below the ordinary users' that neither a user nor a group has.
fn free_system_id(passwd: &str, group: &str) -> Result<u32> {
    let taken = |id: u32| {
        passwd
            .lines()
            .chain(group.lines())
            .any(|line| line.split(':').nth(2).is_some_and(|f| f.parse() == Ok(id)))
    };
    (200..990).rev().find(|id| !taken(*id)).context("no system user number is free")
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";

    #[test]
    fn only_roots_home_changes() {
        let edited = with_root_home(PASSWD, "/lab/home");
        assert_eq!(edited, PASSWD.replace("root:/root:", "root:/lab/home:"));
    }

    #[test]
    fn a_system_number_that_a_group_has_is_not_free() {
        let group = "root:x:0:\nsomething:x:989:\n";
        assert_eq!(free_system_id(PASSWD, group).unwrap(), 988);
    }

    #[test]
    fn everybody_is_in_the_hosts_file() {
        let text = hosts_file(&[("memcached-1".to_owned(), Ipv4Addr::new(10, 77, 1, 1))]);
        assert!(text.contains("10.77.1.1\tmemcached-1\n"));
        assert!(text.contains("10.77.0.1\tadmin\n"));
    }
}
