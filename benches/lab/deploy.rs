//! Bringing a build to hosts: against a plain pipe into tar, packing again for each host (with the Fabric function that
//! arcus.sh calls, and with scp), and pyinfra.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::measure::{median, ratio, run, seconds, together};
use crate::site::{Site, shell, text};
use crate::{Bound, Row};

const WIPE: &str = "rm -rf /opt/arcus /opt/plain; sync";

/// First deploy of 10 MB to 16 hosts.
pub(crate) fn first_small() -> Vec<Row> {
    first(10, 5)
}

/// First deploy of 100 MB to 16 hosts.
pub(crate) fn first_large() -> Vec<Row> {
    first(100, 3)
}

fn first(megabytes: usize, rounds: usize) -> Vec<Row> {
    let site = Site::new(16);
    let conf = site.cloud("bench", 1);
    let pyinfra = python(&site, "pyinfra");
    let fabric = python(&site, "Fabric3");
    let (tree, archive) = site.package(megabytes);
    let mut ours = Vec::new();
    let mut piped = Vec::new();
    let mut fabrics = Vec::new();
    let mut packed = Vec::new();
    let mut pyinfras = Vec::new();
    for _ in 0..rounds {
        site.everywhere(WIPE);
        ours.push(run(site.arcusctl().args(["-q", "deploy", text(&conf), "--package", text(&archive)])).wall);
        site.everywhere(WIPE);
        piped.push(together(pipe_all(&site, &archive)));
        site.everywhere(WIPE);
        fabrics.push(run(&mut fabric_deploy(&site, &fabric, &tree)).wall);
        site.everywhere(WIPE);
        packed.push(together(repack_all(&site, &tree)));
        site.everywhere(WIPE);
        pyinfras.push(run(&mut pyinfra_deploy(&site, &pyinfra, &archive)).wall);
    }
    let ours = median(ours);
    let row = |peer: &str, times, bound| {
        let theirs = median(times);
        Row {
            what: format!("first deploy, 16 hosts, {megabytes} MB, against {peer}"),
            ours: seconds(ours),
            theirs: seconds(theirs),
            ratio: ratio(ours, theirs),
            bound,
        }
    };
    vec![
        row("parallel `ssh host tar -xz`", piped, Bound::AtMost(1.1)),
        row("packing for each host with Fabric, as arcus.sh does", fabrics, Bound::AtMost(0.5)),
        row("packing for each host with scp", packed, Bound::None),
        row("pyinfra", pyinfras, Bound::None),
    ]
}

