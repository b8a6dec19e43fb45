//! Many cases of one promise: a few of them in every run, another few each day, and all of them when asked.
//!
//! | variable | says |
//! |---|---|
//! | `CORACLE_SEED=N` | which few; the day's number unless set |
//! | `CORACLE_ALL=1` | all, going on where the last such run was stopped |
//! | `CORACLE_CASE=NAME` | this one alone |
//! | `CORACLE_JOBS=N` | so many at a time; one unless set |
//!
//! What a run chose and came to is printed whatever the test harness captures, so that it can be repeated.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::{Deadline, Error};

/// A run stops after so many failures: the others would say the same.
const MAX_FAILURES: usize = 5;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.number() & 1 == 1
    }

    /// Any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(end - 1, self.below(end));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    All,
    For(Duration),
    One(String),
}

/// Which cases of a promise run, and what is known of them.
#[derive(Debug)]
pub struct Sample {
    promise: String,
    seed: u64,
    scope: Scope,
    /// The cases that passed in earlier runs of all.
    done: BTreeSet<String>,
    /// Where they are kept.
    progress: PathBuf,
    jobs: usize,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    promise: String,
    seed: u64,
    cases: usize,
    before: usize,
    passed: usize,
    took: Duration,
    failures: Vec<(String, String)>,
}

impl Sample {
    /// What the environment asks for. A few cases are as many as begin within `budget`.
    ///
    /// `progress` is kept until all cases have passed, and belongs to what makes the cases what they are: other cases, another
    /// file. It keeps the seed, too, so that a run that goes on has the same cases.
    ///
    /// # Errors
    /// [`Error::File`] of `progress`.
    pub fn new(promise: &str, progress: PathBuf, budget: Duration) -> Result<Self, Error> {
        let variable = |name| std::env::var(name).ok();
        let scope = match (variable("CORACLE_CASE"), variable("CORACLE_ALL").as_deref()) {
            (Some(name), _) => Scope::One(name),
            (None, None | Some("" | "0")) => Scope::For(budget),
            (None, Some(_)) => Scope::All,
        };
        let seed = variable("CORACLE_SEED").and_then(|seed| seed.trim().parse().ok());
        let jobs = variable("CORACLE_JOBS").and_then(|jobs| jobs.trim().parse::<NonZero<usize>>().ok());
        Ok(Self { jobs: jobs.map_or(1, NonZero::get), ..Self::of(promise, progress, scope, seed)? })
    }

    fn of(promise: &str, progress: PathBuf, scope: Scope, seed: Option<u64>) -> Result<Self, Error> {
        let mut sample =
            Self { promise: promise.to_owned(), seed: 0, scope, done: BTreeSet::new(), progress, jobs: 1 };
        let mut begun = None;
        if sample.scope == Scope::All && sample.progress.exists() {
            let text = fs::read_to_string(&sample.progress).map_err(sample.failed("read"))?;
            let mut lines = text.lines();
            begun = lines.next().and_then(|line| line.strip_prefix("seed ")?.parse().ok());
            sample.done = lines.map(str::to_owned).collect();
        }
        sample.seed = seed.or(begun).unwrap_or_else(today);
        if begun != Some(sample.seed) {
            sample.done.clear();
        }
        Ok(sample)
    }

