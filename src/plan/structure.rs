//! The base directories below `/arcus`.

use std::collections::BTreeSet;

use crate::model::{ZnodeChange, znode};

/// The changes that create what is missing of [`znode::STRUCTURE`]; none when all of it is there.
pub fn create_structure(present: &BTreeSet<String>) -> Vec<ZnodeChange> {
    znode::STRUCTURE
        .iter()
        .filter(|path| !present.contains(**path))
        .map(|path| ZnodeChange::Create { path: (*path).to_owned(), data: String::new() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_parents_first_and_nothing_twice() {
        let all = create_structure(&BTreeSet::new());
        let paths: BTreeSet<String> = znode::STRUCTURE.iter().map(ToString::to_string).collect();
        assert_eq!(all.first().map(ToString::to_string).as_deref(), Some("create /arcus"));
        assert_eq!(all.len(), 4);
        assert!(create_structure(&paths).is_empty());
    }
}