/// A deploy of what is there already, and a check of the peak memory.
pub(crate) fn unchanged() -> Vec<Row> {
    let site = Site::new(16);
    let conf = site.cloud("bench", 1);
    let (_, archive) = site.package(10);
    let deploy = || {
        let mut command = site.arcusctl();
        command.args(["-q", "deploy", text(&conf), "--package", text(&archive)]);
        command
    };
    run(&mut deploy());
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..7 {
        ours.push(run(&mut deploy()).wall);
        theirs.push(together((0..16).map(|index| site.ssh(index, "true")).collect()));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    vec![Row {
        what: "unchanged redeploy, 16 hosts, against parallel `ssh host true`".into(),
        ours: seconds(ours),
        theirs: seconds(theirs),
        ratio: ratio(ours, theirs),
        bound: Bound::AtMost(1.2),
    }]
}

/// What 32 hosts cost more than 4.
pub(crate) fn growth() -> Vec<Row> {
    let mut costs = Vec::new();
    for hosts in [4, 32] {
        let site = Site::new(hosts);
        let conf = site.cloud("bench", 1);
        let (_, archive) = site.package(100);
        costs.push(run(site.arcusctl().args(["-q", "deploy", text(&conf), "--package", text(&archive)])));
    }
    let (few, many) = (costs[0], costs[1]);
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    vec![
        Row {
            what: "processor time, 32 hosts against 8 × that of 4, 100 MB".into(),
            ours: seconds(many.processor),
            theirs: seconds(few.processor * 8),
            ratio: ratio(many.processor, few.processor * 8),
            bound: Bound::AtMost(1.0),
        },
        Row {
            what: "peak memory, 32 hosts × 100 MB, against 60 MiB".into(),
            ours: format!("{:.0} MiB", megabytes(many.memory)),
            theirs: "60 MiB".into(),
            ratio: megabytes(many.memory) / 60.0,
            bound: Bound::AtMost(1.0),
        },
    ]
}

fn pipe_all(site: &Site, archive: &Path) -> Vec<Command> {
    let pipe = |index: usize| {
        let mut command = site.ssh(index, "mkdir -p /opt/plain && tar -xz -C /opt/plain");
        command.stdin(File::open(archive).unwrap());
        command
    };
    (0..site.lab.hosts().len()).map(pipe).collect()
}

/// For each host at once, pack the tree, send the archive, unpack it there, remove it.
fn repack_all(site: &Site, tree: &Path) -> Vec<Command> {
    let one = |index: usize| {
        let ip = site.lab.hosts()[index].ip;
        let mut command = site.lab.admin("sh");
        command.args([
            "-c",
            r#"set -e; archive=$(mktemp); tar -czf "$archive" -C "$1" arcus; scp -q "$archive" "$2:/opt/arcus.tar.gz"
               ssh "$2" 'mkdir -p /opt/plain && tar -xzf /opt/arcus.tar.gz -C /opt/plain && rm -f /opt/arcus.tar.gz'; rm -f "$archive""#,
            "sh",
            text(tree),
            &ip.to_string(),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    (0..site.lab.hosts().len()).map(one).collect()
}

/// A tool from the package registry, in an environment of its own; the directory of its programs.
fn python(site: &Site, tool: &str) -> PathBuf {
    shell(site.directory.path(), &format!("python3 -m venv {tool} && {tool}/bin/pip install --quiet {tool}"));
    site.directory.path().join(tool).join("bin")
}

/// What the deploy task of arcus.sh's fabfile does: `upload_project` on all hosts at once. (Fabric 1 for Python 3.)
fn fabric_deploy(site: &Site, fabric: &Path, tree: &Path) -> Command {
    let hosts: Vec<String> = site.lab.hosts().iter().map(|host| format!("\"{}\"", host.ip)).collect();
    let script = site.file(
        "upload.py",
        &format!(
            "from fabric.api import env, execute, parallel, run\n\
             from fabric.contrib.project import upload_project\n\
             env.hosts = [{}]\n\
             env.user = \"root\"\n\
             @parallel\n\
             def deploy():\n\
             \x20   run(\"mkdir -p /opt/plain\")\n\
             \x20   upload_project(\"{}\", \"/opt/plain\")\n\
             execute(deploy)\n",
            hosts.join(", "),
            tree.join("arcus").display()
        ),
    );
    let mut command = site.lab.admin(fabric.join("python"));
    command.arg(script).current_dir(site.directory.path());
    command
}

fn pyinfra_deploy(site: &Site, pyinfra: &Path, archive: &Path) -> Command {
    let hosts: Vec<String> = site
        .lab
        .hosts()
        .iter()
        .map(|host| format!("(\"{}\", {{\"ssh_user\": \"root\"}})", host.ip))
        .collect();
    let inventory = site.file("inventory.py", &format!("hosts = [{}]\n", hosts.join(", ")));
    let script = site.file(
        "deploy.py",
        &format!(
            "from pyinfra.operations import files, server\n\
             files.put(src=\"{}\", dest=\"/opt/arcus.tar.gz\")\n\
             server.shell(commands=[\"mkdir -p /opt/plain && tar -xzf /opt/arcus.tar.gz -C /opt/plain\"])\n",
            archive.display()
        ),
    );
    let mut command = site.lab.admin(pyinfra.join("pyinfra"));
    command.args(["-y", text(&inventory), text(&script)]).current_dir(site.directory.path());
    command
}
