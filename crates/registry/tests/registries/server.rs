//! A server in the runtime of the test, which says what it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coracle_fetch::Options;
use coracle_registry::registries::Protocol;
use coracle_registry::{Client, Error, Limits, Registries, Registry, Trouble};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What it is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub head: String,
    pub body: String,
}

impl Asked {
    /// What a header says, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What it says, and how it goes on.
pub struct Say(pub Vec<u8>, pub Then);

pub enum Then {
    /// The connection ends.
    Ends,
    /// Nothing comes any more.
    Stalls,
    /// These, a byte every so many seconds.
    Drips(u64, Vec<u8>),
    /// This, for ever.
    Repeats(&'static [u8]),
}

impl From<Vec<u8>> for Say {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes, Then::Ends)
    }
}

pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub async fn new<S: Into<Say>>(answer: impl Fn(&Asked) -> S + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (log, answer) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let mut stream = listener.accept().await.unwrap().0;
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some(asked) = read(&mut stream).await else { return };
                    log.lock().unwrap().push(asked.clone());
                    say(stream, answer(&asked).into()).await;
                });
            }
        });
        Self { port, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often a path was asked for that has this in it.
    pub fn count(&self, part: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.contains(part)).count()
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client that knows that this one speaks plain HTTP.
    pub fn client(&self) -> Client {
        client(self.plain())
    }

    /// Registries of which this is one that speaks plain HTTP.
    pub fn plain(&self) -> Registries {
        let registry = Registry { protocol: Protocol::Http, mirrors: Vec::new() };
        Registries { known: [(self.host().parse().unwrap(), registry)].into(), ..Registries::default() }
    }
}

pub fn client(registries: Registries) -> Client {
    Client::new(&Options::default(), registries, Limits::default()).unwrap()
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                return Some(Asked { path, head: head.to_owned(), body: body.to_owned() });
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// Whoever asked may have heard enough.
async fn say(mut stream: TcpStream, Say(bytes, then): Say) {
    let (mut from, mut to) = stream.split();
    let gone = async { while from.read(&mut [0; 512]).await.is_ok_and(|read| read > 0) {} };
    let says = async {
        to.write_all(&bytes).await?;
        match then {
            Then::Ends => {}
            Then::Stalls => std::future::pending::<()>().await,
            Then::Drips(seconds, bytes) => {
                for byte in bytes {
                    sleep(Duration::from_secs(seconds)).await;
                    to.write_all(&[byte]).await?;
                }
            }
            Then::Repeats(bytes) => loop {
                to.write_all(bytes).await?;
            },
        }
        to.shutdown().await
    };
    tokio::select! {
        () = gone => {}
        _ = says => {}
    }
}

/// What went wrong with each that was asked last.
pub fn troubles(error: Error) -> Vec<Trouble> {
    match error {
        Error::Get { failures, .. } => failures.into_iter().map(|failure| failure.trouble).collect(),
        other => panic!("{other:?}"),
    }
}

/// What went wrong with the one that was asked.
pub fn trouble<T: std::fmt::Debug>(result: Result<T, Error>) -> Trouble {
    let mut troubles = troubles(result.unwrap_err());
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    troubles.remove(0)
}
