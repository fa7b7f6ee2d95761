//! A site to operate: a lab, a package, and the program run from the admin's machine.

pub(crate) mod load;
mod uploads;
mod writes;
mod znodes;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use arcus_lab::{Host, Lab};
use serde_json::{Value, json};

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

    /// Runs the program to its end, with `--yes`: there is no terminal to ask at.
    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        let args: Vec<&str> = args.into_iter().collect();
        let yes = (!args.contains(&"--yes")).then_some("--yes");
        Run::of(self.command().args(yes).args(args))
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

/// Reads what a program that was left running says until it says these words; the rest is left to be read.
#[track_caller]
pub(crate) fn await_words(child: &mut Child, words: &str) -> BufReader<ChildStderr> {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(words) {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended without {words:?}:\n{said}");
    }
    stderr
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

/// What a test sees and does past `arcusctl`: znodes, processes, a terminal.
impl Site {
    /// Hosts with the package deployed and a serving ensemble, but no cloud. What is deployed for is `cloud`.
    pub(crate) fn with_ensemble(hosts: usize) -> Self {
        Self::new(hosts).set_up()
    }

    /// The same with sessions of 4 s at most, so that a killed node's znode goes soon.
    pub(crate) fn with_short_sessions(hosts: usize) -> Self {
        let site = Self::new(hosts);
        site.settings("[zookeeper.properties]\nmaxSessionTimeout = 4000\n");
        site.set_up()
    }

    fn set_up(self) -> Self {
        let conf = self.cloud("cloud", 11211, 2);
        self.run(["deploy", path(&conf), "--package", path(&self.package)]).success();
        self.run(["zookeeper", "init"]).success();
        self
    }

    /// The settings file where the program is run.
    pub(crate) fn settings(&self, text: &str) {
        self.file("arcusctl.toml", text);
    }

    /// Registers a cloud JSON and starts its nodes.
    #[track_caller]
    pub(crate) fn start_cloud(&self, code: &str, conf: &Path) {
        self.run(["memcached", "register", path(conf)]).success();
        self.run(["memcached", "start", code]).success();
    }

    /// A cloud JSON with one node for each of these ports of the first host.
    pub(crate) fn cloud_on_ports(&self, code: &str, ports: &[u16]) -> PathBuf {
        let host = self.host(0);
        let nodes: Vec<(&str, String, u16)> =
            ports.iter().map(|port| (host.name.as_str(), host.ip.to_string(), *port)).collect();
        self.file(&format!("{code}.json"), &document(code, &nodes).to_string())
    }

    /// `ip:port` of a node of host `index`.
    pub(crate) fn node(&self, index: usize, port: u16) -> String {
        format!("{}:{port}", self.ip(index))
    }

    /// The process that serves `port` on a host, as its pid file names it. It must be running.
    #[track_caller]
    pub(crate) fn pid(&self, index: usize, port: u16) -> String {
        let script = format!("pid=$(cat /opt/arcus/run/memcached-{port}.pid) && kill -0 $pid && echo $pid");
        self.on(index, &script).success().stdout.trim().to_owned()
    }

    /// Kills a process on a host and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(&self, index: usize, pid: &str) {
        self.on(index, &format!("kill -9 {pid} && tail -s 0.05 --pid={pid} -f /dev/null")).success();
    }

    /// The first line that a cache node answers to a command.
    pub(crate) fn ask(&self, index: usize, port: u16, command: &str) -> String {
        let answer = self.talk(index, port, &format!("{command}\r\n"));
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// The program at a terminal, where somebody types. All that the terminal showed is in `stdout`.
    pub(crate) fn at_terminal<'a>(&self, args: impl IntoIterator<Item = &'a str>, typed: &str) -> Run {
        self.at_terminal_with(&[], args, typed)
    }

    /// The same with these variables in the environment.
    pub(crate) fn at_terminal_with<'a>(
        &self,
        environment: &[(&str, &str)],
        args: impl IntoIterator<Item = &'a str>,
        typed: &str,
    ) -> Run {
        let mut command = self.terminal_command(environment, args);
        let mut terminal = command.spawn().unwrap();
        let mut keyboard = terminal.stdin.take().unwrap();
        keyboard.write_all(typed.as_bytes()).unwrap();
        // `script` takes the end of its input for the end of the session: the keyboard stays until it has ended.
        let output = terminal.wait_with_output().unwrap();
        drop(keyboard);
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `script`, which is to run the program at a terminal of its own.
    pub(crate) fn terminal_command<'a>(
        &self,
        environment: &[(&str, &str)],
        args: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        let words: Vec<&str> = [env!("CARGO_BIN_EXE_arcusctl")].into_iter().chain(args).collect();
        let mut command = self.lab.admin("script");
        command.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
        command.env("ARCUSCTL_ZOOKEEPER", self.ensemble()).env_remove("ARCUSCTL_SETTINGS");
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(environment.iter().copied());
        command.current_dir(self.directory());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A cloud JSON of these nodes, `(hostname, ip, port)`.
pub(crate) fn document(code: &str, nodes: &[(&str, String, u16)]) -> Value {
    let servers: Vec<Value> = nodes
        .iter()
        .map(|(hostname, ip, port)| {
            json!({"hostname": hostname, "ip": ip, "config": {"port": port.to_string()}})
        })
        .collect();
    json!({
        "serviceCode": code,
        "servers": servers,
        "config": {"threads": "2", "memlimit": "64", "connections": "100"},
    })
}

/// Hosts as their owner sees them: what lies and runs on them, and tools that misbehave as told.
impl Site {
    /// Runs a shell script on a host that must succeed; gives what it printed, trimmed.
    #[track_caller]
    pub(crate) fn sh(&self, index: usize, script: &str) -> String {
        self.on(index, script).success().stdout.trim().to_owned()
    }

    /// Waits on a host until a shell condition holds.
    #[track_caller]
    pub(crate) fn wait_on(&self, index: usize, condition: &str) {
        let script = format!("until {condition}; do sleep 0.05; done");
        let waited = Run::of(self.lab.on(self.host(index), "timeout").args(["30", "sh", "-c", &script]));
        assert_eq!(waited.code, 0, "{} never came to: {condition}", self.host(index).name);
    }

    /// Waits for the end of a program that was left running.
    pub(crate) fn end(&self, child: Child) -> Run {
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The numbers of the cache nodes and ZooKeeper servers that run on a host.
    pub(crate) fn servers(&self, index: usize) -> String {
        self.on(index, "pgrep -x 'memcached|java' | sort -n").stdout
    }

    /// Every file below a directory of a host, with its SHA-256; links are followed.
    #[track_caller]
    pub(crate) fn sums(&self, index: usize, directory: &str) -> String {
        self.sh(index, &format!("cd {directory} && find -L . -type f -exec sha256sum {{}} + | sort -k 2"))
    }

    /// Every name below a directory of a host, with its inode and time of change: equal only when nothing was touched.
    #[track_caller]
    pub(crate) fn untouched(&self, index: usize, directory: &str) -> String {
        self.sh(index, &format!("find {directory} -printf '%p %i %T@ %l\\n' | sort"))
    }

    /// Puts a file on a host.
    #[track_caller]
    pub(crate) fn put(&self, index: usize, from: &Path, to: &str) {
        let file = std::fs::File::open(from).unwrap();
        let script = r#"cat >"$1" && chmod 755 "$1""#;
        Run::of(self.lab.on(self.host(index), "sh").args(["-c", script, "sh", to]).stdin(file)).success();
    }

    /// Puts a shell script before a tool of a host, for everyone who logs in there.
    #[track_caller]
    pub(crate) fn shadow(&self, index: usize, tool: &str, script: &str) {
        let file = self.file("shadow", &format!("#!/bin/sh\n{script}\n"));
        self.put(index, &file, &format!("/usr/local/bin/{tool}"));
    }

    /// The package as a directory of the admin's.
    pub(crate) fn unpacked(&self) -> PathBuf {
        let directory = self.files.path().join("unpacked");
        std::fs::create_dir_all(&directory).unwrap();
        Run::of(Command::new("tar").arg("-xzf").arg(&self.package).arg("-C").arg(&directory)).success();
        directory.join("arcus")
    }

    /// The package with one file more, `lib/<mark>`: another release.
    pub(crate) fn changed_package(&self, mark: &str) -> PathBuf {
        let tree = self.unpacked();
        std::fs::write(tree.join("lib").join(mark), mark).unwrap();
        let package = self.files.path().join(format!("{mark}.tar.gz"));
        let mut tar = Command::new("tar");
        Run::of(tar.arg("-czf").arg(&package).arg("-C").arg(tree.parent().unwrap()).arg("arcus")).success();
        package
    }

    /// What the cache node at this port of a host answers to these lines.
    pub(crate) fn talk(&self, index: usize, port: u16, lines: &str) -> String {
        use std::io::{Read as _, Write as _};
        let ip = self.host(index).ip;
        let said = self.lab.inside(|| {
            let mut stream = std::net::TcpStream::connect((ip, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(lines.as_bytes())?;
            stream.write_all(b"quit\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        said.unwrap()
    }

    /// Installs the package on a host by hand, as `arcus.sh` does: plain files, its `zoo.cfg`, its `myid`.
    /// `servers` are ids and addresses.
    #[track_caller]
    pub(crate) fn install_like_arcus_sh(&self, index: usize, id: u32, servers: &[(u32, String)]) {
        let package = std::fs::File::open(&self.package).unwrap();
        Run::of(self.lab.on(self.host(index), "tar").args(["-xzC", "/opt"]).stdin(package)).success();
        let mut config = String::from(
            "maxClientCnxns=100\ntickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/opt/arcus/zookeeper/data\nclientPort=2181\n4lw.commands.whitelist=*\nminSessionTimeout=4000\nmaxSessionTimeout=200000\nadmin.enableServer=false\n",
        );
        for (id, ip) in servers {
            writeln!(config, "server.{id}={ip}:2888:3888").unwrap();
        }
        let config = self.file("zoo.cfg", &config);
        self.sh(index, &format!("cd /opt/arcus/zookeeper && mkdir -p data && echo {id} >data/myid"));
        self.put(index, &config, "/opt/arcus/zookeeper/conf/zoo.cfg");
        self.sh(index, "cd /opt/arcus/zookeeper && bin/zkServer.sh start </dev/null >/dev/null 2>&1");
    }

    /// Waits until the ZooKeeper server at a host's port 2181 serves.
    #[track_caller]
    pub(crate) fn await_serving(&self, index: usize) {
        let ip = self.ip(index);
        let asked = format!("bash -c \"exec 3<>/dev/tcp/{ip}/2181; printf srvr >&3; cat <&3\" 2>/dev/null");
        self.wait_on(index, &format!("{asked} | grep -q ^Mode"));
    }

    /// Starts a cache node with the command line of `arcus.sh`, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start_node_like_arcus_sh(&self, index: usize, port: u16, zookeeper: &str) {
        self.sh(
            index,
            &format!(
                "cd / && /opt/arcus/bin/memcached -u memcached -E /opt/arcus/lib/default_engine.so \
                 -X /opt/arcus/lib/syslog_logger.so -X /opt/arcus/lib/ascii_scrub.so -d -v -r -R5 -U 0 -D: -b 8192 \
                 -m64 -p {port} -c 100 -t 2 -z {zookeeper} </dev/null >/dev/null 2>&1"
            ),
        );
        let ready = format!("bash -c \"exec 3<>/dev/tcp/127.0.0.1/{port}; echo ready >&3; head -n 1 <&3\"");
        self.wait_on(index, &format!("{ready} 2>/dev/null | grep -q ^READY"));
    }
}
