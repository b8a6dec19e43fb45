//! Four partitions and a checkpoint in memory: each write and flush recorded, replayed up to a power cut, or failing to order.

use std::io;
use std::sync::{Mutex, MutexGuard};

use coracle_ops::ReadAt;
use coracle_updater::keep::Store;
use coracle_updater::slot::BlockDevice;

use super::Random;

pub const ROOT_A: usize = 0;
pub const TREE_A: usize = 1;
pub const ROOT_B: usize = 2;
pub const TREE_B: usize = 3;

const SECTOR: usize = 512;

/// What was asked of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Write { part: usize, at: usize, bytes: Vec<u8> },
    Flush { part: usize },
    Save(Vec<u8>),
    Remove,
}

/// What goes wrong at the n-th request, reads included.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub at: usize,
    /// An error number; 0: nothing is read or written.
    pub errno: i32,
}

/// The disk as a program sees it that was never cut off.
#[derive(Debug)]
pub struct Disk {
    parts: Shared<[Vec<u8>; 4]>,
    checkpoint: Shared<Option<Vec<u8>>>,
    pub log: Shared<Vec<Event>>,
    pub fault: Shared<Option<Fault>>,
    /// Requests so far.
    pub requests: Shared<usize>,
    /// The most bytes of one request.
    pub most: Shared<usize>,
}

/// What both threads of an installation touch.
#[derive(Debug, Default)]
pub struct Shared<T>(Mutex<T>);

impl<T: Clone + Default> Shared<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }

    pub fn get(&self) -> T {
        self.lock().clone()
    }

    pub fn set(&self, value: T) {
        *self.lock() = value;
    }

    pub fn take(&self) -> T {
        std::mem::take(&mut *self.lock())
    }
}

/// One partition of it.
#[derive(Debug, Clone, Copy)]
pub struct Part<'d> {
    disk: &'d Disk,
    part: usize,
}

impl Disk {
    pub fn new(parts: [Vec<u8>; 4], checkpoint: Option<Vec<u8>>) -> Self {
        Self {
            parts: Shared::new(parts),
            checkpoint: Shared::new(checkpoint),
            log: Shared::default(),
            fault: Shared::default(),
            requests: Shared::default(),
            most: Shared::new(usize::MAX),
        }
    }

    pub fn part(&self, part: usize) -> Part<'_> {
        Part { disk: self, part }
    }

    pub fn parts(&self) -> [Vec<u8>; 4] {
        self.parts.get()
    }

    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        self.checkpoint.get()
    }

    pub fn edit(&self, part: usize, at: usize, bytes: &[u8]) {
        self.parts.lock()[part][at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn set_checkpoint(&self, bytes: Option<Vec<u8>>) {
        self.checkpoint.set(bytes);
    }

    /// Whether this request is done, or nothing of it, or fails.
    fn request(&self, len: usize) -> io::Result<usize> {
        let number = {
            let mut requests = self.requests.lock();
            *requests += 1;
            *requests - 1
        };
        match self.fault.get().filter(|fault| fault.at == number) {
            Some(Fault { errno: 0, .. }) => Ok(0),
            Some(Fault { errno, .. }) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(len.min(self.most.get())),
        }
    }
}

impl BlockDevice for Part<'_> {
    fn size(&self) -> u64 {
        self.disk.parts.lock()[self.part].len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let parts = self.disk.parts.lock();
        let part = &parts[self.part];
        let there = part.len().saturating_sub(at as usize).min(buffer.len());
        let count = self.disk.request(there)?;
        buffer[..count].copy_from_slice(&part[at as usize..at as usize + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let count = self.disk.request(bytes.len())?;
        let (at, bytes) = (at as usize, bytes[..count].to_vec());
        self.disk.parts.lock()[self.part][at..at + count].copy_from_slice(&bytes);
        self.disk.log.lock().push(Event::Write { part: self.part, at, bytes });
        Ok(count)
    }

    fn flush(&self) -> io::Result<()> {
        if self.disk.request(1)? == 0 {
            return Err(io::ErrorKind::Other.into());
        }
        self.disk.log.lock().push(Event::Flush { part: self.part });
        Ok(())
    }
}

impl ReadAt for Part<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.parts.lock()[self.part].read_exact_at(buffer, at)
    }
}

impl Store for Disk {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.request(1)?;
        Ok(self.checkpoint())
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        if self.request(1)? == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.log.lock().push(Event::Save(bytes.to_vec()));
        self.set_checkpoint(Some(bytes.to_vec()));
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        if self.request(1)? == 0 {
            return Err(io::ErrorKind::Other.into());
        }
        self.log.lock().push(Event::Remove);
        self.set_checkpoint(None);
        Ok(())
    }
}

/// A disk and all that was asked of it.
pub struct Record {
    pub before: [Vec<u8>; 4],
    pub checkpoint: Option<Vec<u8>>,
    pub log: Vec<Event>,
}

/// How flushes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushes {
    Honest,
    /// Each of them may do nothing.
    Lies,
}

impl Record {
    /// Power goes after so many events, and the disk wrote everything at once and in order: also what a kill leaves.
    pub fn prefix(&self, events: usize) -> Disk {
        let (mut parts, mut checkpoint) = (self.before.clone(), self.checkpoint.clone());
        for event in &self.log[..events] {
            match event {
                Event::Write { part, at, bytes } => {
                    parts[*part][*at..*at + bytes.len()].copy_from_slice(bytes)
                }
                Event::Flush { .. } => {}
                Event::Save(bytes) => checkpoint = Some(bytes.clone()),
                Event::Remove => checkpoint = None,
            }
        }
        Disk::new(parts, checkpoint)
    }

    /// Power goes amid an event; of what was written to a partition since its last flush, any sector is there or not.
    pub fn cut(&self, events: usize, flushes: Flushes, random: &mut Random) -> Disk {
        let (mut parts, mut checkpoint) = (self.before.clone(), self.checkpoint.clone());
        let mut pending: [Vec<(usize, &[u8])>; 4] = Default::default();
        let apply = |part: &mut Vec<u8>, at: usize, bytes: &[u8]| {
            part[at..at + bytes.len()].copy_from_slice(bytes);
        };
        for event in &self.log[..events] {
            match event {
                Event::Write { part, at, bytes } => pending[*part].push((*at, bytes)),
                Event::Flush { part } if flushes == Flushes::Honest || random.below(2) == 0 => {
                    pending[*part].drain(..).for_each(|(at, bytes)| apply(&mut parts[*part], at, bytes));
                }
                Event::Flush { .. } => {}
                Event::Save(bytes) => checkpoint = Some(bytes.clone()),
                Event::Remove => checkpoint = None,
            }
        }
        match self.log.get(events) {
            Some(Event::Write { part, at, bytes }) => pending[*part].push((*at, bytes)),
            Some(Event::Save(bytes)) if random.below(2) == 0 => checkpoint = Some(bytes.clone()),
            Some(Event::Remove) if random.below(2) == 0 => checkpoint = None,
            _ => {}
        }
        for (part, writes) in pending.into_iter().enumerate() {
            // Sometimes nearly all got there, sometimes hardly anything.
            let chance = [1, 8, 15][random.below(3)];
            for (at, bytes) in writes {
                let torn = random.below(3) == 0;
                let all = random.below(16) < chance;
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    if if torn { random.below(16) < chance } else { all } {
                        apply(&mut parts[part], at + index * SECTOR, sector);
                    }
                }
            }
        }
        Disk::new(parts, checkpoint)
    }
}
