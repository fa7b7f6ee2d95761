//! The cache clouds: entering them in ZooKeeper, starting and stopping their nodes.

mod register;
mod start;
mod stop;
mod unregister;
