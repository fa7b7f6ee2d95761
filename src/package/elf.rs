//! Which processor a program is built for.
//!
//! Boundary: looks at the first bytes of a file and nothing else.

/// So much of a file's beginning has to be known.
pub(super) const HEAD: usize = 20;

/// The name that `uname -m` gives the processor of this program. `None` for a script, and for a 32-bit program, which
/// runs on machines of more than one name.
pub(super) fn architecture(head: &[u8]) -> Option<&'static str> {
    const SIXTY_FOUR_BIT: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    const BIG_ENDIAN: u8 = 2;
    if head.len() < HEAD || !head.starts_with(b"\x7fELF") || head[4] != SIXTY_FOUR_BIT {
        return None;
    }
    let machine = [head[18], head[19]];
    match head[5] {
        LITTLE_ENDIAN => match u16::from_le_bytes(machine) {
            21 => Some("ppc64le"),
            62 => Some("x86_64"),
            183 => Some("aarch64"),
            243 => Some("riscv64"),
            258 => Some("loongarch64"),
            _ => None,
        },
        BIG_ENDIAN => match u16::from_be_bytes(machine) {
            21 => Some("ppc64"),
            22 => Some("s390x"),
            183 => Some("aarch64_be"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The beginning of a 64-bit program.
    pub(in crate::package) fn head(machine: u16, little: bool) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(16, 0);
        if !little {
            head[5] = 2;
        }
        for half in [2, machine] {
            head.extend(if little { half.to_le_bytes() } else { half.to_be_bytes() });
        }
        head
    }

    #[test]
    fn a_program_names_its_processor() {
        assert_eq!(architecture(&head(62, true)), Some("x86_64"));
        assert_eq!(architecture(&head(183, true)), Some("aarch64"));
        assert_eq!(architecture(&head(21, true)), Some("ppc64le"));
        assert_eq!(architecture(&head(22, false)), Some("s390x"));
    }

    #[test]
    fn what_runs_on_more_than_one_processor_names_none() {
        let mut narrow = head(3, true);
        narrow[4] = 1;
        assert_eq!(architecture(&narrow), None);
        assert_eq!(architecture(b"#!/bin/sh\nexec true and more\n"), None);
        assert_eq!(architecture(b"\x7fELF"), None);
    }
}
