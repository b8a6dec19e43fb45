//! When a machine may reboot for an update, and how the new system proves itself.

use coracle_rollout::settings::{Gate, Health, Reach, check as rules};
use coracle_rollout::window::{Blackout, LengthMinutes, Offset, Schedule, Window};

use super::Check;
use super::update::{parsed, ruled};
use crate::document::{self, At};
use crate::findings::Code;
use crate::values::{Deadline, Refused, stable};
use crate::words;

/// For how long a new system must hold when the recipe does not say, in seconds.
const STABLE: u32 = 60;

impl Check<'_, '_> {
    pub(super) fn schedule(&mut self, wire: &document::Update) -> Option<Schedule> {
        let offset = self.or(wire.offset.as_ref(), Offset::default(), |text| parsed(text, "+01:00"));
        let windows = self.list(wire.windows.iter().flatten().collect(), |check, one| check.window(one));
        let blackouts =
            self.list(wire.blackouts.iter().flatten().collect(), |check, one| check.blackout(one));
        Some(Schedule { offset: offset?, windows: windows?, blackouts: blackouts? })
    }

    fn window(&mut self, wire: &document::Window) -> Option<Window> {
        let days = match &wire.days {
            Some(list) => self.list(list.get().iter().collect(), |check, at| check.take(at, words::weekday)),
            None => self.missing("update.windows.days"),
        };
        let start_time =
            self.need(wire.start_time.as_ref(), "update.windows.start_time", |text| parsed(text, "02:00"));
        let length_minutes = match &wire.length_minutes {
            Some(at) => self.length(at),
            None => self.missing("update.windows.length_minutes"),
        };
        let window = Window { days: days?, start_time: start_time?, length_minutes: length_minutes? };
        if let (Err(error), Some(at)) = (rules::window(&window), &wire.days) {
            self.bad(
                at,
                Refused { message: error.to_string(), remedy: "write it like `days = [\"Sat\"]`".to_owned() },
            );
            return None;
        }
        Some(window)
    }

    fn length(&mut self, at: &At<i64>) -> Option<LengthMinutes> {
        let length = u32::try_from(*at.get()).unwrap_or(0);
        match LengthMinutes::try_from(length) {
            Ok(length) => Some(length),
            Err(error) => {
                let remedy = "write it like `length_minutes = 180`".to_owned();
                self.bad(at, Refused { message: error.to_string(), remedy });
                None
            }
        }
    }

    fn blackout(&mut self, wire: &document::Blackout) -> Option<Blackout> {
        let from = self.need(wire.from.as_ref(), "update.blackouts.from", |text| parsed(text, "2026-12-24"));
        let to = self.need(wire.to.as_ref(), "update.blackouts.to", |text| parsed(text, "2026-12-26"));
        let blackout = Blackout { from: from?, to: to? };
        if let (Err(error), Some(at)) = (rules::blackout(&blackout), &wire.to) {
            self.conflict(at, error.to_string(), "write the later day here");
            return None;
        }
        Some(blackout)
    }

    pub(super) fn health(&mut self, wire: &document::Health, boot_deadline: Deadline) -> Option<Health> {
        let stable_seconds = self.or(wire.stable.as_ref(), STABLE, stable);
        let repository = self.or(wire.repository.as_ref(), Reach::default(), words::reach);
        let gates = wire.gates.iter().flatten().collect::<Vec<_>>();
        if let (Err(error), Some(at)) =
            (rules::gates(gates.len()), gates.last().and_then(|gate| named(gate).next()))
        {
            let remedy = "let one address answer for several".to_owned();
            self.bad(at.0, Refused { message: error.to_string(), remedy });
        }
        let gates = self.list(gates, |check, gate| check.gate(gate));
        let stable_seconds = stable_seconds?;
        let deadline = boot_deadline.get().as_secs();
        if u64::from(stable_seconds) >= deadline {
            let message =
                format!("a new system has {deadline} s in all, and could never hold for {stable_seconds} s");
            let remedy = "write a shorter time here, or a longer `deadline` in `[boot]`";
            match &wire.stable {
                Some(at) => self.conflict(at, message, remedy),
                None => self.report.add(
                    Code::Conflict,
                    0..0,
                    message,
                    "add `stable = \"10s\"` in `[update.health]`",
                ),
            }
            return None;
        }
        Some(Health { stable_seconds, repository: repository?, gates: gates? })
    }

    fn gate(&mut self, wire: &document::Gate) -> Option<Gate> {
        let mut all = named(wire);
        let Some((at, kind)) = all.next() else {
            return self.missing("update.health.gates.http");
        };
        if let Some((second, _)) = all.next() {
            self.conflict(
                second,
                "a gate is one of `http`, `tcp`, `file`, `container`",
                "write another `[[update.health.gates]]` for it",
            );
            return None;
        }
        let gate = kind(at.get().clone());
        let remedy = "see the examples in the template that `coracle new` writes";
        self.take(at, |text| ruled(rules::gate(&gate), text, remedy))?;
        Some(gate)
    }
}

/// A key of a gate, and the gate that it makes.
type Named<T> = (T, fn(String) -> Gate);

/// What a gate says that it is, in the order of the schema.
fn named(wire: &document::Gate) -> impl Iterator<Item = Named<&At<String>>> {
    let all: [Named<&Option<At<String>>>; 4] = [
        (&wire.http, Gate::Http),
        (&wire.tcp, Gate::Tcp),
        (&wire.file, Gate::File),
        (&wire.container, Gate::Container),
    ];
    all.into_iter().filter_map(|(at, kind)| Some((at.as_ref()?, kind)))
}
