//! What was promised, held against what was measured.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What the promises speak of, as it is found.
#[derive(Debug, Default)]
pub struct Bars {
    bytes: BTreeMap<(&'static str, &'static str), u64>,
    applied: BTreeMap<(&'static str, &'static str), f64>,
    speeds: BTreeMap<(&'static str, &'static str), Vec<f64>>,
    installed: f64,
}

impl Bars {
    pub fn bytes(&mut self, case: &'static str, subject: &'static str, bytes: u64) {
        self.bytes.insert((case, subject), bytes);
    }

    /// Those of a subject; none of one that was not measured.
    pub fn bytes_of(&self, case: &'static str, subject: &'static str) -> u64 {
        self.bytes.get(&(case, subject)).copied().unwrap_or_default()
    }

    /// MiB of a process that applied a file.
    pub fn applied(&mut self, case: &'static str, subject: &'static str, memory: f64) {
        let most = self.applied.entry((case, subject)).or_default();
        *most = most.max(memory);
    }

    /// The share of the floor's speed at which a slot was written, and the MiB of the process.
    pub fn installed(&mut self, case: &'static str, subject: &'static str, speed: f64, memory: f64) {
        self.speeds.entry((case, subject)).or_default().push(speed);
        self.installed = self.installed.max(memory);
    }

    /// A line for each promise of which both sides are known.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, got: f64, bar: f64, holds: bool| {
            let verdict = if holds { "holds" } else { "MISSED" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{what:58} {got:8.3} {bar:8.3} {verdict}");
        };
        // A publisher takes the shorter of the two ways to a UKI.
        let shortest = |case| {
            let found = ["coracle", "coracle-forms"].map(|subject| self.bytes.get(&(case, subject)).copied());
            found.into_iter().flatten().min()
        };
        let ratio = |case, to| Some(shortest(case)? as f64 / *self.bytes.get(&(case, to))? as f64);
        for (what, case, to, bar) in [
            ("patch release, of the full download, at most", "patch", "coracle-full", 0.1),
            ("kernel rebuild, of the full download, at most", "kernel", "coracle-full", 0.6),
            ("Debian's kernel, of the full one, at most", "kernel-debian", "coracle-full", 0.6),
            ("distribution, of bsdiff's bytes, at most", "distribution", "bsdiff", 1.3),
            ("distribution, of casync's bytes, at most", "distribution", "casync", 0.1),
            ("distribution, of bita's bytes, at most", "distribution", "bita", 0.1),
            ("distribution, of block hashes' bytes, at most", "distribution", "block-hashes", 0.125),
        ] {
            if let Some(got) = ratio(case, to) {
                line(what, got, bar, got <= bar);
            }
        }
        if let Some(got) = self.applied.get(&("distribution", "coracle")) {
            line("distribution, MiB to apply it, at most", *got, 16.0, *got <= 16.0);
        }
        for ((case, subject), speeds) in &self.speeds {
            let mut speeds = speeds.clone();
            speeds.sort_by(f64::total_cmp);
            let got = speeds[speeds.len() / 2];
            line(&format!("{case}, {subject}, write speed of the floor's, at least"), got, 0.7, got >= 0.7);
        }
        if self.installed > 0.0 {
            line("MiB of a process that installs, at most", self.installed, 24.0, self.installed <= 24.0);
        }
        text
    }
}
