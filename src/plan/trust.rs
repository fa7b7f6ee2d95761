//! Key login: which hosts have it, and which are to be given the key.

use std::collections::BTreeSet;

use super::{Action, HostKey, KeyPart, Plan, Step, Target};
use crate::error::Failure;
use crate::model::HostName;
use crate::remote::Login;

/// What was seen before keys are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSeen {
    pub logins: Vec<(HostName, Login)>,
    /// Hosts that are the machine the program runs on.
    pub here: BTreeSet<HostName>,
    /// Path of the private key.
    pub key: String,
    pub key_seen: KeySeen,
    /// There is a terminal to type passwords at.
    pub terminal: bool,
    /// `ssh-copy-id` is installed.
    pub copier: bool,
    /// Unknown host keys are to be recorded unseen.
    pub accept_new_host_keys: bool,
}

/// What there is of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySeen {
    Missing,
    /// The private part alone.
    Private,
    /// Its public part at least, which is what hosts are given.
    Whole,
}

/// Plans `hosts trust`.
pub fn trust(seen: &TrustSeen) -> Plan {
    let mut plan = Plan::new("hosts trust");
    let mut install = Vec::new();
    for (host, login) in &seen.logins {
        let target = Target::Host(host.clone());
        if seen.here.contains(host) {
            plan.hold(target, "is this machine; nothing to log in to");
            continue;
        }
        match way_in(seen, host, login) {
            Ok(None) => plan.hold(target, "accepts the key"),
            Ok(Some(host_key)) => {
                let action = Action::InstallKey { key: seen.key.clone(), host_key };
                install.push(Step::new(target, action));
            }
            Err(failure) => plan.problem(target, failure),
        }
    }
    let part = match seen.key_seen {
        KeySeen::Missing => Some(KeyPart::Whole),
        KeySeen::Private => Some(KeyPart::Public),
        KeySeen::Whole => None,
    };
    // Without a terminal a host can only turn out to accept another key, one that an agent holds.
    if let Some(part) = part.filter(|_| seen.terminal && !install.is_empty()) {
        let here = Target::Host(HostName::new("localhost"));
        plan.stage("Key", vec![Step::new(here, Action::MakeKey { path: seen.key.clone(), part })]);
    }
    plan.stage("Install the key", install);
    plan
}

/// How the key gets to a host; `None` when it is there.
fn way_in(seen: &TrustSeen, host: &HostName, login: &Login) -> Result<Option<HostKey>, Failure> {
    let host_key = match login {
        Login::Open => return Ok(None),
        Login::Shut(failure) => return Err(failure.clone()),
        Login::HostKeyUnknown if seen.accept_new_host_keys => HostKey::Accept,
        Login::HostKeyUnknown if !seen.terminal => {
            return Err(Failure::refused(format!(
                "{host}: its ssh host key is unknown, and there is no terminal to confirm it at"
            ))
            .hint("run arcusctl hosts trust at a terminal, or with --accept-new-host-keys"));
        }
        Login::HostKeyUnknown => HostKey::Confirm,
        Login::KeyRefused { said } if !takes_passwords(said) => {
            return Err(Failure::refused(format!(
                "{host}: it does not accept the key, and its sshd takes no passwords"
            ))
            .cause(said)
            .hint(format!(
                "have {}.pub added to ~/.ssh/authorized_keys of the login user by somebody who gets in, or at its console",
                seen.key
            )));
        }
        Login::KeyRefused { said } if !seen.terminal => {
            return Err(Failure::refused(format!(
                "{host}: a password must be typed to ssh, and there is no terminal to type it at"
            ))
            .cause(said)
            .hint("run arcusctl hosts trust at a terminal"));
        }
        Login::KeyRefused { .. } => HostKey::Known,
    };
    if !seen.copier {
        return Err(Failure::refused(format!("{host}: the key cannot be installed")).cause("ssh-copy-id is not installed here").hint(
            format!(
                "install it (it comes with openssh-client, or openssh-clients), or add {}.pub to ~/.ssh/authorized_keys there by hand",
                seen.key
            ),
        ));
    }
    Ok(Some(host_key))
}

