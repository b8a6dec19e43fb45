//! A machine that is switched on, and on again: what the loader starts, renames and leaves behind.
//!
//! A boot option is one line of the firmware's list. All of ours start the loader, so that it runs again when the firmware
//! refuses what it chose; behind the last the firmware has nothing to do but to wait for somebody.

use crate::choice::{Pins, choose};
use crate::file::{Content, File};

/// What a machine starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What is in `EFI/Linux`, as the folder has it.
    pub files: Vec<File>,
    /// What else names an entry.
    pub pins: Pins,
    /// How many of the firmware's boot options start the loader.
    pub options: usize,
}

/// What becomes of a boot once the firmware has started the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The system comes up and stays.
    Holds,
    /// It does not, and the machine restarts.
    Fails,
}

/// One run of the loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The name of what it chose, before it took a try from it: with it, in lower case, goes `LoaderEntrySelected`.
    pub chosen: String,
    /// The name of it since.
    pub now: String,
    /// The name in `LoaderBootCountPath`. A run that takes no try leaves what an earlier one since the last reset has set.
    pub counted: Option<String>,
    /// Whether the firmware started it.
    pub started: bool,
}

/// Where it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last boot holds.
    Up,
    /// The firmware has nothing left to start, and waits. The next power-on may come further.
    Stuck,
    /// The last boot fails, and every other from here on will: the same entry is started again and again.
    ForEver,
}

impl Machine {
    /// A machine without pins, and with `options` boot options.
    pub fn new(files: Vec<File>, options: usize) -> Self {
        Self { files, pins: Pins::default(), options }
    }

    /// Switched on, and left alone until it is up or nothing more will come of it. `health` is what becomes of an image that
    /// is started, by its file; it is asked at every boot.
    pub fn run(&mut self, mut health: impl FnMut(&File) -> Health) -> (Vec<Boot>, End) {
        let mut boots = Vec::new();
        loop {
            let end = self.until_reset(&mut boots, &mut health);
            if let Some(end) = end {
                return (boots, end);
            }
        }
    }

    /// Whether the machine comes up by itself, with only what `holds` is true of holding.
    pub fn survives(&self, mut holds: impl FnMut(&File) -> bool) -> bool {
        let health = |file: &File| if holds(file) { Health::Holds } else { Health::Fails };
        self.clone().run(health).1 == End::Up
    }

    /// From one reset to the next, which is what `None` says.
    fn until_reset(
        &mut self,
        boots: &mut Vec<Boot>,
        health: &mut impl FnMut(&File) -> Health,
    ) -> Option<End> {
        let mut counted = None;
        for _ in 0..self.options {
            let was = self.clone();
            let Some((file, boot)) = self.start(&mut counted) else { return Some(End::Stuck) };
            let started = boot.started;
            boots.push(boot);
            if !started {
                continue;
            }
            return match health(&file) {
                Health::Holds => Some(End::Up),
                Health::Fails if self.is_as_far_as(&was) => Some(End::ForEver),
                Health::Fails => None,
            };
        }
        Some(End::Stuck)
    }

    /// One run of the loader.
    fn start(&mut self, counted: &mut Option<String>) -> Option<(File, Boot)> {
        let chosen = choose(&self.files, &self.pins)?.clone();
        self.pins.one_shot = None;
        let now = self.take_try(&chosen);
        let file = File { name: now.clone().unwrap_or_else(|| chosen.name.clone()), ..chosen.clone() };
        if now.is_some() {
            *counted = now;
        }
        let started = matches!(file.content, Content::Whole(_));
        let boot = Boot { chosen: chosen.name, now: file.name.clone(), counted: counted.clone(), started };
        Some((file, boot))
    }

    /// Renames a file that has a counter; if another has the name, nothing is renamed, and it is started all the same.
    fn take_try(&mut self, chosen: &File) -> Option<String> {
        let next = chosen.after_start()?;
        let is_next = |file: &File| file.name.eq_ignore_ascii_case(&next) && file.name != chosen.name;
        if self.files.iter().any(is_next) {
            return None;
        }
        self.files
            .iter_mut()
            .filter(|file| file.name == chosen.name)
            .for_each(|file| file.name.clone_from(&next));
        Some(next)
    }

    /// Whether a boot has brought it nowhere: no try fewer, no pin used up.
    fn is_as_far_as(&self, was: &Self) -> bool {
        let left = |machine: &Self| {
            machine.files.iter().filter_map(File::tries).map(|tries| tries.left).sum::<u64>()
        };
        left(self) == left(was) && self.pins == was.pins
    }
}

#[cfg(test)]
mod tests;
