//! Which nodes of a cloud are meant: `10.0.0.7:11211,cache-*,@offline,!10.0.0.9`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::error::{Failure, Failures};
use crate::model::{NodeAddr, ServiceCode};

/// Nodes by address, machine or state: the terms of a list, of which those with `!` take away from what the others name.
/// A list of exclusions alone takes away from all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    excludes: bool,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Addr(NodeAddr),
    Ip(Ipv4Addr),
    /// A hostname, an ip or an ip:port, in which `*` stands for anything, `?` for one character and `[ab]` for one of some.
    Glob(glob::Pattern),
    Offline,
    Outdated,
}

/// What a node is selected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    pub addr: NodeAddr,
    /// Names that its machine goes by: as registered, and as its own znode says.
    pub hostnames: BTreeSet<String>,
    /// It is no member of its cloud.
    pub offline: bool,
    /// Its process runs an older release or other options than it would be started with; `None` when its host could not be
    /// looked at. Such a node is in neither `@outdated` nor `!@outdated`.
    pub outdated: Option<bool>,
}

/// Why a text selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{term}' names no nodes: {reason}")]
pub struct SelectorFault {
    pub term: String,
    pub reason: &'static str,
}

impl Selector {
    /// One selector of several: what any of them would say as one list. `None` where there are none.
    pub fn all_of(selectors: &[Self]) -> Option<Self> {
        let terms: Vec<Term> = selectors.iter().flat_map(|selector| &selector.terms).cloned().collect();
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// The processes on the hosts have to be looked at before it can be told who is meant.
    pub fn asks_for_outdated(&self) -> bool {
        self.terms.iter().any(|term| term.pattern == Pattern::Outdated)
    }

    /// What it means depends on how nodes are doing, which their cloud JSON does not say.
    pub fn asks_for_state(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.pattern, Pattern::Offline | Pattern::Outdated))
    }

    /// The nodes of `code` that are meant.
    ///
    /// # Errors
    /// Every term that no node fits, and a list that comes to no nodes at all.
    pub fn pick(&self, code: &ServiceCode, nodes: &[NodeFacts]) -> Result<BTreeSet<NodeAddr>, Failures> {
        // To do without those of a state goes well with there being none; a name that nobody has is a slip of the pen.
        let may_be_empty =
            |term: &Term| term.excludes && matches!(term.pattern, Pattern::Offline | Pattern::Outdated);
        let strangers =
            self.terms.iter().filter(|term| !may_be_empty(term) && fitting(term, nodes).next().is_none());
        Failures::none_of(strangers.map(|term| term.pattern.stranger(code)).collect())?;
        let (excluding, including): (Vec<&Term>, Vec<&Term>) =
            self.terms.iter().partition(|term| term.excludes);
        let mut picked: BTreeSet<NodeAddr> = if including.is_empty() {
            nodes.iter().map(|node| node.addr).collect()
        } else {
            including.into_iter().flat_map(|term| fitting(term, nodes)).collect()
        };
        for addr in excluding.into_iter().flat_map(|term| fitting(term, nodes)) {
            picked.remove(&addr);
        }
        if picked.is_empty() {
            return Err(Failure::refused(format!("'{self}' comes to no node of {code}"))
                .cause("what it names is taken away again by its exclusions")
                .into());
        }
        Ok(picked)
    }
}

fn fitting(term: &Term, nodes: &[NodeFacts]) -> impl Iterator<Item = NodeAddr> {
    nodes.iter().filter(|node| term.fits(node)).map(|node| node.addr)
}

impl Term {
    fn fits(&self, node: &NodeFacts) -> bool {
        // What is done without the outdated ones is not done to one that may be outdated.
        let unknown = self.excludes && self.pattern == Pattern::Outdated && node.outdated.is_none();
        unknown || self.pattern.fits(node)
    }
}

impl Pattern {
    fn fits(&self, node: &NodeFacts) -> bool {
        match self {
            Self::Addr(addr) => node.addr == *addr,
            Self::Ip(ip) => node.addr.ip == *ip,
            Self::Glob(glob) if glob.as_str().contains(':') => glob.matches(&node.addr.to_string()),
            Self::Glob(glob) => {
                glob.matches(&node.addr.ip.to_string())
                    || node.hostnames.iter().any(|name| glob.matches(name))
            }
            Self::Offline => node.offline,
            Self::Outdated => node.outdated == Some(true),
        }
    }

    fn stranger(&self, code: &ServiceCode) -> Failure {
        let message = match self {
            Self::Addr(addr) => format!("{addr} is no node of {code}"),
            Self::Ip(ip) => format!("no node of {code} is on {ip}"),
            Self::Glob(glob) if glob.as_str().contains(':') => format!("no node of {code} is {glob}"),
            Self::Glob(glob) => format!("no node of {code} is on a host called {glob}"),
            Self::Offline => format!("no node of {code} is offline"),
            Self::Outdated => format!("no node of {code} runs an older release or other options"),
        };
        Failure::refused(message).hint(format!("see its nodes: arcusctl memcached list {code}"))
    }
}

impl FromStr for Selector {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let terms: Result<Vec<Term>, SelectorFault> =
            text.split(',').map(|term| term.trim().parse()).collect();
        Ok(Self { terms: terms? })
    }
}

impl FromStr for Term {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (excludes, name) = match text.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let fault = |reason| SelectorFault { term: text.to_owned(), reason };
        let pattern = match name.strip_prefix('@') {
            Some("offline") => Pattern::Offline,
            Some("outdated") => Pattern::Outdated,
            Some(_) => return Err(fault("there are @offline and @outdated")),
            None => name.parse()?,
        };
        Ok(Self { excludes, pattern })
    }
}

