//! `check`: each check made to pass, warn and fail for real, on hosts that are as they must not be.

mod ensemble;
mod fix;
mod hosts;
mod login;
mod network;
mod package;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::{Run, Site, path};

/// The items of one run.
struct Items(Vec<Value>);

/// Runs `check` with `args` after the cloud JSON; it must end as its own words say.
#[track_caller]
fn check(site: &Site, conf: &Path, args: &[&str]) -> Items {
    let run = site.run(["--output", "json", "check", path(conf)].into_iter().chain(args.iter().copied()));
    items_of(&run)
}

#[track_caller]
fn items_of(run: &Run) -> Items {
    let document = run.json();
    assert_eq!(document["exitCode"], run.code);
    let items = Items(document["data"]["checks"].as_array().expect("checks").clone());
    let failed = items.of("fail").len();
    assert_eq!(run.code == 0, failed == 0, "{} fails and exit code {}", failed, run.code);
    assert_eq!(document["failures"].as_array().unwrap().len(), failed);
    for item in &items.0 {
        let mended =
            item.get("mend").is_some_and(|mend| mend.as_str().is_some_and(|words| !words.is_empty()));
        assert_eq!(item["verdict"] != "pass", mended, "{item}");
    }
    items
}

impl Items {
    fn of(&self, verdict: &str) -> Vec<&Value> {
        self.0.iter().filter(|item| item["verdict"] == verdict).collect()
    }

    /// The ids that came out so.
    fn ids(&self, verdict: &str) -> BTreeSet<&str> {
        self.of(verdict).iter().filter_map(|item| item["id"].as_str()).collect()
    }

    /// The one item of this id about this subject: a host, member, node or cloud by its name.
    #[track_caller]
    fn item(&self, id: &str, subject: &str) -> &Value {
        let names = |item: &&Value| {
            let own = &item["subject"];
            let named = own.as_object().and_then(|named| named.values().next()).unwrap_or(own);
            item["id"] == id && named == subject
        };
        let mut found = self.0.iter().filter(names);
        let item = found.next().unwrap_or_else(|| panic!("no {id} of {subject} in {:#?}", self.0));
        assert!(found.next().is_none(), "there are several {id} of {subject}");
        item
    }

    /// Asserts how a check came out, and that it says so in these words.
    #[track_caller]
    fn expect(&self, id: &str, subject: &str, verdict: &str, words: &str) -> &Self {
        let item = self.item(id, subject);
        assert_eq!(item["verdict"], verdict, "{item:#}");
        assert!(item["seen"].as_str().unwrap().contains(words), "{words:?} is not in {item:#}");
        self
    }
}
