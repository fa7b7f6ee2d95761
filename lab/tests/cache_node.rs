//! The sample tree keeps the contract of a real one: ZooKeeper runs from it, and its memcached joins, stays in, leaves
//! and fails as arcus-memcached does. With `ARCUS_TEST_PACKAGE` the same is asked of a real Arcus build.
//!
//! Needs root and namespaces, and fails where there are none.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;
use std::time::{Duration, Instant};

use arcus_lab::{Host, Lab, bundle};
use zookeeper_client::{Acls, Client, CreateMode, Error};

const CODE: &str = "test";
const LIST: &str = "/arcus/cache_list/test";
const ENSEMBLE: &str = "10.77.1.1:2181";
const ROOTS: [&str; 6] = [
    "/arcus",
    "/arcus/cache_list",
    LIST,
    "/arcus/client_list",
    "/arcus/cache_server_mapping",
    "/arcus/cache_server_log",
];

/// A lab with ZooKeeper on its first host, the tree on both, and an empty cloud.
struct Cloud {
    lab: Lab,
}

impl Cloud {
    fn up() -> Self {
        let lab = Lab::up(2).unwrap();
        let package = bundle::shared().unwrap();
        let cloud = Self { lab };
        for host in cloud.lab.hosts() {
            let unpack = format!("ssh {} 'tar -xz -C /opt' < {}", host.name, package.display());
            ok(&cloud.lab.admin("sh").args(["-c", &unpack]).output().unwrap());
        }
        let config = "tickTime=2000\ndataDir=/opt/data\nclientPort=2181\nadmin.enableServer=false\n\
                      minSessionTimeout=4000\nmaxSessionTimeout=200000\n";
        cloud.on(0, &format!("mkdir -p /opt/conf && printf '{config}' > /opt/conf/zoo.cfg"));
        ok(&cloud.on(0, "/opt/arcus/zookeeper/bin/zkServer.sh --config /opt/conf start"));
        cloud.zk(async |client| {
            let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
            for root in ROOTS {
                client.create(root, b"", &options).await.unwrap();
            }
        });
        cloud
    }

    fn host(&self, index: usize) -> &Host {
        &self.lab.hosts()[index]
    }

    fn on(&self, index: usize, line: &str) -> Output {
        self.lab.on(self.host(index), "bash").args(["-c", line]).output().unwrap()
    }

