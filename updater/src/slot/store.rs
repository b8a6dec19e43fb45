//! Where the checkpoint is kept.

use std::io;
use std::path::Path;

use crate::keep::{Kept, Store};
use crate::slot::checkpoint::{Checkpoint, LEN};
use crate::slot::error::{Error, Operation};

/// The checkpoint's file in a folder.
///
/// # Errors
/// What the system says.
pub fn checkpoint_in(folder: &Path) -> io::Result<Kept> {
    Kept::open(folder, "slot-checkpoint", LEN as u64)
}

pub(crate) fn load(store: &impl Store) -> Result<Option<Checkpoint>, Error> {
    let bytes = store.load().map_err(error(Operation::Read))?;
    Ok(bytes.and_then(|bytes| Checkpoint::parse(&bytes)))
}

pub(crate) fn save(store: &impl Store, checkpoint: &Checkpoint) -> Result<(), Error> {
    store.save(&checkpoint.encode()).map_err(error(Operation::Write))
}

pub(crate) fn remove(store: &impl Store) -> Result<(), Error> {
    store.remove().map_err(error(Operation::Remove))
}

fn error(operation: Operation) -> impl Fn(io::Error) -> Error {
    move |source| Error::Checkpoint { operation, source }
}
