//! Deploys that stand still where a test wants them.

use std::process::Child;

use super::{Site, path};

impl Site {
    /// Makes the check of an archive on a host wait, once, until `/tmp/go` is there; `/tmp/held` tells that
    /// it has been reached. A deploy then stands where the whole archive has arrived and nothing is unpacked.
    #[track_caller]
    pub(crate) fn hold_verification(&self, index: usize) {
        self.shadow(
            index,
            "openssl",
            "if mkdir /tmp/held 2>/dev/null; then until [ -e /tmp/go ]; do sleep 0.05; done; fi\nexec /usr/bin/openssl \"$@\"",
        );
    }

    /// Makes the first upload to a host stand still after a megabyte, until `/tmp/go` is there; `/tmp/held` tells that
    /// it has come so far.
    #[track_caller]
    pub(crate) fn hold_upload(&self, index: usize) {
        self.shadow(
            index,
            "cat",
            "if [ $# -eq 0 ] && mkdir /tmp/held 2>/dev/null; then\n  head -c 1000000\n  touch /tmp/halfway\n  until [ -e /tmp/go ]; do sleep 0.05; done\nfi\nexec /usr/bin/cat \"$@\"",
        );
    }

    /// Lets what is held on a host go on.
    #[track_caller]
    pub(crate) fn release(&self, index: usize) {
        self.sh(index, "touch /tmp/go");
    }

    /// A deploy that stands still in the middle of its upload to the first host.
    #[track_caller]
    pub(crate) fn deploy_halfway(&self, conf: &str) -> Child {
        self.hold_upload(0);
        let child = self.spawn(["deploy", conf, "--package", path(&self.package)]);
        self.wait_on(0, "[ -e /tmp/halfway ]");
        child
    }
}
