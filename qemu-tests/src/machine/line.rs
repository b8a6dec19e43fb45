//! Words of QEMU's command line.

use std::ffi::OsString;
use std::path::Path;

/// What the device of a recorded disk is told. The log of QEMU 7.2 may mix up zeros that are written by a command of their
/// own with what is written meanwhile, and what a discarded sector holds is not defined: the disk has neither command, as
/// many real ones. It adds its own pieces to a request's, so one that QEMU merged of several may have more than the host takes,
/// and fails.
pub(super) const RECORDED_DISK: &str = ",write-cache=on,discard=off,write-zeroes=off,request-merging=off";

#[derive(Default)]
pub(super) struct Line {
    pub(super) words: Vec<OsString>,
}

impl Line {
    pub(super) fn flags(&mut self, words: &str) {
        self.words.extend(words.split(' ').map(OsString::from));
    }

    pub(super) fn pair(&mut self, option: &str, value: impl Into<OsString>) {
        self.words.extend([option.into(), value.into()]);
    }

    pub(super) fn device(&mut self, device: &str) {
        self.pair("-device", device);
    }
}

/// A path inside a list of options: QEMU reads a doubled comma as one.
pub(super) fn file_option(before: &str, path: &Path, after: &str) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    format!("{before}{path}{after}").into()
}

/// The driver that logs writes, as `disk0`. The files below it need no flush, but it must see those of the guest.
pub(super) fn recorder(disk: &Path, log: &Path) -> OsString {
    let mut options = OsString::from("driver=blklogwrites,node-name=disk0,log-super-update-interval=1,");
    options.push(file_option("file.driver=file,file.filename=", disk, ",file.cache.no-flush=on,"));
    options.push(file_option("log.driver=file,log.filename=", log, ",log.cache.no-flush=on"));
    options
}

/// The driver that fails a write, as `disk0`.
pub(super) fn faulty(disk: &Path, at: u64) -> OsString {
    const EIO: u32 = 5;
    let sector = at / 512;
    let rule = format!(
        "driver=blkdebug,node-name=disk0,inject-error.0.event=none,inject-error.0.iotype=write,\
         inject-error.0.errno={EIO},inject-error.0.sector={sector},"
    );
    file_option(&format!("{rule}image.driver=file,image.filename="), disk, "")
}
