//! Follows a repository from the command line: `refresh SERVER ROOT FOLDER`, the server by its address, the root a file, the
//! folder what is remembered. Says which versions there are. Its size, linked as a program of the machine, is what this crate
//! costs there.

use std::error::Error;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use coracle_rollout::Time;
use coracle_trust::store::Store;
use coracle_trust::transport::{Http, Options};
use coracle_trust::{Client, Clock, Embedded, Limits, Versions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("usage: refresh SERVER ROOT FOLDER");
    let (server, root, folder) = (word()?, word()?, word()?);
    let embedded =
        Embedded { root: std::fs::read(root)?, versions: Versions::default(), built: Time::from_unix(0) };
    let client = Client::new(Store::new(&folder), folder, embedded, Limits::default());
    let transport = Arc::new(Http::new(&server, Options::default())?);
    let now = Clock::Set(Time::from_unix(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let refreshed = runtime.block_on(client.refresh(transport, now))?;
    println!("{:?}, until {}", refreshed.repository.versions(), refreshed.repository.expires());
    for note in refreshed.notes {
        println!("{note}");
    }
    Ok(())
}
