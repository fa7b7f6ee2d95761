//! The cache clouds: entering them in ZooKeeper, starting and stopping their nodes.

mod register;
mod restart;
mod start;
mod stop;
mod unregister;