    /// Talks to ZooKeeper from the admin's place.
    fn zk<T: Send>(&self, talk: impl AsyncFnOnce(&Client) -> T + Send) -> T {
        let inside = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async {
                let connector = Client::connector()
                    .with_server_version(3, 5, 9)
                    .with_session_timeout(Duration::from_secs(30));
                talk(&connector.connect(ENSEMBLE).await.unwrap()).await
            }))
        };
        self.lab.inside(inside).unwrap()
    }

    fn create(&self, path: &str) {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        self.zk(async |client| client.create(path, b"", &options).await.map(drop)).unwrap();
    }

    fn map(&self, key: &str) {
        self.create(&format!("/arcus/cache_server_mapping/{key}"));
        self.create(&format!("/arcus/cache_server_mapping/{key}/{CODE}"));
    }

    fn members(&self) -> Vec<String> {
        self.zk(async |client| client.list_children(LIST).await).unwrap()
    }

    /// The command line of arcus.sh, with `extra` appended.
    fn command(extra: &str) -> String {
        format!(
            "/opt/arcus/bin/memcached -E /opt/arcus/lib/default_engine.so -X /opt/arcus/lib/syslog_logger.so \
             -X /opt/arcus/lib/ascii_scrub.so -v -r -R5 -U 0 -D: -b 8192 -m100 -p 11211 -c 1000 -t 2 -z {ENSEMBLE} {extra}"
        )
    }

    /// Starts a daemon on the second host and waits for its pid file.
    fn start(&self, extra: &str) -> String {
        let line = Self::command(&format!("-d -u memcached -P /run/memcached/pid {extra}"));
        // A predecessor that was killed, or stopped by failstop, has left its own.
        ok(&self.on(1, &format!("rm -f /run/memcached/pid; {line} </dev/null >/tmp/node.log 2>&1")));
        let read = || {
            Some(ok(&self.on(1, "cat /run/memcached/pid 2>/dev/null || true"))).filter(|pid| !pid.is_empty())
        };
        eventually("a pid file", read)
    }

    /// Runs in the foreground on the second host until it ends by itself; gives its exit code.
    fn exit_code(&self, line: &str) -> Option<i32> {
        let output = self.on(1, &format!("timeout 60 {line} </dev/null"));
        output.status.code()
    }

    /// Sends a line to the node on the second host; gives all it says until the expected last line.
    fn ask(&self, request: &str, last: &str) -> String {
        let talk = || {
            let mut stream = TcpStream::connect((self.host(1).ip, 11211))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(request.as_bytes())?;
            let (mut answer, mut buffer) = (String::new(), [0_u8; 4096]);
            while !answer.ends_with(last) {
                let read = stream.read(&mut buffer)?;
                assert!(read > 0, "{request:?}: closed after {answer:?}");
                answer.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            Ok(answer)
        };
        self.lab.inside(talk).unwrap()
    }

    fn is_running(&self, pid: &str) -> bool {
        self.on(1, &format!("test -d /proc/{pid}")).status.success()
    }
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "what is waited for lies in another process on another host")]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn zookeeper_runs_from_the_tree() {
    let cloud = Cloud::up();
    let script =
        |verb: &str| cloud.on(0, &format!("/opt/arcus/zookeeper/bin/zkServer.sh --config /opt/conf {verb}"));
    let again = script("start");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stdout).contains("already running"), "{again:?}");
    assert!(ok(&script("status")).contains("Mode: standalone"));
    ok(&cloud.on(0, "kill -0 $(cat /opt/data/zookeeper_server.pid)"));
    ok(&script("stop"));
    ok(&script("stop"));
    assert_eq!(script("status").status.code(), Some(1));
}

#[test]
fn zookeeper_forms_a_quorum() {
    let lab = Lab::up(3).unwrap();
    let package = bundle::shared().unwrap();
    let servers: String =
        lab.hosts().iter().map(|host| format!("server.{}={}:2888:3888\\n", host.index, host.name)).collect();
    for host in lab.hosts() {
        let unpack = format!("ssh {} 'tar -xz -C /opt' < {}", host.name, package.display());
        ok(&lab.admin("sh").args(["-c", &unpack]).output().unwrap());
        let line = format!(
            "mkdir -p /opt/data && echo {} > /opt/data/myid && printf 'tickTime=2000\\ninitLimit=10\\nsyncLimit=5\\n\
             dataDir=/opt/data\\nclientPort=2181\\nadmin.enableServer=false\\n{servers}' > /opt/arcus/zookeeper/conf/zoo.cfg && \
             cd /opt/arcus/zookeeper && bin/zkServer.sh start",
            host.index
        );
        ok(&lab.on(host, "bash").args(["-c", &line]).output().unwrap());
    }
    let leaders = eventually("a quorum", || {
        let status = |host: &Host| {
            lab.on(host, "/opt/arcus/zookeeper/bin/zkServer.sh").arg("status").output().unwrap()
        };
        let told: Vec<_> = lab.hosts().iter().map(status).collect();
        let count =
            |mode: &str| told.iter().filter(|o| String::from_utf8_lossy(&o.stdout).contains(mode)).count();
        (count("Mode: follower") == 2).then(|| count("Mode: leader"))
    });
    assert_eq!(leaders, 1);
}

