//! Wherever the power goes during the first boot, the next one comes up whole.

use coracle_gpt::{SectorSize, check_both};
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen};
use std::fs::File;
use std::time::Duration;

const BOOT: u64 = 180;

/// Lines of a first boot between which something is written, in order.
const MOMENTS: [&str; 7] = [
    "Run /init as init process",
    "coracle: root opened",
    "coracle: partition table written",
    "EXT4-fs (vda7): mounted",
    "coracle: machine identifier made",
    "coracle: boot phases done",
    "coracle: running name=confined",
];

/// How long after the line.
const DELAYS: [u64; 3] = [0, 15, 60];

#[test]
fn every_cut_is_survived() -> Result<(), Error> {
    for (moment, delay) in MOMENTS.iter().flat_map(|moment| DELAYS.map(|delay| (*moment, delay))) {
        let specimen = Specimen::new("test")?;
        let mut machine = Machine::start(specimen.direct("")?)?;
        machine.wait_for(moment, Deadline::seconds(BOOT))?;
        std::thread::sleep(Duration::from_millis(delay));
        machine.cut_power()?;

        let mut machine = Machine::start(specimen.direct("")?)?;
        machine.wait_for("coracle: boot phases done phases=10 degraded=0", Deadline::seconds(BOOT))?;
        machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
        assert_eq!(
            machine.power_off(Deadline::seconds(BOOT))?,
            Exit::PowerOff,
            "{delay} ms after {moment:?}"
        );

        let disk = specimen.disk()?;
        disk.check_state()?;
        let mut file = File::open(specimen.path()).unwrap();
        let len = file.metadata().unwrap().len();
        let sound = check_both(&mut file, len, SectorSize::B512).unwrap().is_sound();
        assert!(sound && disk.table().disk_guid().is_random(), "{delay} ms after {moment:?}");
        assert!(disk.state_file("/lib/coracle/init/machine-id")?.is_some(), "{delay} ms after {moment:?}");
    }
    Ok(())
}
