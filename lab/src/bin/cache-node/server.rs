//! The cache port: binding it and accepting clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::args::Options;
use crate::connection;
use crate::exit::{Code, Fatal};
use crate::log;
use crate::node::Shared;

/// Connections from this machine that are accepted beyond the limit, so that a full node can still be administered.
const RESERVED: u64 = 10;

/// Binds the port on every address of `-l`, or on all.
pub(crate) fn bind(options: &Options) -> Result<Vec<TcpListener>, Fatal> {
    let mut addresses = Vec::new();
    for name in &options.listen {
        let found = (name.as_str(), options.port).to_socket_addrs();
        addresses
            .extend(found.map_err(|error| failed(name, options.port, &error))?.filter(SocketAddr::is_ipv4));
    }
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), options.port));
    }
    let bind_one = |address: SocketAddr| {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(options.backlog.max(1))
    };
    addresses
        .into_iter()
        .map(|address| {
            bind_one(address).map_err(|error| failed(&address.ip().to_string(), options.port, &error))
        })
        .collect()
}

fn failed(address: &str, port: u16, error: &std::io::Error) -> Fatal {
    Fatal::new(Code::System, format!("failed to listen on {address}:{port}: {error}"))
}

/// Accepts clients until dropped; those connected then stay connected.
pub(crate) async fn accept(listeners: Vec<TcpListener>, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => admit(stream, peer, &shared),
                    Err(error) => {
                        log::info(&format!("cannot accept a connection: {error}"));
                        // Out of files, most likely; other connections have to end first.
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

fn admit(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let limit = shared.settings.connections.load(Ordering::Relaxed)
        + if peer.ip().is_loopback() { RESERVED } else { 0 };
    if shared.open.fetch_add(1, Ordering::Relaxed) >= limit {
        shared.open.fetch_sub(1, Ordering::Relaxed);
        log::info(&format!("too many connections: {peer} is turned away"));
        return;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(error) = connection::serve(stream, Arc::clone(&shared)).await {
            log::debug(&format!("{peer}: {error}"));
        }
        shared.open.fetch_sub(1, Ordering::Relaxed);
    });
}