/// Of `Permission denied (publickey,password).`
fn takes_passwords(said: &str) -> bool {
    ["password", "keyboard-interactive"].iter().any(|method| said.contains(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Login {
        Login::KeyRefused { said: "root@a: Permission denied (publickey,password).".into() }
    }

    fn seen(logins: &[(&str, Login)]) -> TrustSeen {
        TrustSeen {
            logins: logins.iter().map(|(host, login)| (HostName::new(*host), login.clone())).collect(),
            here: BTreeSet::new(),
            key: "/home/me/.ssh/id_ed25519".into(),
            key_seen: KeySeen::Whole,
            terminal: true,
            copier: true,
            accept_new_host_keys: false,
        }
    }

    fn described(plan: &Plan) -> Vec<String> {
        plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
    }

    #[test]
    fn only_hosts_that_do_not_accept_the_key_are_given_it() {
        let plan = trust(&seen(&[("a", Login::Open), ("b", refused()), ("c", Login::HostKeyUnknown)]));
        assert_eq!(
            described(&plan),
            [
                "b: install /home/me/.ssh/id_ed25519.pub; ssh asks for the password",
                "c: confirm its host key to ssh, and install /home/me/.ssh/id_ed25519.pub; ssh asks for the password",
            ]
        );
        assert_eq!(plan.holds.len(), 1);
    }

    #[test]
    fn a_key_is_made_only_when_it_is_needed_and_missing() {
        let missing = |logins: &[(&str, Login)]| TrustSeen { key_seen: KeySeen::Missing, ..seen(logins) };
        assert!(trust(&missing(&[("a", Login::Open)])).is_empty());
        let plan = trust(&missing(&[("a", refused())]));
        assert_eq!(
            described(&plan)[0],
            "localhost: make an ed25519 key without a passphrase: /home/me/.ssh/id_ed25519"
        );
    }

    #[test]
    fn without_a_terminal_whatever_would_be_asked_is_refused() {
        let logins = [("a", Login::Open), ("b", refused()), ("c", Login::HostKeyUnknown)];
        let plan = trust(&TrustSeen { terminal: false, ..seen(&logins) });
        assert!(plan.is_empty());
        let told: Vec<&str> = plan.problems.iter().map(|problem| problem.failure.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "b: a password must be typed to ssh, and there is no terminal to type it at",
                "c: its ssh host key is unknown, and there is no terminal to confirm it at",
            ]
        );
        let accepting = TrustSeen { terminal: false, accept_new_host_keys: true, ..seen(&logins) };
        assert_eq!(trust(&accepting).steps().count(), 1);
    }

    #[test]
    fn a_host_that_takes_no_passwords_and_one_that_is_shut_are_left_out() {
        let keys_only = Login::KeyRefused { said: "a: Permission denied (publickey).".into() };
        let shut = Login::Shut(Failure::unreachable("b: cannot connect with ssh"));
        let plan = trust(&seen(&[("a", keys_only), ("b", shut)]));
        assert!(plan.is_empty());
        assert!(plan.problems[0].failure.message.contains("takes no passwords"));
        assert_eq!(plan.problems[1].failure.message, "b: cannot connect with ssh");
    }

    #[test]
    fn without_ssh_copy_id_the_operator_is_told_what_to_install() {
        let plan = trust(&TrustSeen { copier: false, ..seen(&[("a", refused())]) });
        assert!(plan.is_empty());
        assert!(plan.problems[0].failure.hints[0].contains("openssh-client"));
    }

    #[test]
    fn this_machine_needs_no_login() {
        let mut seen = seen(&[("127.0.0.1", Login::Open)]);
        seen.here.insert(HostName::new("127.0.0.1"));
        assert_eq!(trust(&seen).holds[0].fact, "is this machine; nothing to log in to");
    }
}