impl FromStr for Pattern {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |reason| SelectorFault { term: text.to_owned(), reason };
        if text.is_empty() {
            return Err(fault("write ip:port, ip, a hostname, @offline or @outdated, with commas between"));
        }
        if let Ok(addr) = text.parse() {
            return Ok(Self::Addr(addr));
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        // An address with a slip in it would make a hostname that nobody has, and a puzzling answer.
        let usable = |character: char| character.is_alphanumeric() || "-._*?[]!:".contains(character);
        let is_address = text.contains(':') && !text.contains(['*', '?', '[']);
        if !text.chars().all(usable) || text.contains("**") || is_address {
            return Err(fault(
                "it is neither an ip:port nor an ip nor a hostname, in which * and ? may stand",
            ));
        }
        if text.chars().all(|character| character.is_ascii_digit() || character == '.') {
            return Err(fault("it is no IPv4 address"));
        }
        glob::Pattern::new(text).map(Self::Glob).map_err(|_| fault("its brackets do not fit together"))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Term { excludes, pattern }) in self.terms.iter().enumerate() {
            write!(out, "{}{}", if position == 0 { "" } else { "," }, if *excludes { "!" } else { "" })?;
            match pattern {
                Pattern::Addr(addr) => write!(out, "{addr}")?,
                Pattern::Ip(ip) => write!(out, "{ip}")?,
                Pattern::Glob(glob) => write!(out, "{glob}")?,
                Pattern::Offline => out.write_str("@offline")?,
                Pattern::Outdated => out.write_str("@outdated")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<NodeFacts> {
        let node = |addr: &str, hostname: &str, offline, outdated| NodeFacts {
            addr: addr.parse().unwrap(),
            hostnames: BTreeSet::from([hostname.to_owned()]),
            offline,
            outdated: Some(outdated),
        };
        vec![
            node("10.0.0.1:1", "cache-1", false, true),
            node("10.0.0.1:2", "cache-1", true, false),
            node("10.0.0.2:1", "cache-2", false, false),
            node("10.0.0.3:1", "store.example", false, true),
        ]
    }

    fn pick(text: &str) -> Result<Vec<String>, String> {
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.to_string(), text.replace(' ', ""));
        let picked = selector.pick(&ServiceCode::new("c").unwrap(), &nodes());
        picked
            .map(|picked| picked.iter().map(ToString::to_string).collect())
            .map_err(|failures| failures.as_slice()[0].message.clone())
    }

    #[test]
    fn nodes_are_meant_by_address_machine_and_state() {
        let expect = |text, addrs: &[&str]| assert_eq!(pick(text).unwrap(), addrs, "{text}");
        expect("10.0.0.1:2", &["10.0.0.1:2"]);
        expect("10.0.0.1", &["10.0.0.1:1", "10.0.0.1:2"]);
        expect("cache-*", &["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"]);
        expect("cache-[2-9]", &["10.0.0.2:1"]);
        expect("store.exampl?", &["10.0.0.3:1"]);
        expect("10.0.0.[23]", &["10.0.0.2:1", "10.0.0.3:1"]);
        expect("*:2", &["10.0.0.1:2"]);
        expect("@offline", &["10.0.0.1:2"]);
        expect("@outdated", &["10.0.0.1:1", "10.0.0.3:1"]);
    }

    #[test]
    fn a_list_is_all_that_it_names_less_what_it_excludes() {
        let expect = |text, addrs: &[&str]| assert_eq!(pick(text).unwrap(), addrs, "{text}");
        expect("10.0.0.2:1, @offline", &["10.0.0.1:2", "10.0.0.2:1"]);
        expect("cache-*,!@outdated", &["10.0.0.1:2", "10.0.0.2:1"]);
        expect("!10.0.0.1", &["10.0.0.2:1", "10.0.0.3:1"]);
        expect("10.0.0.2,!@offline", &["10.0.0.2:1"]);
        expect("!cache-*,@outdated", &["10.0.0.3:1"]);
    }

    #[test]
    fn a_node_whose_host_could_not_be_looked_at_is_neither_outdated_nor_not() {
        let mut nodes = nodes();
        nodes[0].outdated = None;
        let pick = |text: &str| {
            let picked = text.parse::<Selector>().unwrap().pick(&ServiceCode::new("c").unwrap(), &nodes);
            picked.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(pick("@outdated"), ["10.0.0.3:1"]);
        assert_eq!(pick("!@outdated"), ["10.0.0.1:2", "10.0.0.2:1"]);
    }

    #[test]
    fn what_fits_no_node_is_named() {
        let expect = |text, message: &str| assert_eq!(pick(text).unwrap_err(), message, "{text}");
        expect("10.0.0.9:1", "10.0.0.9:1 is no node of c");
        expect("10.0.0.9", "no node of c is on 10.0.0.9");
        expect("10.0.0.1,!web-*", "no node of c is on a host called web-*");
        expect("*:9", "no node of c is *:9");
        expect("10.0.0.1,!10.0.0.1", "'10.0.0.1,!10.0.0.1' comes to no node of c");
    }

    #[test]
    fn a_slip_of_the_pen_is_told_from_a_name() {
        for text in
            ["", "10.0.0.1,", "10.0.0.1:", "10.0.0.1:x", "10.0.0", "@online", "!", "a b", "cache-[", "a**"]
        {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
        assert_eq!("@online".parse::<Selector>().unwrap_err().reason, "there are @offline and @outdated");
    }

    #[test]
    fn several_selectors_are_one_list() {
        let selectors: Vec<Selector> = ["10.0.0.1", "!10.0.0.1:2"].map(|text| text.parse().unwrap()).into();
        assert_eq!(Selector::all_of(&selectors).unwrap().to_string(), "10.0.0.1,!10.0.0.1:2");
        assert_eq!(Selector::all_of(&[]), None);
    }
}
