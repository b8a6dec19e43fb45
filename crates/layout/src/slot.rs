//! One of the two places that hold an operating system.

use std::fmt;

/// One of the two root-and-verity partition pairs. A machine runs from one and updates the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `root-a` and `verity-a`.
    A,
    /// `root-b` and `verity-b`.
    B,
}

impl Slot {
    /// Both slots, in the order of their partitions.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The slot that is not this one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;

    #[test]
    fn other_is_its_own_inverse() {
        for slot in Slot::BOTH {
            assert_ne!(slot.other(), slot);
            assert_eq!(slot.other().other(), slot);
        }
    }
}
