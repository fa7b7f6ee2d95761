//! A site to operate: a lab, a package, and the program run from the admin's machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use arcus_lab::{Host, Lab};
use serde_json::Value;

/// A lab with a package to deploy, seen from its admin's machine.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) package: PathBuf,
    /// Ensemble members: one on each of the first hosts.
    members: usize,
    files: tempfile::TempDir,
}

/// How one run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// Bare hosts; the ensemble is to be on the first three, or on the first if there are fewer.
    pub(crate) fn new(hosts: usize) -> Self {
        let lab = Lab::up(hosts).expect("the tests need root and namespaces: run them with sudo");
        let package = arcus_lab::bundle::shared().expect("the sample package");
        let members = if hosts < 3 { 1 } else { 3 };
        Self { lab, package, members, files: tempfile::tempdir().unwrap() }
    }

    /// Hosts with the package deployed, a serving ensemble, and a running cloud `cloud` of two nodes a host.
    pub(crate) fn with_cloud(hosts: usize) -> (Self, PathBuf) {
        let site = Self::new(hosts);
        let conf = site.cloud("cloud", 11211, 2);
        let package = site.package.clone();
        site.run(["quicksetup", path(&conf), "--package", path(&package)]).success();
        (site, conf)
    }

    pub(crate) fn host(&self, index: usize) -> &Host {
        &self.lab.hosts()[index]
    }

    pub(crate) fn ip(&self, index: usize) -> String {
        self.host(index).ip.to_string()
    }

    /// `ip:2181,…`
    pub(crate) fn ensemble(&self) -> String {
        let members: Vec<String> =
            (0..self.members).map(|index| format!("{}:2181", self.ip(index))).collect();
        members.join(",")
    }

    /// A file of the admin's.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn directory(&self) -> &Path {
        self.files.path()
    }

    /// A cloud JSON with nodes on every host, at ports counting up from `first_port`.
    pub(crate) fn cloud(&self, code: &str, first_port: u16, nodes_per_host: u16) -> PathBuf {
        let hosts: Vec<(String, String)> =
            self.lab.hosts().iter().map(|host| (host.name.clone(), host.ip.to_string())).collect();
        self.file(&format!("{code}.json"), &cloud_json(code, &hosts, first_port, nodes_per_host))
    }

    /// `arcusctl` as the admin would run it, with this site's ensemble in the environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.lab.admin(env!("CARGO_BIN_EXE_arcusctl"));
        command.env("ARCUSCTL_ZOOKEEPER", self.ensemble()).env_remove("ARCUSCTL_SETTINGS");
        command.current_dir(self.files.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        Run::of(self.command().args(args))
    }

    /// Starts the program and leaves it running.
    pub(crate) fn spawn<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Child {
        let mut command = self.command();
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a shell script on a host, as root, past ssh; gives its standard output.
    pub(crate) fn on(&self, index: usize, script: &str) -> Run {
        Run::of(self.lab.on(self.host(index), "sh").args(["-c", script]))
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as the one JSON document it must be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// Asserts that standard error says this.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "{words:?} is not in stderr:\n{}\nstdout:\n{}",
            self.stderr,
            self.stdout
        );
        self
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The walkthrough's document for these `(hostname, ip)`.
pub(crate) fn cloud_json(
    code: &str,
    hosts: &[(String, String)],
    first_port: u16,
    nodes_per_host: u16,
) -> String {
    let mut servers = String::new();
    for (hostname, ip) in hosts {
        for port in first_port..first_port + nodes_per_host {
            let comma = if servers.is_empty() { "" } else { ",\n" };
            write!(
                servers,
                r#"{comma}    {{"hostname": "{hostname}", "ip": "{ip}", "config": {{"port": "{port}"}}}}"#
            )
            .unwrap();
        }
    }
    format!(
        "{{\n  \"serviceCode\": \"{code}\",\n  \"servers\": [\n{servers}\n  ],\n  \"config\": {{\"threads\": \"2\", \"memlimit\": \"64\", \"connections\": \"100\"}}\n}}\n"
    )
}
