//! Pulls an image into a folder: `pull REFERENCE FOLDER [AUTHORITIES]`. Its size, linked as a program of the machine, is what pulling costs
//! there; at the end it says how much memory it took.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use async_trait::async_trait;
use coracle_registry::{Client, Descriptor, Incoming, Limits, Platform, Registries, Store};

/// A file for each blob, named by its digest.
struct Folder(PathBuf);

struct Part {
    file: File,
    part: PathBuf,
    whole: PathBuf,
}

#[async_trait]
impl Store for Folder {
    async fn has(&self, blob: &Descriptor) -> io::Result<bool> {
        fs::exists(self.0.join(blob.digest.to_string()))
    }

    async fn begin(&self, blob: &Descriptor) -> io::Result<Box<dyn Incoming>> {
        let whole = self.0.join(blob.digest.to_string());
        let part = whole.with_added_extension("part");
        Ok(Box::new(Part { file: File::create(&part)?, part, whole }))
    }
}

#[async_trait]
impl Incoming for Part {
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)
    }

    async fn keep(self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(self.part, self.whole)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(reference), Some(folder)) = (words.next(), words.next()) else {
        return Err("usage: pull REFERENCE FOLDER [AUTHORITIES]".into());
    };
    let authorities = words.next().map(fs::read).transpose()?.unwrap_or_default();
    let web = coracle_fetch::Options { authorities, ..Default::default() };
    let client = Client::new(&web, Registries::default(), Limits::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let store = Folder(folder.into());
    let image = runtime.block_on(client.pull(&reference.parse()?, Platform::V1, &store))?;
    for document in image.documents {
        fs::write(store.0.join(document.digest.to_string()), document.bytes)?;
        println!("{} {}", document.digest, document.media_type);
    }
    let status = fs::read_to_string("/proc/self/status")?;
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}
