//! One boot, measured at the moment when the answer is there.

use std::time::{Duration, Instant};

use coracle_qemu_tests::{Deadline, Error, Machine, http};
use serde_json::{Value, json};

use crate::subject::Prepared;

/// The server's port in every guest.
const PORT: u16 = 8080;
/// The slowest peer on a busy host.
const BOOT: u64 = 300;
/// A request that the guest is not yet there to answer hangs: it is given up, lest the next moment is missed.
const PATIENCE: Duration = Duration::from_millis(100);
/// Eight nanoseconds an instruction: about as fast as emulation goes, so that waiting is in proportion.
const SHIFT: u8 = 3;

/// What a boot took.
pub struct Boot {
    pub processor: Duration,
    pub wall: Duration,
}

/// Boots and says what it took, QEMU's own start included.
pub fn time(prepared: Prepared) -> Result<Boot, Error> {
    let start = Instant::now();
    let machine = answering(&prepared)?;
    Ok(Boot { wall: start.elapsed(), processor: machine.processor_time()? })
}

/// Boots and says how many instructions the guest ran.
pub fn instructions(mut prepared: Prepared) -> Result<u64, Error> {
    prepared.config = prepared.config.icount(SHIFT);
    let mut machine = answering(&prepared)?;
    let replay = machine.monitor().execute("query-replay", json!({}))?;
    let counted = replay.get("icount").and_then(Value::as_u64);
    counted.ok_or_else(|| Error::QmpRefused { command: "query-replay".into(), reason: replay.to_string() })
}

fn answering(prepared: &Prepared) -> Result<Machine, Error> {
    let mut machine = Machine::start(prepared.config.clone().forward(PORT))?;
    let address = machine.forwarded(PORT)?;
    let deadline = Deadline::seconds(BOOT);
    while http::get_once(address, "/", Deadline::after(PATIENCE)).is_err() {
        if !deadline.pause() {
            machine.console().refresh()?;
            let tail = machine.console().tail();
            return Err(Error::StillRunning { waited: deadline.waited(), tail });
        }
    }
    Ok(machine)
}
