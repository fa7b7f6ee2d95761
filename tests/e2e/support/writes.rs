//! Writes that go on while a test does something to the ensemble, and what is seen of its members meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zookeeper_client::{Acls, Client, CreateMode};

use super::Site;

/// What a client that wrote all the time was told, and what was seen of the members.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// What was acknowledged: the znode, and the number that was written to it.
    pub(crate) acknowledged: Vec<(String, u64)>,
    /// The longest time between two acknowledgements.
    pub(crate) longest_pause: Duration,
    /// The most members whose port was closed at one time.
    pub(crate) most_out: usize,
    /// The members in the order in which their ports were first closed.
    pub(crate) order: Vec<String>,
}

impl Site {
    /// Writes through a session with `ensemble`, and watches `members`, until `work` is through. At the end every write
    /// that was acknowledged must be there as it was written.
    pub(crate) fn under_load(&self, ensemble: &str, members: &[String], work: impl FnOnce()) -> Load {
        let (over, begun) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let mut load = Load::default();
        std::thread::scope(|scope| {
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
            let writing = scope.spawn(move || {
                self.lab.inside(|| Ok(runtime()?.block_on(write(ensemble, begun, over)))).unwrap()
            });
            let watching = scope
                .spawn(move || self.lab.inside(|| Ok(runtime()?.block_on(watch(members, over)))).unwrap());
            while !begun.load(Ordering::Relaxed) {
                assert!(!writing.is_finished(), "the writer ended before it wrote anything");
                std::thread::yield_now();
            }
            // The load must end, however the work does.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            over.store(true, Ordering::Relaxed);
            (load.acknowledged, load.longest_pause) = writing.join().unwrap();
            (load.most_out, load.order) = watching.join().unwrap();
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        });
        load
    }

    /// Asserts that each acknowledged write is there, read through a member of its own choosing.
    #[track_caller]
    pub(crate) fn assert_written(&self, ensemble: &str, load: &Load) {
        assert!(load.acknowledged.len() > 50, "{} writes are no load", load.acknowledged.len());
        let lost = self.lab.inside(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async {
                let client = connect(ensemble).await.unwrap();
                client.sync("/").await.unwrap();
                let mut lost = Vec::new();
                for (path, number) in &load.acknowledged {
                    match client.get_data(path).await {
                        Ok((data, _)) if data == number.to_string().as_bytes() => {}
                        other => lost.push((path.clone(), format!("{other:?}"))),
                    }
                }
                lost
            }))
        });
        assert_eq!(lost.unwrap(), [], "of {} writes", load.acknowledged.len());
    }
}

async fn connect(ensemble: &str) -> Result<Client, zookeeper_client::Error> {
    Client::connector()
        .with_server_version(3, 5, 9)
        .with_session_timeout(Duration::from_secs(4))
        .connect(ensemble)
        .await
}

/// Creates one znode after the other. A write that is not acknowledged is written again, under another name.
async fn write(ensemble: &str, begun: &AtomicBool, over: &AtomicBool) -> (Vec<(String, u64)>, Duration) {
    let options = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
    let mut acknowledged = Vec::new();
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    let mut client = connect(ensemble).await.unwrap();
    client.mkdir("/load", &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.unwrap();
    while !over.load(Ordering::Relaxed) {
        let number = acknowledged.len() as u64;
        let writing = client.create("/load/w-", number.to_string().as_bytes(), &options);
        match tokio::time::timeout(Duration::from_secs(10), writing).await {
            Ok(Ok((_, sequence))) => {
                acknowledged.push((format!("/load/w-{sequence}"), number));
                longest = longest.max(last.elapsed());
                last = Instant::now();
                begun.store(true, Ordering::Relaxed);
            }
            Ok(Err(zookeeper_client::Error::SessionExpired | zookeeper_client::Error::ClientClosed))
            | Err(_) => {
                if let Ok(fresh) = connect(ensemble).await {
                    client = fresh;
                }
            }
            // The client looks for another member by itself.
            Ok(Err(_)) => {}
        }
        // So many writes a second are a load, and leave the processor to the members.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (acknowledged, longest.max(last.elapsed()))
}

/// Asks every member for its `srvr` again and again. A closed port is a member that is out; one that answers that it does
/// not serve is up, and takes part in an election.
async fn watch(members: &[String], over: &AtomicBool) -> (usize, Vec<String>) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut most = 0;
    let mut order: Vec<String> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let out: Vec<&String> = members.iter().filter(|member| is_out(member.parse().unwrap())).collect();
        most = most.max(out.len());
        for member in out {
            if !order.contains(member) {
                order.push(member.clone());
            }
        }
    }
    (most, order)
}

fn is_out(member: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&member, Duration::from_secs(1)) {
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        Ok(mut stream) => {
            let asked = stream.write_all(b"srvr").and_then(|()| stream.read_to_string(&mut String::new()));
            // A process that ends in this moment resets the connection; the next look tells.
            drop(asked);
            false
        }
    }
}
