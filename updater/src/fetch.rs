//! The process that talks to servers for the agent: all of it is `coracle_fetch`, this is where it finds the image's settings.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use coracle_fetch::serve::{self, Options, serve};
use coracle_layout::paths;
use coracle_rollout::Settings;
use coracle_rollout::settings::BadSettings;

use crate::file::{self, failed};

/// Why it does not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, or the socket.
    #[error(transparent)]
    File(#[from] file::Failed),
    /// The image's settings cannot be used.
    #[error("read the image's settings")]
    Settings(#[source] BadSettings),
    /// No requests are taken.
    #[error("take requests")]
    Serve(#[source] serve::Error),
    /// It ended by itself, as it never should.
    #[error("nothing more to do")]
    Ended,
}

/// Takes requests until the machine goes down.
///
/// # Errors
/// What keeps it from doing so; PID 1 starts it again.
pub fn run() -> Result<Infallible, Error> {
    let folder = Path::new(paths::UPDATE);
    let (settings, authorities) =
        (folder.join(paths::UPDATE_SETTINGS), folder.join(paths::UPDATE_AUTHORITIES));
    let bytes = fs::read(&settings).map_err(failed("read", &settings))?;
    let settings = Settings::parse(&bytes).map_err(Error::Settings)?;
    let authorities = match fs::read(&authorities) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(failed("read", &authorities))?,
    };
    let options = Options { authorities, proxy: settings.proxy, ..Options::default() };
    let socket = Path::new(paths::FETCH);
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", socket)(error).into());
        }
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed("listen at", socket))?;
    // The agent is root without root's right to pass over permissions: its plan has the group of this service.
    fs::set_permissions(socket, Permissions::from_mode(0o660)).map_err(failed("open", socket))?;
    serve(listener, options).map_err(Error::Serve)?;
    Err(Error::Ended)
}
