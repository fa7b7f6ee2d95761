//! Starting cache nodes against arcus.sh's way, listing many, and the program's own start.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{median, ratio, run, seconds};
use crate::site::{Site, cloud, text};
use crate::{Bound, Row};

/// Fabric gives a start this long and takes the time-out for success: the node's output never ends.
const ARCUS_SH_WAIT: &str = "2";

/// 6 nodes on 3 hosts and 64 on 16.
pub(crate) fn start() -> Vec<Row> {
    [(3, 2, 10.0), (16, 4, 30.0)].map(|(hosts, per_host, bound)| start_on(hosts, per_host, bound)).into()
}

fn start_on(hosts: usize, per_host: u16, bound: f64) -> Row {
    let site = Site::new(hosts);
    let conf = site.cloud("bench", per_host);
    let package = arcus_lab::bundle::shared().unwrap();
    run(site.arcusctl().args(["-q", "deploy", text(&conf), "--package", text(&package)]));
    run(site.arcusctl().args(["-q", "zookeeper", "init"]));
    run(site.arcusctl().args(["-q", "memcached", "register", text(&conf)]));
    let mut ours = Vec::new();
    for _ in 0..3 {
        ours.push(run(site.arcusctl().args(["-q", "memcached", "start", "bench"])).wall);
        run(site.arcusctl().args(["-q", "--yes", "memcached", "stop", "bench"]));
    }
    let ours = median(ours);
    let start = Instant::now();
    for index in 0..hosts {
        for number in 0..per_host {
            arcus_sh_start(&site, index, 11211 + number);
        }
    }
    let theirs = start.elapsed();
    run(site.arcusctl().args(["-q", "--yes", "memcached", "stop", "bench"]));
    Row {
        what: format!(
            "start of {} nodes on {hosts} hosts, times faster than arcus.sh's way",
            hosts * usize::from(per_host)
        ),
        ours: seconds(ours),
        theirs: seconds(theirs),
        ratio: ratio(theirs, ours),
        bound: Bound::AtLeast(bound),
    }
}

/// One node after the other, each for as long as Fabric's time-out: the node keeps the channel's output open, so that ssh
/// itself would never end.
fn arcus_sh_start(site: &Site, index: usize, port: u16) {
    let line = format!(
        "/opt/arcus/bin/memcached -E /opt/arcus/lib/default_engine.so -X /opt/arcus/lib/ascii_scrub.so \
         -d -v -r -R5 -U 0 -D: -b 8192 -m16 -p {port} -c 50 -t 1 -u memcached -z {}",
        site.ensemble()
    );
    let mut ssh = site.lab.admin("timeout");
    ssh.args([ARCUS_SH_WAIT, "ssh", &site.lab.hosts()[index].ip.to_string(), &line]);
    let status = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(124), "the time-out is the way it succeeds");
}

/// 200 registered nodes in 10 codes, through a proxy that makes every round trip cost the same.
pub(crate) fn list() -> Vec<Row> {
    const DELAY: Duration = Duration::from_millis(50);
    let site = Site::new(1);
    let conf = site.cloud("first", 1);
    let package = arcus_lab::bundle::shared().unwrap();
    run(site.arcusctl().args(["-q", "deploy", text(&conf), "--package", text(&package)]));
    run(site.arcusctl().args(["-q", "zookeeper", "init"]));
    for number in 0..10 {
        let code = format!("cloud-{number}");
        let addresses = (1..=20).map(|host| (format!("h{host}"), format!("10.88.{number}.{host}")));
        let conf = site.file(&format!("{code}.json"), &cloud(&code, addresses, 1));
        run(site.arcusctl().args(["-q", "memcached", "register", text(&conf)]));
    }
    let member = SocketAddr::from((site.lab.hosts()[0].ip, 2181));
    let admin = site.lab.admin_ip();
    let proxy = site.lab.inside(move || Ok(delaying_proxy(admin, member, DELAY))).unwrap();
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(run(site.arcusctl().args(["-q", "-z", &proxy.to_string(), "memcached", "listall"])).wall);
    }
    let ours = median(times);
    let trips = ours.as_secs_f64() / (2.0 * DELAY.as_secs_f64());
    vec![Row {
        what: "round trips to list 200 nodes in 10 codes (connect and close included), against one for each node".into(),
        ours: format!("{trips:.1}"),
        theirs: "200".into(),
        ratio: trips / 200.0,
        bound: Bound::AtMost(0.05),
    }]
}

/// Passes bytes on, each way after `delay`. Runs in the admin's network, for as long as the benchmark.
fn delaying_proxy(address: Ipv4Addr, target: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let own = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(target).unwrap();
            pass_on(client.try_clone().unwrap(), server.try_clone().unwrap(), delay);
            pass_on(server, client, delay);
        }
    });
    own
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            if sender.send((Instant::now() + delay, chunk[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _already_gone = to.shutdown(Shutdown::Write);
    });
}

/// The time from the shell to the prompt.
pub(crate) fn help() -> Vec<Row> {
    let times = (0..20).map(|_| run(Command::new(env!("CARGO_BIN_EXE_arcusctl")).arg("--help")).wall);
    let ours = median(times.collect());
    vec![Row {
        what: "`arcusctl --help`, against 20 ms".into(),
        ours: seconds(ours),
        theirs: "20 ms".into(),
        ratio: ours.as_secs_f64() / 0.020,
        bound: Bound::AtMost(1.0),
    }]
}
