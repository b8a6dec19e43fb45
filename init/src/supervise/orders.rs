//! What PID 1 does when the updater asks: the requests of [`coracle_layout::control`].

use std::time::Duration;

use coracle_layout::control::{self, Kind, Request, State, Status};

use super::{Assessment, Proof, Supervisor, shutdown::How, unit::Event};
use crate::{boot::Mode, clock, log::info};

impl Supervisor {
    /// Takes what a connection asks for: answers it, and does it.
    pub(super) fn take_request(&mut self, index: usize) {
        let now = clock::since_boot();
        let Some(control) = &mut self.control else { return };
        let Some(request) = control.read(index, &self.polled, now) else { return };
        let (answer, order) = match request {
            Ok(Request::Status) => (control::ok(&self.status(now)), None),
            Ok(request) => match self.objection(request) {
                Some(why) => (control::error(&why), None),
                None => (control::ok(&""), Some(request)),
            },
            Err(bad) => (control::error(&bad), None),
        };
        if let Some(control) = &mut self.control {
            control.answer(index, &answer, &self.polled);
        }
        if let Some(request) = order {
            info!("order taken request={request}");
            self.obey(request, now);
        }
    }

    /// Why something cannot be done now.
    fn objection(&self, request: Request) -> Option<&'static str> {
        if self.ending.is_some() {
            return Some("the machine is going down");
        }
        let is_vain = request == Request::Good && self.proof == Proof::Nothing;
        is_vain.then_some("a boot without its state is never good")
    }

    fn obey(&mut self, request: Request, now: Duration) {
        match request {
            Request::Status => {}
            Request::Good => self.prove(now),
            Request::Drain => self.tell_pods(&Event::Stop, now),
            Request::Undrain => self.tell_pods(&Event::Start, now),
            Request::Failed => self.fail(super::NOT_FOUND_GOOD),
            Request::Reboot => self.end(How::Reboot, "the updater"),
        }
    }

    fn tell_pods(&mut self, event: &Event, now: Duration) {
        for index in 0..self.units.len() {
            if self.units.get(index).is_some_and(|unit| unit.kind == Kind::Pod) {
                self.step(index, event.clone(), now);
            }
        }
    }

    fn status(&self, now: Duration) -> Status {
        let state = match self.machine.mode {
            Mode::Normal => State::Mounted,
            Mode::Volatile => State::Volatile,
            Mode::Recovery => State::Recovery,
        };
        let assessment = match self.assessment {
            Assessment::Until(_) => control::Assessment::Pending,
            Assessment::Good => control::Assessment::Good,
            Assessment::Missed => control::Assessment::Missed,
        };
        let units = self.units.iter().map(|unit| {
            let (phase, seconds) = unit.unit.phase(now);
            control::Unit { kind: unit.kind, name: unit.plan.name.as_str().to_owned(), phase, seconds }
        });
        Status { state, assessment, units: units.collect() }
    }
}
