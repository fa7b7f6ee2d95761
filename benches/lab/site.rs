//! A lab to measure in, packages of a given size, and the program as its admin runs it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arcus_lab::Lab;

pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) directory: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new(hosts: usize) -> Self {
        let lab = Lab::up(hosts).expect("the benchmarks need root and namespaces");
        Self { lab, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn ensemble(&self) -> String {
        let members: Vec<String> =
            self.lab.hosts().iter().take(3).map(|host| format!("{}:2181", host.ip)).collect();
        members.join(",")
    }

    /// The program, to be given its arguments.
    pub(crate) fn arcusctl(&self) -> Command {
        let mut command = self.lab.admin(env!("CARGO_BIN_EXE_arcusctl"));
        command.env("ARCUSCTL_ZOOKEEPER", self.ensemble()).current_dir(self.directory.path());
        command
    }

    /// `ssh HOST SCRIPT`, as an operator would type it.
    pub(crate) fn ssh(&self, index: usize, script: &str) -> Command {
        let mut command = self.lab.admin("ssh");
        command.arg(self.lab.hosts()[index].ip.to_string()).arg(script);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs a script as root on every host, past ssh.
    pub(crate) fn everywhere(&self, script: &str) {
        for host in self.lab.hosts() {
            let output = self.lab.on(host, "sh").args(["-c", script]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A cloud JSON with `per_host` nodes on each host.
    pub(crate) fn cloud(&self, code: &str, per_host: u16) -> PathBuf {
        let addresses = self.lab.hosts().iter().map(|host| (host.name.clone(), host.ip.to_string()));
        self.file(&format!("{code}.json"), &cloud(code, addresses, per_host))
    }

    /// An unpacked Arcus tree with so much that does not compress besides; and its archive.
    pub(crate) fn package(&self, megabytes: usize) -> (PathBuf, PathBuf) {
        let tree = self.directory.path().join(format!("tree-{megabytes}"));
        let archive = self.directory.path().join(format!("arcus-{megabytes}.tar.gz"));
        fs::create_dir(&tree).unwrap();
        shell(&tree, &format!("tar -xzf '{}'", arcus_lab::bundle::shared().unwrap().display()));
        let sample = fs::metadata(arcus_lab::bundle::shared().unwrap()).unwrap().len() as usize;
        let mut ballast = fs::File::create(tree.join("arcus/lib/ballast")).unwrap();
        let mut noise = fs::File::open("/dev/urandom")
            .unwrap()
            .take((megabytes * 1_000_000).saturating_sub(sample) as u64);
        std::io::copy(&mut noise, &mut ballast).unwrap();
        ballast.flush().unwrap();
        shell(&tree, &format!("tar -czf '{}' arcus", archive.display()));
        (tree, archive)
    }
}

pub(crate) fn cloud(code: &str, addresses: impl Iterator<Item = (String, String)>, per_host: u16) -> String {
    let servers: Vec<String> = addresses
        .flat_map(|(name, ip)| {
            (0..per_host).map(move |number| {
                let port = 11211 + number;
                format!(r#"{{"hostname": "{name}", "ip": "{ip}", "config": {{"port": "{port}"}}}}"#)
            })
        })
        .collect();
    format!(
        r#"{{"serviceCode": "{code}", "servers": [{}], "config": {{"threads": "1", "memlimit": "16", "connections": "50"}}}}"#,
        servers.join(",\n")
    )
}

pub(crate) fn shell(directory: &Path, script: &str) {
    let status = Command::new("sh").arg("-c").arg(script).current_dir(directory).status().unwrap();
    assert!(status.success(), "{script}");
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
