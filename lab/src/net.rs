//! The lab's network: addresses, the bridge in the admin namespace, one cable (veth pair) per host.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

/// The bridge in the admin namespace.
const BRIDGE: &str = "br0";
/// The admin's address. Labs have a network each, so all use the same ones.
pub(crate) const ADMIN_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// More hosts than any test wants; keeps the last two bytes of an address simple.
pub(crate) const MAX_HOSTS: usize = 250;

/// The address of the host with this index, counted from 1.
pub(crate) fn host_ip(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 1, u8::try_from(index).unwrap_or(u8::MAX))
}

/// The admin's end of the cable to the host with this index.
fn port(index: usize) -> String {
    format!("h{index}")
}

/// Makes the bridge. To be called in the admin's network namespace.
pub(crate) fn make_bridge() -> Result<()> {
    ip_batch(&format!(
        "link set lo up\nlink add {BRIDGE} type bridge\naddr add {ADMIN_IP}/16 dev {BRIDGE}\nlink set {BRIDGE} up\n"
    ))
}

/// Lays the cable of a host. To be called in the host's network namespace.
///
/// The MAC address belongs to the host, so that after a reboot its peers' ARP entries still hold.
pub(crate) fn lay_cable(index: usize, admin: u32) -> Result<()> {
    let (ip, port) = (host_ip(index), port(index));
    ip_batch(&format!(
        "link set lo up\n\
         link add eth0 address 02:00:0a:4d:01:{index:02x} type veth peer name {port} netns /proc/{admin}/ns/net\n\
         addr add {ip}/16 dev eth0\n\
         link set eth0 up\n"
    ))
}

/// Plugs the cables of these hosts into the bridge. To be called in the admin's network namespace.
pub(crate) fn plug_in(indices: impl Iterator<Item = usize>) -> Result<()> {
    let lines: String =
        indices.map(|index| format!("link set {} master {BRIDGE} up\n", port(index))).collect();
    ip_batch(&lines)
}

/// Pulls or restores a host's cable. To be called in the admin's network namespace.
pub(crate) fn set_cable(index: usize, connected: bool) -> Result<()> {
    ip_batch(&format!("link set {} {}\n", port(index), if connected { "up" } else { "down" }))
}

/// Removes what a host without power left of its cable. To be called in the admin's network namespace.
///
/// The kernel does so too, but some time after the host's last process has ended.
pub(crate) fn remove_cable(index: usize) -> Result<()> {
    let output = Command::new("ip").args(["link", "del", &port(index)]).output().context("running ip")?;
    let text = String::from_utf8_lossy(&output.stderr);
    // The cable goes by itself when its host's namespace does, perhaps while ip looks at it.
    let gone = text.contains("Cannot find device") || text.contains("No such device");
    if output.status.success() || gone {
        return Ok(());
    }
    bail!("removing cable {}: {}", port(index), text.trim())
}

/// Waits until something that greets like sshd answers at `ip`. To be called in the admin's network namespace.
#[expect(clippy::disallowed_methods, reason = "sshd announces nothing, and this thread is the lab's own")]
pub(crate) fn await_ssh_banner(ip: Ipv4Addr, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut last;
    loop {
        match ssh_banner(ip) {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
        if Instant::now() >= deadline {
            return Err(last).with_context(|| format!("no SSH server at {ip} within {limit:?}"));
        }
        // sshd tells nobody when it begins to listen; until then the kernel refuses at once, so a short pause is
        // all that keeps this from spinning.
        thread::sleep(Duration::from_millis(3));
    }
}

fn ssh_banner(ip: Ipv4Addr) -> Result<()> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(IpAddr::V4(ip), 22), limit)?;
    stream.set_read_timeout(Some(limit))?;
    let mut greeting = [0_u8; 4];
    stream.read_exact(&mut greeting)?;
    if &greeting != b"SSH-" {
        bail!("{ip}:22 greets with {greeting:?}");
    }
    Ok(())
}

/// Runs `f` on a thread inside the network namespace of process `pid`.
pub(crate) fn inside<T: Send>(pid: u32, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let path = format!("/proc/{pid}/ns/net");
    thread::scope(|scope| {
        scope
            .spawn(|| {
                let namespace = File::open(&path).with_context(|| format!("opening {path}"))?;
                setns(&namespace, CloneFlags::CLONE_NEWNET).with_context(|| format!("entering {path}"))?;
                f()
            })
            .join()
            .map_err(|_| anyhow!("a thread in the lab's network panicked"))?
    })
}

/// Runs lines of `ip` commands in the network namespace of the calling thread.
fn ip_batch(lines: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("running ip (Debian package iproute2)")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes()).context("talking to ip")?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("ip: {}\nwhile doing:\n{lines}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