#[test]
fn a_node_joins_serves_and_leaves() {
    let cloud = Cloud::up();
    let host = cloud.host(1);
    let znode = format!("{}:11211-{}", host.ip, host.name);
    cloud.map(&format!("{}:11211", host.ip));
    let pid = cloud.start("");

    // Joined before the pid file was there.
    assert_eq!(cloud.members(), std::slice::from_ref(&znode));
    let (data, stat) = cloud.zk(async |client| client.get_data(&format!("{LIST}/{znode}")).await).unwrap();
    assert_eq!(data, b"100MB");
    assert_ne!(stat.ephemeral_owner, 0);
    let day = cloud.zk(async |client| client.list_children("/arcus/cache_server_log").await).unwrap();
    let entries = cloud
        .zk(async |client| client.list_children(&format!("/arcus/cache_server_log/{}", day[0])).await)
        .unwrap();
    assert!(entries[0].starts_with(&format!("{znode}-")), "{entries:?}");

    // Its command line is the one it was started with.
    let line = ok(&cloud.on(1, &format!("tr '\\0' ' ' < /proc/{pid}/cmdline")));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&line), words(&Cloud::command("-d -u memcached -P /run/memcached/pid")));
    assert_eq!(ok(&cloud.on(1, &format!("stat -c %U /proc/{pid}"))), "memcached");

    // Traffic, with data that looks like commands.
    assert_eq!(cloud.ask("ready\r\n", "\r\n"), "READY\r\n");
    assert!(cloud.ask("version\r\n", "\r\n").starts_with("VERSION 1."));
    let answer = cloud.ask("set k 0 0 7\r\nready\r\n\r\nready\r\nget k\r\n", "END\r\n");
    assert_eq!(answer, "STORED\r\nREADY\r\nVALUE k 0 7\r\nready\r\n\r\nEND\r\n");
    // What kind of item there is, and for how long.
    let stored = cloud.ask("set kept 5 0 1\r\nx\r\nset brief 0 60 1\r\nx\r\nget kept\r\n", "END\r\n");
    assert!(stored.starts_with("STORED\r\nSTORED\r\n"), "{stored}");
    let attributes = |key: &str| cloud.ask(&format!("getattr {key} flags expiretime type\r\n"), "END\r\n");
    assert_eq!(attributes("kept"), "ATTR flags=5\r\nATTR expiretime=0\r\nATTR type=kv\r\nEND\r\n");
    let brief = attributes("brief");
    let left = brief.lines().find_map(|line| line.strip_prefix("ATTR expiretime="));
    assert!((50..=60).contains(&left.unwrap().parse::<u32>().unwrap()), "{brief}");
    assert_eq!(cloud.ask("getattr none\r\n", "\r\n"), "NOT_FOUND\r\n");

    let stats = cloud.ask("stats zookeeper\r\n", "END\r\n");
    assert!(
        stats.contains("STAT zk_timeout 30000\r\n") && stats.contains("STAT zk_ready true\r\n"),
        "{stats}"
    );
    assert_eq!(cloud.ask("config zkfailstop\r\n", "END\r\n"), "zkfailstop on\r\nEND\r\n");

    // Pid file and znode go first, the process a good while later.
    ok(&cloud.on(1, &format!("kill -TERM {pid}")));
    eventually("the pid file to go", || {
        (!cloud.on(1, "test -e /run/memcached/pid").status.success()).then_some(())
    });
    eventually("the znode to go", || cloud.members().is_empty().then_some(()));
    if std::env::var_os(bundle::PACKAGE_VARIABLE).is_none() {
        // A real one mostly does so, too, but may be quicker than this look.
        assert!(cloud.is_running(&pid), "the process must outlive its pid file");
    }
    eventually("the process to go", || (!cloud.is_running(&pid)).then_some(()));
}

#[test]
fn a_killed_node_leaves_its_znode_until_the_session_expires() {
    let cloud = Cloud::up();
    cloud.map("memcached-2:11211");
    let pid = cloud.start("-o 10");
    ok(&cloud.on(1, &format!("kill -9 {pid}")));
    eventually("the process to go", || (!cloud.is_running(&pid)).then_some(()));
    assert_eq!(cloud.members().len(), 1);
    ok(&cloud.on(1, "test -e /run/memcached/pid"));
    // Nothing it ran is left, and its port is free.
    eventually("its children to go", || {
        ok(&cloud.on(1, "pgrep -u memcached -c || true")).eq("0").then_some(())
    });
    assert_eq!(cloud.exit_code(&Cloud::command("-u memcached -o 10")), Some(76));
    eventually("the session to expire", || cloud.members().is_empty().then_some(()));
    cloud.start("-o 10");
    assert_eq!(cloud.members().len(), 1);
}

