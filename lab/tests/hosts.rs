//! The hosts of a lab do what real machines do when reached by SSH, cut off, frozen, or without power.
//!
//! Needs root and namespaces, and fails where there are none.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use arcus_lab::Lab;

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Runs a shell line on a host over SSH.
fn ssh(lab: &Lab, host: &str, line: &str) -> Output {
    run(lab.admin("ssh").args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=2", host, line]))
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_host_is_a_machine_of_its_own() {
    let lab = Lab::up(2).unwrap();
    let [first, second] = lab.hosts() else { panic!("two hosts were asked for") };

    assert_eq!(stdout(&ssh(&lab, &first.name, "hostname")), first.name);
    assert_eq!(stdout(&ssh(&lab, &second.ip.to_string(), "hostname")), second.name);
    assert_eq!(stdout(&ssh(&lab, &first.name, "ls -A /opt /home /tmp | grep -v :")), "");
    assert_eq!(stdout(&ssh(&lab, &first.name, "stat -c %U /run/memcached")), "memcached");
    assert_eq!(
        stdout(&ssh(&lab, &first.name, &format!("getent hosts {}", second.ip))).split_whitespace().nth(1),
        Some(second.name.as_str())
    );

    let machine_id = |host: &str| stdout(&ssh(&lab, host, "cat /etc/machine-id"));
    assert_ne!(machine_id(&first.name), machine_id(&second.name));

    // Its processes are its own, and its orphans are reaped.
    stdout(&ssh(&lab, &first.name, "(sh -c 'exit 3' & exec true); exit 0"));
    let processes = stdout(&ssh(&lab, &first.name, "ps -A -o stat=,args="));
    assert!(processes.lines().count() < 10, "{processes}");
    assert!(!processes.lines().any(|line| line.starts_with('Z')), "{processes}");

    // Nothing leaves the lab.
    assert_eq!(stdout(&ssh(&lab, &first.name, "ip route show default")), "");
    assert_eq!(stdout(&run(lab.admin("ip").args(["route", "show", "default"]))), "");

    // What one host writes, neither the other nor the machine sees.
    stdout(&ssh(&lab, &first.name, "echo x > /etc/arcus-lab-was-here"));
    assert!(!ssh(&lab, &second.name, "test -e /etc/arcus-lab-was-here").status.success());
    assert!(!std::path::Path::new("/etc/arcus-lab-was-here").exists());
}

#[test]
fn commands_of_the_admin_are_their_own_processes() {
    let lab = Lab::up(1).unwrap();
    let here = tempfile::tempdir().unwrap();
    assert_eq!(stdout(&run(lab.admin("pwd").current_dir(here.path()))), here.path().to_str().unwrap());
    assert_eq!(run(lab.admin("sh").args(["-c", "exit 9"])).status.code(), Some(9));
    let child = lab.admin("sh").args(["-c", "echo $$"]).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), pid.to_string());

    let host = &lab.hosts()[0];
    assert_eq!(run(lab.on(host, "sh").args(["-c", "exit 9"])).status.code(), Some(9));
    assert_eq!(stdout(&run(lab.on(host, "hostname").env("X", "y"))), host.name);
    assert!(lab.host("memcached-1").is_ok() && lab.host("10.77.1.1").is_ok() && lab.host("1").is_ok());
    assert!(lab.host("memcached-2").unwrap_err().to_string().contains("memcached-1"));
}

#[test]
fn a_cable_can_be_pulled_and_an_sshd_can_hang() {
    let lab = Lab::up(2).unwrap();
    let [first, second] = lab.hosts() else { panic!("two hosts were asked for") };

    lab.cut(first).unwrap();
    let cut = ssh(&lab, &first.name, "true");
    assert_eq!(cut.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("timed out"), "{cut:?}");
    stdout(&ssh(&lab, &second.name, "true"));
    lab.join(first).unwrap();
    stdout(&ssh(&lab, &first.name, "true"));

    lab.freeze(first).unwrap();
    let frozen = ssh(&lab, &first.name, "true");
    assert!(String::from_utf8_lossy(&frozen.stderr).contains("banner exchange"), "{frozen:?}");
    lab.thaw(first).unwrap();
    stdout(&ssh(&lab, &first.name, "true"));
}