    /// What the choice depends on, and whatever is random in the cases should.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Checks the cases that are chosen, each with a name of one line. A case that fails, or panics, does not keep the others
    /// from being checked.
    ///
    /// # Errors
    /// [`Error::File`] of the progress. What `check` says is in the report.
    pub fn run<C: Display + Sync>(
        mut self,
        mut cases: Vec<(String, C)>,
        check: impl Fn(&C) -> Result<(), Error> + Sync,
    ) -> Result<Report, Error> {
        let total = cases.len();
        let mut deadline = None;
        match &self.scope {
            Scope::All => cases.retain(|(name, _)| !self.done.contains(name)),
            Scope::One(only) => cases.retain(|(name, _)| name == only),
            Scope::For(budget) => {
                Random::new(self.seed).shuffle(&mut cases);
                deadline = Some(Deadline::after(*budget));
            }
        }
        let clock = Deadline::seconds(0);
        let before = total - cases.len();
        let report = Report {
            before: if self.scope == Scope::All { before } else { 0 },
            promise: std::mem::take(&mut self.promise),
            seed: self.seed,
            cases: total,
            passed: 0,
            took: Duration::ZERO,
            failures: Vec::new(),
        };
        say(&format!("{}: seed {}, {} of {total} cases to go", report.promise, self.seed, cases.len()));
        let run = Mutex::new(Run { left: cases.iter(), report, progress: self.open()?, error: None });
        // Whoever panicked with the lock had changed nothing yet.
        let lock = || run.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = || deadline.is_some_and(|deadline| deadline.remaining().is_none());
        let work = || {
            while !is_over() {
                let Some((name, case)) = lock().next() else { break };
                let outcome = outcome(|| check(case));
                lock().note(name, case, outcome);
            }
        };
        thread::scope(|scope| (0..self.jobs).for_each(|_| drop(scope.spawn(work))));
        let Run { mut report, progress, error, .. } =
            run.into_inner().unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(()), Err).map_err(self.failed("write"))?;
        report.took = clock.waited();
        if progress.is_some() && report.passed + report.before == total {
            fs::remove_file(&self.progress).map_err(self.failed("remove"))?;
        }
        say(&report.summary());
        Ok(report)
    }

    /// The file of progress, with what it already says.
    fn open(&self) -> Result<Option<File>, Error> {
        if self.scope != Scope::All {
            return Ok(None);
        }
        let folder = self.progress.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(self.failed("make the folder of"))?;
        if self.done.is_empty() {
            fs::write(&self.progress, format!("seed {}\n", self.seed)).map_err(self.failed("write"))?;
        }
        File::options().append(true).open(&self.progress).map(Some).map_err(self.failed("open"))
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = self.progress.clone();
        move |source| Error::File { operation, path, source }
    }
}

/// What the threads of a run share.
struct Run<'c, C> {
    left: slice::Iter<'c, (String, C)>,
    report: Report,
    progress: Option<File>,
    error: Option<io::Error>,
}

impl<'c, C: Display> Run<'c, C> {
    /// The next case, unless enough have failed.
    fn next(&mut self) -> Option<&'c (String, C)> {
        if self.report.failures.len() >= MAX_FAILURES || self.error.is_some() {
            return None;
        }
        self.left.next()
    }

    fn note(&mut self, name: &str, case: &C, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.report.passed += 1;
                if let Some(progress) = &mut self.progress
                    && let Err(error) = writeln!(progress, "{name}")
                {
                    self.error.get_or_insert(error);
                }
            }
            Err(error) => {
                say(&format!("{}: {name} failed ({case}): {error}", self.report.promise));
                self.report.failures.push((name.to_owned(), format!("{case}: {error}")));
            }
        }
    }
}

impl Report {
    fn summary(&self) -> String {
        let Self { promise, seed, cases, before, passed, took, failures } = self;
        let names: Vec<_> = failures.iter().map(|(name, _)| name.as_str()).collect();
        format!(
            "{promise}: seed {seed}: {passed} cases passed, {} failed{}{}, {before} had passed before, {cases} in all; {:.0} s",
            names.len(),
            if names.is_empty() { "" } else { ": " },
            names.join(" "),
            took.as_secs_f32(),
        )
    }

    /// Fails the test if a case failed, or none was checked at all.
    ///
    /// # Panics
    /// Then, with everything that is known.
    pub fn expect_success(&self) {
        let all: String = self.failures.iter().map(|(name, error)| format!("\n\n{name}: {error}")).collect();
        assert!(self.failures.is_empty() && self.passed + self.before > 0, "{}{all}", self.summary());
    }
}

/// What a check came to; a panic is in its own words.
fn outcome(check: impl FnOnce() -> Result<(), Error>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:?}")),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            Err(words.or(panic.downcast_ref().copied()).unwrap_or("it panicked").to_owned())
        }
    }
}

/// Prints past the capture of the test harness.
fn say(line: &str) {
    if cfg!(test) {
        return eprintln!("{line}");
    }
    // Where nobody listens, nothing is lost.
    let _ = writeln!(io::stderr(), "{line}");
}

/// The days since 1970.
fn today() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / 86_400
}

#[cfg(test)]
mod tests;
