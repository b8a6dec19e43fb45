//! The progress of a build: each step with its name, its time and what came of it.

use std::time::{Duration, Instant};

/// What a build has to say while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step takes long; this is what it does.
    Note {
        /// The step.
        step: &'static str,
        /// What it does.
        text: String,
    },
    /// A step is done.
    Done {
        /// The step.
        step: &'static str,
        /// How long it took.
        took: Duration,
        /// What came of it.
        result: String,
    },
}

/// Runs steps and reports them.
pub struct Steps<'r> {
    report: &'r mut dyn FnMut(Event),
}

impl<'r> Steps<'r> {
    /// Steps that report here.
    pub fn new(report: &'r mut dyn FnMut(Event)) -> Self {
        Self { report }
    }

    /// Runs one step; `describe` says what came of it.
    pub fn run<T, E>(
        &mut self,
        step: &'static str,
        work: impl FnOnce(&mut dyn FnMut(String)) -> Result<T, E>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<T, E> {
        let began = Instant::now();
        let report = &mut *self.report;
        let value = work(&mut |text| report(Event::Note { step, text }))?;
        report(Event::Done { step, took: began.elapsed(), result: describe(&value) });
        Ok(value)
    }
}