#[test]
fn a_start_that_must_fail_says_so_by_its_exit_code() {
    let cloud = Cloud::up();
    let ip = cloud.host(1).ip;
    let line = |extra: &str| Cloud::command(&format!("-u memcached {extra}"));
    let code = |line: &str| cloud.exit_code(line);

    assert_eq!(code(&Cloud::command("")), Some(64), "root without -u");
    assert_eq!(code(&Cloud::command("-d")), Some(64), "root without -u, as a daemon");
    assert_eq!(code(&Cloud::command("-u no-such-user")), Some(67));
    assert_eq!(code(&line("-O")), Some(1));
    assert_eq!(code(&line("-c 1")), Some(64));
    assert_eq!(code(&line("-E /opt/arcus/lib/none.so")), Some(1), "no engine");
    assert_eq!(code(&line("-X /opt/arcus/lib/none.so -d")), Some(1), "no extension");
    assert_eq!(code(&line("-z no.such.host.invalid:2181")), Some(69));
    assert_eq!(code(&line("-p 22")), Some(71), "a port that may not be bound");
    assert_eq!(code(&line("")), Some(76), "no mapping");
    let as_user = |limit: &str| {
        format!("bash -c 'ulimit {limit}; exec setpriv --reuid memcached --clear-groups {}'", line(""))
    };
    assert_eq!(code(&as_user("-H -c 0")), Some(71), "no core dumps");
    assert_eq!(code(&as_user("-n 500")), Some(71), "too few files");

    // As a daemon the same failure stays unseen.
    assert_eq!(code(&line("-d")), Some(0));

    cloud.create(&format!("/arcus/cache_server_mapping/{ip}"));
    assert_eq!(code(&line("")), Some(76), "a mapping without service code");
    cloud.create(&format!("/arcus/cache_server_mapping/{ip}/gone"));
    assert_eq!(code(&line("")), Some(76), "a service code without cache list");
    cloud.create(&format!("/arcus/cache_server_mapping/{ip}/{CODE}"));
    assert_eq!(code(&line("")), Some(76), "two service codes");
    assert_eq!(cloud.members(), Vec::<String>::new());
    assert_eq!(code(&line(&format!("-z {}:2181 -o 10", cloud.host(1).ip))), Some(76), "no ZooKeeper there");
}

#[test]
fn a_node_pushed_out_serves_on_and_can_rejoin() {
    let cloud = Cloud::up();
    let host = cloud.host(1);
    cloud.map(&host.ip.to_string());
    cloud.start("");
    let path = format!("{LIST}/{}:11211-{}", host.ip, host.name);
    cloud.zk(async |client| client.delete(&path, None).await).unwrap();
    eventually("the node to notice", || {
        cloud.ask("ready\r\n", "\r\n").starts_with("NOT_READY").then_some(())
    });
    assert_eq!(cloud.ask("set k 0 0 1\r\nx\r\n", "\r\n"), "STORED\r\n");
    // Refused for as long as the old session's handle is there.
    let closed =
        || cloud.ask("stats zookeeper\r\n", "END\r\n").contains("STAT zk_connected false").then_some(());
    eventually("the old session to be closed", closed);
    assert_eq!(cloud.ask("zkensemble rejoin\r\n", "\r\n"), "Successfully rejoined\r\n");
    eventually("the znode", || (cloud.members().len() == 1).then_some(()));
    assert_eq!(cloud.ask("ready\r\n", "\r\n"), "READY\r\n");
    assert!(cloud.ask("zkensemble rejoin\r\n", "\r\n").starts_with("ERROR"), "it is a member already");
    assert!(cloud.ask("zkensemble get\r\n", "\r\n").starts_with(ENSEMBLE));
    let two = format!("{ENSEMBLE},{}:2181", cloud.host(1).ip);
    assert_eq!(cloud.ask(&format!("zkensemble set {two}\r\n"), "\r\n"), "OK\r\n");
    assert!(cloud.ask("zkensemble get\r\n", "\r\n").starts_with(&two.replace(',', " ")));
}

