//! What is told of the program's own doings, and whether in colour.

use tracing_subscriber::EnvFilter;

use super::args::{Color, Global};

pub(super) fn start_logging(global: &Global) {
    match global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let level = match global.verbose {
        0 => "off",
        1 => "arcusctl=debug",
        _ => "arcusctl=trace,openssh=debug,zookeeper_client=debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(global.color == Color::Always)
        .init();
}
