//! Finding the settings file and reading it.
//!
//! Boundary: files only. Nothing is read from the environment: whoever calls says what stands there.

use std::path::{Path, PathBuf, absolute};

use super::{Settings, parse_settings};
use crate::config::fault::failures;
use crate::config::file::read_text;
use crate::error::{Failure, Failures};

const FILE_NAME: &str = "arcusctl.toml";
const DIRECTORY: &str = "arcusctl";
const SYSTEM_DIRECTORY: &str = "/etc/arcusctl";

/// Where to look for the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsLookup {
    /// The file named with `--settings`.
    pub explicit: Option<PathBuf>,
    /// The file named by `ARCUSCTL_SETTINGS`; an empty name counts as none.
    pub env: Option<PathBuf>,
    /// The current directory.
    pub current_dir: PathBuf,
    /// The operator's home; also what `~/` means in the file.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, which takes the place of `~/.config`; a relative one is no use and counts as none.
    pub xdg_config_home: Option<PathBuf>,
    /// The directory of the settings for everyone on this machine.
    pub system_dir: PathBuf,
}

impl Default for SettingsLookup {
    fn default() -> Self {
        Self {
            explicit: None,
            env: None,
            current_dir: PathBuf::from("."),
            home: None,
            xdg_config_home: None,
            system_dir: PathBuf::from(SYSTEM_DIRECTORY),
        }
    }
}

impl SettingsLookup {
    /// The file that someone named, and how; it must be there.
    fn named(&self) -> Option<(&'static str, PathBuf)> {
        let env = self.env.as_ref().filter(|path| !path.as_os_str().is_empty());
        let (how, path) = match (&self.explicit, env) {
            (Some(path), _) => ("--settings", path),
            (None, Some(path)) => ("ARCUSCTL_SETTINGS", path),
            (None, None) => return None,
        };
        Some((how, self.current_dir.join(path)))
    }

    /// The files that are looked for when nobody named one, the nearest first.
    pub fn candidates(&self) -> Vec<PathBuf> {
        let xdg = self.xdg_config_home.clone().filter(|directory| directory.is_absolute());
        let config = xdg.or_else(|| self.home.as_ref().map(|home| home.join(".config")));
        let here = self.current_dir.join(FILE_NAME);
        let personal = config.map(|directory| directory.join(DIRECTORY).join(FILE_NAME));
        let system = self.system_dir.join(FILE_NAME);
        [Some(here), personal, Some(system)].into_iter().flatten().collect()
    }
}

impl Settings {
    /// The settings of the first file there is; without any, the defaults.
    ///
    /// # Errors
    /// When a file that was named is missing, when the file cannot be read, or with every fault in it.
    pub fn load(lookup: &SettingsLookup) -> Result<Self, Failures> {
        if let Some((how, path)) = lookup.named() {
            let hint = format!("{how} must name an existing arcusctl.toml");
            return read(&path, &hint, lookup.home.as_deref());
        }
        for path in lookup.candidates() {
            // A file that is there but out of reach must not silently give way to the next.
            let there = path.try_exists().map_err(|error| {
                Failure::config(format!("{} cannot be looked for", path.display()))
                    .cause(error)
                    .hint("name the settings file with --settings")
            })?;
            if there {
                return read(&path, "name the settings file with --settings", lookup.home.as_deref());
            }
        }
        Ok(Self::default())
    }
}

