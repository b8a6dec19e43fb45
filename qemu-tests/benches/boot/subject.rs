//! What is booted, each subject in the same machine.

use coracle_qemu_tests::image::Image;
use coracle_qemu_tests::machine::Writes;
use coracle_qemu_tests::{Config, Deadline, Error, Machine, Specimen};

use crate::floor::Floor;
use crate::peers::{Peers, Way};

/// The time for the first boot, and for its end.
const BOOT: u64 = 180;
/// Enough for the largest.
const MEMORY_MIB: u32 = 512;

/// The image of the example, booted once, until it was good, and shut down.
pub fn settled() -> Result<Specimen, Error> {
    let specimen = Specimen::of(Image::example("hello")?)?;
    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for("coracle: boot is good", Deadline::seconds(BOOT))?;
    machine.power_off(Deadline::seconds(BOOT))?;
    Ok(specimen)
}

/// One of the systems.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// A disk whose first boot is behind it.
    Coracle(&'a Specimen),
    /// A disk fresh from the builder.
    FirstBoot(&'a Image),
    /// With the disk of the first, which its kernel finds and nothing reads.
    Floor(&'a Floor, &'a Specimen),
    Peer(&'a Peers, Way),
}

/// A machine to be started, and the disk that goes with it.
pub struct Prepared {
    pub config: Config,
    _disk: Option<Specimen>,
}

impl<'a> Subject<'a> {
    /// The systems in the order of their turns.
    pub fn all(settled: &'a Specimen, floor: &'a Floor, peers: Option<&'a Peers>) -> Vec<Self> {
        let mut all =
            vec![Self::Coracle(settled), Self::FirstBoot(settled.image()), Self::Floor(floor, settled)];
        all.extend(peers.into_iter().flat_map(|peers| Way::ALL.map(|way| Self::Peer(peers, way))));
        all
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Coracle(_) => "coracle",
            Self::FirstBoot(_) => "coracle-first-boot",
            Self::Floor(..) => "floor",
            Self::Peer(_, way) => way.name(),
        }
    }

    /// Without firmware.
    pub fn direct(self) -> Result<Prepared, Error> {
        let (config, disk) = match self {
            Self::Coracle(settled) => {
                let specimen = settled.duplicate()?;
                (specimen.direct("")?, Some(specimen))
            }
            Self::FirstBoot(image) => {
                let specimen = Specimen::of(image.clone())?;
                (specimen.direct("")?, Some(specimen))
            }
            Self::Floor(floor, settled) => {
                let specimen = settled.duplicate()?;
                (floor.direct().disk(specimen.path(), Writes::Stay), Some(specimen))
            }
            Self::Peer(peers, way) => (peers.direct(way), None),
        };
        Ok(Prepared { config: config.memory(MEMORY_MIB), _disk: disk })
    }

    /// Through firmware, for those that have something for it to load.
    pub fn uefi(self) -> Result<Option<Prepared>, Error> {
        let (config, disk) = match self {
            Self::Coracle(settled) => {
                let specimen = settled.duplicate()?;
                (specimen.uefi(), Some(specimen))
            }
            Self::Floor(floor, _) => (floor.uefi().disk(floor.esp(), Writes::Vanish), None),
            Self::FirstBoot(_) | Self::Peer(..) => return Ok(None),
        };
        Ok(Some(Prepared { config: config.memory(MEMORY_MIB), _disk: disk }))
    }
}