#[test]
fn an_expired_session_stops_a_node_unless_told_otherwise() {
    let cloud = Cloud::up();
    let (zookeeper, host) = (cloud.host(0), cloud.host(1));
    cloud.map(&format!("{}:11211", host.ip));

    // Failstop: the session expires while the cable is out; the node learns of it when the cable is back, and ends.
    let pid = cloud.start("-o 10");
    cloud.lab.cut(host).unwrap();
    eventually("the session to expire", || cloud.members().is_empty().then_some(()));
    // It has nobody to learn that from, and serves on for good.
    let ready = "exec 3<>/dev/tcp/127.0.0.1/11211; echo ready >&3; timeout 5 head -n 1 <&3";
    // Longer than its session lasts.
    ok(&cloud.on(1, "sleep 12"));
    assert_eq!(ok(&cloud.on(1, ready)), "READY");
    cloud.lab.join(host).unwrap();
    eventually("the node to stop", || (!cloud.is_running(&pid)).then_some(()));

    // A lost connection alone does nothing, even if it is ZooKeeper that goes.
    let pid = cloud.start("-o 10");
    ok(&cloud.on(0, "/opt/arcus/zookeeper/bin/zkServer.sh --config /opt/conf stop"));
    assert_eq!(cloud.ask("ready\r\n", "\r\n"), "READY\r\n");
    ok(&cloud.on(0, "/opt/arcus/zookeeper/bin/zkServer.sh --config /opt/conf start"));
    eventually("the node in the list", || (cloud.members().len() == 1).then_some(()));
    assert!(cloud.is_running(&pid));

    assert_eq!(cloud.ask("config zkfailstop off\r\n", "END\r\n"), "END\r\n");
    cloud.lab.cut(zookeeper).unwrap();
    assert!(cloud.is_running(&pid));
    // From ZooKeeper's own host, which the cut doesn't concern.
    let gone =
        "echo ls /arcus/cache_list/test | /opt/arcus/zookeeper/bin/zkCli.sh 2>/dev/null | grep -qx '\\[\\]'";
    eventually("the session to expire", || cloud.on(0, gone).status.success().then_some(()));
    cloud.lab.join(zookeeper).unwrap();
    eventually("the node to notice", || {
        cloud.ask("ready\r\n", "\r\n").starts_with("NOT_READY").then_some(())
    });
    assert!(cloud.is_running(&pid));
}

#[test]
fn shutdown_leaves_the_cloud_at_once_and_the_process_in_time() {
    let cloud = Cloud::up();
    cloud.map(&format!("{}:11211", cloud.host(1).ip));
    let pid = cloud.start("");
    assert!(cloud.ask("shutdown 601\r\n", "\r\n").starts_with("CLIENT_ERROR"));
    let begin = Instant::now();
    assert_eq!(cloud.ask("shutdown 3\r\n", "\r\n"), "OK\r\n");
    eventually("the znode to go", || cloud.members().is_empty().then_some(()));
    assert!(begin.elapsed() < Duration::from_secs(3));
    eventually("the process to go", || (!cloud.is_running(&pid)).then_some(()));
    assert!(begin.elapsed() >= Duration::from_secs(3));
}

#[test]
fn verbose_daemons_keep_the_standard_streams() {
    let cloud = Cloud::up();
    cloud.map(&format!("{}:11211", cloud.host(1).ip));
    let host = &cloud.host(1).name;
    // With -v the ssh session that started it lives on until the daemon closes its streams, or until the timeout.
    let daemon = Cloud::command("-d -u memcached -P /run/memcached/pid");
    let hung = cloud.lab.admin("timeout").args(["3", "ssh", host, &daemon]).output().unwrap();
    assert_eq!(hung.status.code(), Some(124));
    let pid = ok(&cloud.on(1, "cat /run/memcached/pid"));
    ok(&cloud.on(1, &format!("kill {pid}")));
    eventually("the process to go", || (!cloud.is_running(&pid)).then_some(()));
    // Without, it returns at once.
    let quiet = daemon.replace(" -v ", " ");
    let begun = cloud.lab.admin("timeout").args(["10", "ssh", host, &quiet]).output().unwrap();
    assert_eq!(begun.status.code(), Some(0));
    assert_eq!(cloud.zk(async |client| client.check_stat("/arcus/nothing").await), Ok::<_, Error>(None));
}
