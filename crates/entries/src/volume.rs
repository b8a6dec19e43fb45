//! Whether files of the mounted volume share clusters, which no system call tells: its device is read past the mount.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use coracle_fat::read::{self, Image, Limits};

use crate::Error;
use crate::dir::Dir;

impl Dir {
    /// Checks the volume that the folder is on, as it is on the disk after everything has been written.
    pub(crate) fn nothing_is_shared(&self, device: &Path) -> Result<(), Error> {
        self.sync_all()?;
        nothing_is_shared(device)
    }
}

/// Checks that nothing on the volume shares clusters with anything else. What was changed must have reached the device's
/// cache before: `syncfs`.
fn nothing_is_shared(device: &Path) -> Result<(), Error> {
    let failed = |operation| Error::on(operation, device.display().to_string());
    let mut file = File::open(device).map_err(failed("open"))?;
    let len = file.seek(SeekFrom::End(0)).map_err(failed("measure"))?;
    let of_volume = |source| Error::Volume { device: device.to_owned(), source };
    for fault in Image::open(file, len).map_err(of_volume)?.list(Limits::default()).faults {
        match fault {
            read::Error::Shared { path } => return Err(Error::Shared { path }),
            // What was not looked at may share anything.
            read::Error::Read { .. } | read::Error::Limit { .. } => return Err(of_volume(fault)),
            // What else a power cut leaves costs nobody a cluster.
            _ => {}
        }
    }
    Ok(())
}