#[test]
fn a_host_without_power_keeps_its_disk_only() {
    let lab = Lab::up(1).unwrap();
    let host = &lab.hosts()[0];
    stdout(&ssh(&lab, &host.name, "for d in /opt /etc /root /tmp /run; do echo x > $d/kept; done; sync"));
    lab.kill(host).unwrap();
    assert!(!lab.is_running(host));
    assert_eq!(ssh(&lab, &host.name, "true").status.code(), Some(255));
    lab.boot(host).unwrap();
    assert!(lab.is_running(host));
    // Same keys: ssh would refuse a stranger.
    assert_eq!(stdout(&ssh(&lab, &host.name, "ls /*/kept")), "/etc/kept\n/opt/kept\n/root/kept");
    assert!(lab.boot(host).unwrap_err().to_string().contains("running"));
}

#[test]
fn labs_stand_side_by_side_and_go_without_a_trace() {
    let (one, other) = (Lab::up(1).unwrap(), Lab::up(1).unwrap());
    assert_ne!(one.name(), other.name());
    stdout(&ssh(&one, "memcached-1", "echo one > /opt/whose"));
    assert!(!ssh(&other, "memcached-1", "test -e /opt/whose").status.success());

    // A process left behind in the admin's namespace goes as well.
    let mut left =
        one.admin("sh").args(["-c", "echo there; exec sleep 1000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(left.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "there\n");
    let (dir, name) = (one.dir().to_owned(), one.name().to_owned());
    one.down().unwrap();
    assert!(!left.wait().unwrap().success());
    assert!(!dir.exists());
    assert!(Lab::open(&name).is_err());
    assert!(!std::fs::read_to_string("/proc/mounts").unwrap().contains(dir.to_str().unwrap()));
    stdout(&ssh(&other, "memcached-1", "true"));
}

#[test]
fn a_stranger_is_not_trusted() {
    let lab = Lab::up(1).unwrap();
    let known = lab.admin_ssh_dir().join("known_hosts");
    let text = std::fs::read_to_string(&known).unwrap();
    assert_eq!(text.lines().count(), 1);
    std::fs::write(&known, "").unwrap();
    let unknown = ssh(&lab, "memcached-1", "true");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Host key verification failed"), "{unknown:?}");
}

#[test]
fn the_command_line_does_it_too() {
    let lab = |arguments: &[&str]| run(Command::new(env!("CARGO_BIN_EXE_arcus-lab")).args(arguments));
    let name = format!("cli-{}", std::process::id());
    assert!(
        stdout(&lab(&["up", "1", "--name", &name, "--prefix", "node"])).starts_with("node1\t10.77.1.1\ton")
    );
    let again = lab(&["up", "1", "--name", &name]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already"), "{again:?}");
    assert!(stdout(&lab(&["list"])).contains(&format!("{name}  1/1 hosts running")));
    assert_eq!(lab(&["run", "--name", &name, "--", "sh", "-c", "exit 5"]).status.code(), Some(5));
    assert_eq!(stdout(&lab(&["on", "--name", &name, "1", "hostname"])), "node1");
    stdout(&lab(&["kill", "--name", &name, "node1"]));
    assert_eq!(lab(&["on", "--name", &name, "1", "hostname"]).status.code(), Some(1));
    stdout(&lab(&["boot", "--name", &name, "node1"]));
    stdout(&lab(&["down", "--name", &name]));
    assert!(!stdout(&lab(&["list"])).contains(&name));
}

#[test]
fn who_may_not_have_a_lab_is_told_so_with_a_code_of_its_own() {
    let program = env!("CARGO_BIN_EXE_arcus-lab");
    let copy = tempfile::Builder::new().prefix("arcus-lab-").tempdir_in("/tmp").unwrap();
    // Somewhere that everybody can reach.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(copy.path(), open).unwrap();
    let path = copy.path().join("arcus-lab");
    std::fs::copy(program, &path).unwrap();
    let denied =
        run(Command::new("setpriv").args(["--reuid", "65534", "--clear-groups"]).arg(&path).arg("probe"));
    assert_eq!(denied.status.code(), Some(77));
    assert!(String::from_utf8_lossy(&denied.stderr).contains("needs root"), "{denied:?}");
    let shackled =
        run(Command::new("setpriv").args(["--bounding-set", "-sys_admin"]).arg(&path).arg("probe"));
    assert_eq!(shackled.status.code(), Some(77), "{shackled:?}");
    assert!(run(Command::new(&path).arg("probe")).status.success());
}