fn read(path: &Path, hint: &str, home: Option<&Path>) -> Result<Settings, Failures> {
    let text = read_text(path, "settings file", hint)?;
    let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
    let directory = whole.parent().unwrap_or(Path::new("/"));
    let settings = parse_settings(&text, directory, home)
        .map_err(|faults| failures(&path.display().to_string(), faults))?;
    Ok(Settings { source: Some(path.to_owned()), ..settings })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A site with every place that settings are looked for, all empty.
    fn site() -> (tempfile::TempDir, SettingsLookup) {
        let root = tempfile::tempdir().unwrap();
        let directory = |name: &str| root.path().join(name);
        let lookup = SettingsLookup {
            explicit: None,
            env: None,
            current_dir: directory("here"),
            home: Some(directory("home")),
            xdg_config_home: None,
            system_dir: directory("etc"),
        };
        (root, lookup)
    }

    fn put(path: &Path, concurrency: usize) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("concurrency = {concurrency}")).unwrap();
    }

    fn loaded(lookup: &SettingsLookup) -> usize {
        Settings::load(lookup).unwrap().concurrency
    }

    #[test]
    fn without_any_file_the_defaults_hold() {
        let (_root, lookup) = site();
        assert_eq!(Settings::load(&lookup).unwrap(), Settings::default());
    }

    #[test]
    fn the_nearest_file_wins() {
        let (root, mut lookup) = site();
        put(&lookup.system_dir.join("arcusctl.toml"), 1);
        assert_eq!(loaded(&lookup), 1);
        put(&root.path().join("home/.config/arcusctl/arcusctl.toml"), 2);
        assert_eq!(loaded(&lookup), 2);
        put(&root.path().join("here/arcusctl.toml"), 3);
        assert_eq!(loaded(&lookup), 3);
        put(&root.path().join("env.toml"), 4);
        lookup.env = Some(root.path().join("env.toml"));
        assert_eq!(loaded(&lookup), 4);
        put(&root.path().join("here/flag.toml"), 5);
        lookup.explicit = Some("flag.toml".into());
        assert_eq!(loaded(&lookup), 5);
        assert_eq!(Settings::load(&lookup).unwrap().source, Some(root.path().join("here/flag.toml")));
    }

    #[test]
    fn xdg_config_home_takes_the_place_of_dot_config() {
        let (root, mut lookup) = site();
        put(&root.path().join("home/.config/arcusctl/arcusctl.toml"), 2);
        put(&root.path().join("xdg/arcusctl/arcusctl.toml"), 3);
        lookup.xdg_config_home = Some(root.path().join("xdg"));
        assert_eq!(loaded(&lookup), 3);
        lookup.xdg_config_home = Some("relative".into());
        assert_eq!(loaded(&lookup), 2);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_no_other_is_taken() {
        let (root, mut lookup) = site();
        put(&lookup.system_dir.join("arcusctl.toml"), 1);
        lookup.env = Some(root.path().join("none.toml"));
        let failures = Settings::load(&lookup).unwrap_err();
        assert_eq!(failures.as_slice().len(), 1);
        assert!(failures.to_string().contains("none.toml cannot be read"), "{failures}");
        assert_eq!(failures.as_slice()[0].hints, ["ARCUSCTL_SETTINGS must name an existing arcusctl.toml"]);
        lookup.env = Some("".into());
        assert_eq!(loaded(&lookup), 1);
    }

    #[test]
    fn a_directory_of_that_name_is_an_error() {
        let (_root, lookup) = site();
        fs::create_dir_all(lookup.current_dir.join("arcusctl.toml")).unwrap();
        let failures = Settings::load(&lookup).unwrap_err();
        assert!(
            failures.to_string().ends_with("arcusctl.toml is a directory, not a settings file"),
            "{failures}"
        );
    }

    #[test]
    fn paths_in_the_file_start_where_the_file_is() {
        let (root, lookup) = site();
        let file = root.path().join("home/.config/arcusctl/arcusctl.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "package = \"arcus.tar.gz\"\n[ssh]\nidentity = \"~/.ssh/arcus\"").unwrap();
        let settings = Settings::load(&lookup).unwrap();
        assert_eq!(settings.package, Some(file.with_file_name("arcus.tar.gz")));
        assert_eq!(settings.ssh.identity, Some(root.path().join("home/.ssh/arcus")));
    }

    #[test]
    fn every_fault_becomes_a_failure_with_its_place() {
        let (_root, lookup) = site();
        fs::create_dir_all(&lookup.current_dir).unwrap();
        fs::write(lookup.current_dir.join("arcusctl.toml"), "concurrency = 0\ncolour = 1\n").unwrap();
        let failures = Settings::load(&lookup).unwrap_err();
        let endings: Vec<&str> = failures
            .as_slice()
            .iter()
            .map(|failure| failure.message.split_once(".toml:").unwrap().1)
            .collect();
        assert_eq!(
            endings,
            ["1:15: concurrency: is 0; it is a whole number from 1 to 1024", "2:1: colour: is not a setting"]
        );
    }
}
