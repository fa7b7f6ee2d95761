//! Logins that are not the lab's root with its key: other users, passwords, sshd set up otherwise.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::{Run, Site};

/// How long something may take to appear on a terminal.
const LIMIT: Duration = Duration::from_secs(60);

/// The program at a terminal, with somebody who reads before they type.
pub(crate) struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    shown: Receiver<Vec<u8>>,
    screen: String,
    /// What was shown before this was read already.
    read: usize,
}

impl Terminal {
    /// Waits until these words appear after those that were waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, words: &str) -> &mut Self {
        while !self.screen[self.read..].contains(words) {
            let Ok(more) = self.shown.recv_timeout(LIMIT) else {
                panic!("{words:?} does not appear:\n{}", self.screen)
            };
            self.screen.push_str(&String::from_utf8_lossy(&more));
        }
        self.read += self.screen[self.read..].find(words).unwrap() + words.len();
        self
    }

    pub(crate) fn type_in(&mut self, text: &str) -> &mut Self {
        self.keyboard.write_all(text.as_bytes()).unwrap();
        self
    }

    /// Waits for the end; all that was shown is in `stdout`.
    #[track_caller]
    pub(crate) fn end(mut self) -> Run {
        loop {
            match self.shown.recv_timeout(LIMIT) {
                Ok(more) => self.screen.push_str(&String::from_utf8_lossy(&more)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.screen),
            }
        }
        let status = self.script.wait().unwrap();
        let screen = std::mem::take(&mut self.screen);
        Run { code: status.code().unwrap_or(-1), stdout: screen, stderr: String::new() }
    }
}

impl Drop for Terminal {
    /// Whatever still sits at the terminal is hung up on.
    fn drop(&mut self) {
        let _ended_already = self.script.kill();
        let _reaped = self.script.wait();
    }
}

impl Site {
    /// A host as its distribution leaves it: no user for cache nodes, and nothing of theirs.
    #[track_caller]
    pub(crate) fn make_bare(&self, index: usize) {
        self.sh(index, "userdel memcached && rm -rf /run/memcached && ! getent passwd memcached");
    }

    /// A user of a host whom the admin's key lets in.
    #[track_caller]
    pub(crate) fn make_login(&self, index: usize, user: &str) {
        let home = format!("/home/{user}");
        self.sh(
            index,
            &format!(
                "useradd --create-home --home-dir {home} --shell /bin/bash --password '*' {user}
                 mkdir -m 700 {home}/.ssh && cp /root/.ssh/authorized_keys {home}/.ssh && chown -R {user}: {home}"
            ),
        );
    }

    /// Lets a user of a host do anything by sudo without being asked.
    #[track_caller]
    pub(crate) fn let_sudo(&self, index: usize, user: &str) {
        self.sh(index, &format!("echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}"));
    }

    /// Starts sshd of a host anew with these options before its own.
    #[track_caller]
    pub(crate) fn sshd_with(&self, index: usize, options: &str) {
        self.sh(
            index,
            &format!(
                "cd /etc/ssh && printf '%s\\n' '{options}' | cat - sshd_config >new && mv new sshd_config
                 pid=$(cat /run/sshd.pid) && kill $pid && tail -s 0.05 --pid=$pid -f /dev/null && rm -f /run/sshd.pid
                 /usr/sbin/sshd && until [ -s /run/sshd.pid ]; do sleep 0.05; done"
            ),
        );
    }

    /// A user of a host with a password and no key; its sshd takes passwords.
    #[track_caller]
    pub(crate) fn make_password_login(&self, index: usize, user: &str, password: &str) {
        self.make_login(index, user);
        self.sh(
            index,
            &format!("rm /home/{user}/.ssh/authorized_keys && echo '{user}:{password}' | chpasswd"),
        );
        self.sshd_with(index, "PasswordAuthentication yes");
    }

    /// The program at a terminal, left to whoever sits there.
    pub(crate) fn terminal<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Terminal {
        let mut script = self.terminal_command(&[], args).spawn().unwrap();
        let keyboard = script.stdin.take().unwrap();
        let mut output = script.stdout.take().unwrap();
        let (show, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if show.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { script, keyboard, shown, screen: String::new(), read: 0 }
    }

    /// What a user of a host sees who logs in with the admin's key.
    pub(crate) fn as_login(&self, index: usize, user: &str, command: &str) -> Run {
        let login = format!("{user}@{}", self.ip(index));
        Run::of(self.lab.admin("ssh").args(["-o", "BatchMode=yes", &login, command]))
    }
}
