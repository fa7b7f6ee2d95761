//! The first cloud JSON and `arcusctl.toml` of a site.
//!
//! Boundary: pure text. What it makes of good values the parsers of this module take; of bad ones they say what is wrong.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use super::fault::{Fault, failures};
use super::{parse_cloud, parse_settings};
use crate::error::{Failure, Failures};

const SAMPLE: &str = include_str!("../../conf/arcusctl.toml");
const CONNECTIONS: u32 = 1000;
const THREADS: u32 = 6;

/// A machine that is to run cache nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StarterHost {
    pub name: String,
    pub ip: Ipv4Addr,
}

/// What a site begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starter {
    pub code: String,
    pub hosts: Vec<StarterHost>,
    pub nodes_per_host: u16,
    /// The nodes of a host have this port and those after it.
    pub first_port: u16,
    /// Megabytes of each node.
    pub memlimit: u32,
    /// `host:port` each.
    pub ensemble: Vec<String>,
    pub install_path: String,
    pub package: Option<String>,
}

impl Starter {
    /// The cloud JSON, one server a line.
    pub fn cloud_json(&self) -> String {
        let mut servers = Vec::new();
        for StarterHost { name, ip } in &self.hosts {
            for node in 0..u32::from(self.nodes_per_host) {
                let port = u32::from(self.first_port) + node;
                servers.push(format!(
                    r#"    {{ "hostname": {}, "ip": "{ip}", "config": {{ "port": "{port}" }} }}"#,
                    quoted(name)
                ));
            }
        }
        format!(
            r#"{{
  "serviceCode": {},
  "servers": [
{}
  ],
  "config": {{
    "threads": "{THREADS}",
    "memlimit": "{}",
    "connections": "{CONNECTIONS}"
  }}
}}
"#,
            quoted(&self.code),
            servers.join(",\n"),
            self.memlimit
        )
    }

    /// The commented sample, with what is known in force.
    pub fn settings_toml(&self) -> String {
        let servers: Vec<String> = self.ensemble.iter().map(|member| quoted(member)).collect();
        let known = [
            ("install_path", Some(quoted(&self.install_path))),
            ("package", self.package.as_deref().map(quoted)),
            ("servers", Some(format!("[{}]", servers.join(", ")))),
        ];
        let mut text = String::new();
        for line in SAMPLE.lines() {
            let set = known.iter().find_map(|(key, value)| {
                line.strip_prefix('#')?.strip_prefix(key)?.strip_prefix(" = ")?;
                Some(format!("{key} = {}", value.as_ref()?))
            });
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{}", set.as_deref().unwrap_or(line));
        }
        text
    }

    /// Reads both texts back as the commands will.
    ///
    /// # Errors
    /// Everything that they would complain about; nothing should be written then.
    pub fn check(&self, cloud_name: &str, settings_name: &str) -> Result<(), Failures> {
        let wrong = |name: &str, faults: Vec<Fault>| failures(name, faults).as_slice().to_vec();
        let mut collected: Vec<Failure> = Vec::new();
        if let Err(faults) = parse_cloud(&self.cloud_json()) {
            collected.extend(wrong(cloud_name, faults));
        }
        // Only what the text says is looked at, so no home is needed; `~` is one all the same.
        if let Err(faults) = parse_settings(&self.settings_toml(), Path::new("."), Some(Path::new("/"))) {
            collected.extend(wrong(settings_name, faults));
        }
        Failures::none_of(collected)
    }
}

/// A string as both JSON and TOML write it.
fn quoted(text: &str) -> String {
    // The one character that JSON lets stand as it is and TOML does not.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starter() -> Starter {
        let host =
            |number: u8| StarterHost { name: format!("cache-{number}"), ip: Ipv4Addr::new(10, 0, 0, number) };
        Starter {
            code: "shop".to_owned(),
            hosts: vec![host(1), host(2)],
            nodes_per_host: 2,
            first_port: 11211,
            memlimit: 512,
            ensemble: vec!["10.0.0.1:2181".to_owned()],
            install_path: "/srv/arcus".to_owned(),
            package: Some("arcus.tar.gz".to_owned()),
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was_meant() {
        let starter = starter();
        starter.check("cloud.json", "arcusctl.toml").unwrap();
        let cloud = parse_cloud(&starter.cloud_json()).unwrap();
        let nodes: Vec<String> =
            cloud.nodes.iter().map(|node| format!("{} {}", node.hostname, node.addr)).collect();
        assert_eq!(
            nodes,
            [
                "cache-1 10.0.0.1:11211",
                "cache-1 10.0.0.1:11212",
                "cache-2 10.0.0.2:11211",
                "cache-2 10.0.0.2:11212"
            ]
        );
        assert!(cloud.nodes.iter().all(|node| node.options.memlimit == 512));
        let settings = parse_settings(&starter.settings_toml(), Path::new("/site"), None).unwrap();
        assert_eq!(settings.install_path, "/srv/arcus");
        assert_eq!(settings.package.unwrap(), Path::new("/site/arcus.tar.gz"));
        assert_eq!(settings.zookeeper.servers.unwrap().to_string(), "10.0.0.1:2181");
    }

    #[test]
    fn what_was_not_said_stays_a_comment() {
        let text = Starter { package: None, ..starter() }.settings_toml();
        assert!(text.contains("\n#package = "), "{text}");
        assert_eq!(text.lines().count(), SAMPLE.lines().count());
        let differing = text.lines().zip(SAMPLE.lines()).filter(|(one, other)| one != other).count();
        assert_eq!(differing, 2);
    }

    #[test]
    fn whatever_is_typed_the_texts_stay_json_and_toml() {
        for strange in ["a\"b", "a\\b", "a\nb", "캐시 \u{1f600}", "a\u{7f}b", "'", "#", "\u{1}"] {
            let starter =
                Starter { code: strange.to_owned(), package: Some(strange.to_owned()), ..starter() };
            let value: serde_json::Value = serde_json::from_str(&starter.cloud_json()).unwrap();
            assert_eq!(value["serviceCode"], strange);
            let table: toml::Table =
                starter.settings_toml().parse().unwrap_or_else(|error| panic!("{strange:?}: {error}"));
            assert_eq!(table["package"].as_str(), Some(strange));
        }
    }

    #[test]
    fn what_the_commands_would_refuse_is_told_before_it_is_written() {
        let faulty = Starter {
            code: "a/b".to_owned(),
            first_port: 65535,
            install_path: "opt".to_owned(),
            ..starter()
        };
        let failures = faulty.check("cloud.json", "arcusctl.toml").unwrap_err();
        let told: Vec<&str> = failures.as_slice().iter().map(|failure| failure.message.as_str()).collect();
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].starts_with("cloud.json:2:18: $.serviceCode"), "{told:#?}");
        assert!(told[3].starts_with("arcusctl.toml:") && told[3].contains("install_path"), "{told:#?}");
    }
}
