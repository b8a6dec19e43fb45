//! What is booted, each subject in the same machine.

use coracle_qemu_tests::image::Image;
use coracle_qemu_tests::machine::Writes;
use coracle_qemu_tests::{Config, Error, Specimen};

use crate::floor::Floor;
use crate::peers::{Peers, Way};

/// Enough for the largest.
const MEMORY_MIB: u32 = 512;

/// One of the systems.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    Coracle(&'a Image),
    Floor(&'a Floor),
    Peer(&'a Peers, Way),
}

/// A machine to be started, and the disk that goes with it.
pub struct Prepared {
    pub config: Config,
    _disk: Option<Specimen>,
}

impl<'a> Subject<'a> {
    /// The systems in the order of their turns.
    pub fn all(image: &'a Image, floor: &'a Floor, peers: Option<&'a Peers>) -> Vec<Self> {
        let mut all = vec![Self::Coracle(image), Self::Floor(floor)];
        all.extend(peers.into_iter().flat_map(|peers| Way::ALL.map(|way| Self::Peer(peers, way))));
        all
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Coracle(_) => "coracle",
            Self::Floor(_) => "floor",
            Self::Peer(_, way) => way.name(),
        }
    }

    /// Without firmware.
    pub fn direct(self) -> Result<Prepared, Error> {
        let (config, disk) = match self {
            Self::Coracle(image) => {
                let specimen = Specimen::of(image.clone())?;
                (specimen.direct("")?, Some(specimen))
            }
            Self::Floor(floor) => (floor.direct(), None),
            Self::Peer(peers, way) => (peers.direct(way), None),
        };
        Ok(Prepared { config: config.memory(MEMORY_MIB), _disk: disk })
    }

    /// Through firmware, for those that have something for it to load.
    pub fn uefi(self) -> Result<Option<Prepared>, Error> {
        let (config, disk) = match self {
            Self::Coracle(image) => {
                let specimen = Specimen::of(image.clone())?;
                (specimen.uefi(), Some(specimen))
            }
            Self::Floor(floor) => (floor.uefi().disk(floor.esp(), Writes::Vanish), None),
            Self::Peer(..) => return Ok(None),
        };
        Ok(Some(Prepared { config: config.memory(MEMORY_MIB), _disk: disk }))
    }
}
