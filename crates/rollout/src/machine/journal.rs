//! What survives a restart.

use serde::{Deserialize, Serialize};

use super::{job::Tries, memory::Memory, state::State};

/// The longest journal, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
const FORMAT: u32 = 1;

/// What survives a restart: written before each act begins, read once when the agent starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    format: u32,
    /// Where the update stands.
    pub state: State,
    /// What outlives it.
    pub memory: Memory,
}

/// Bytes that are not a journal of this form. What they knew is lost: begin with the default.
#[derive(Debug, thiserror::Error)]
pub enum BadJournal {
    /// More bytes than a journal has.
    #[error("the journal has {got} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Another form than this one.
    #[error("the journal has format {got}; this reader knows format {FORMAT}")]
    Format {
        /// The form.
        got: u32,
    },
    /// Not a journal.
    #[error("the journal cannot be read")]
    Content(#[source] serde_json::Error),
}

impl Default for Journal {
    /// Nothing is known. Perhaps this machine holds the fleet's lock: it is given back first.
    fn default() -> Self {
        let state = State::Releasing { then: Box::new(State::Idle), tries: Tries::default() };
        Self::new(state, Memory::default())
    }
}

impl Journal {
    /// Of this form.
    pub fn new(state: State, memory: Memory) -> Self {
        Self { format: FORMAT, state, memory }
    }

    /// Reads what [`Journal::to_bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadJournal> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        if bytes.len() > MAX_BYTES {
            return Err(BadJournal::TooLarge { got: bytes.len() });
        }
        let head: Head = serde_json::from_slice(bytes).map_err(BadJournal::Content)?;
        if head.format != FORMAT {
            return Err(BadJournal::Format { got: head.format });
        }
        serde_json::from_slice(bytes).map_err(BadJournal::Content)
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BadJournal> {
        serde_json::to_vec(self).map_err(BadJournal::Content)
    }
}
