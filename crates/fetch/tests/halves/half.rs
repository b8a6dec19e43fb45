//! The half that faces the network, in a thread, and what it is asked through.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use coracle_fetch::{Options, Remote, serve};

pub struct Half {
    folder: tempfile::TempDir,
    pub remote: Remote,
}

impl Half {
    /// The real one.
    pub fn serving(options: Options) -> Self {
        Self::with(|listener| {
            thread::spawn(move || serve(listener, options).unwrap());
        })
    }

    /// Another, which talks so to each who connects.
    pub fn hostile(talk: impl Fn(UnixStream) + Send + Sync + 'static) -> Self {
        let talk = Arc::new(talk);
        Self::with(|listener| {
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let talk = talk.clone();
                    thread::spawn(move || talk(stream));
                }
            });
        })
    }

    /// Whoever takes the listener.
    pub fn with(start: impl FnOnce(UnixListener)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let half = Self { remote: Remote::new(folder.path().join("socket")), folder };
        start(UnixListener::bind(half.socket()).unwrap());
        half
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

pub fn plain() -> Half {
    Half::serving(Options::default())
}
