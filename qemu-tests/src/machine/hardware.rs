//! Which devices a machine has where tests choose among them, each in QEMU's words.

/// The board: what holds everything else together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Board {
    /// A PC with PCI Express, AHCI, LPC bridge and a TCO watchdog.
    Q35,
    /// QEMU's `microvm`: virtio over memory-mapped registers, no PCI, so nothing but virtio fits.
    MicroVm,
}

impl Board {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            // The timer that stands in for ACPI's needs no clock of a hypervisor.
            Self::MicroVm => "microvm,acpi=off",
        }
    }

    /// The virtio device of this kind.
    pub(super) fn virtio(self, kind: &str) -> String {
        match self {
            Self::Q35 => format!("virtio-{kind}-pci"),
            Self::MicroVm => format!("virtio-{kind}-device"),
        }
    }
}

/// What disks hang on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// A virtio block device each.
    Virtio,
    /// One virtio SCSI controller.
    VirtioScsi,
    /// An NVMe controller each.
    Nvme,
    /// The board's AHCI controller.
    Ahci,
    /// An IDE controller of the 1990s.
    Ide,
    /// USB mass storage on an xHCI controller.
    Xhci,
    /// USB mass storage on an EHCI controller.
    Ehci,
    /// VMware's paravirtual SCSI controller.
    Pvscsi,
}

impl Bus {
    /// The controller that all disks share, where it is not there already.
    pub(super) fn controller(self, board: Board) -> Option<String> {
        match self {
            Self::Virtio | Self::Nvme | Self::Ahci => None,
            Self::VirtioScsi => Some(format!("{},id=disks", board.virtio("scsi"))),
            Self::Ide => Some("piix3-ide,id=disks".to_owned()),
            Self::Xhci => Some("qemu-xhci,id=disks".to_owned()),
            Self::Ehci => Some("usb-ehci,id=disks".to_owned()),
            Self::Pvscsi => Some("pvscsi,id=disks".to_owned()),
        }
    }

    /// The disk with this number, whose drive is `diskINDEX`.
    pub(super) fn disk(self, board: Board, index: usize) -> String {
        let device = match self {
            Self::Virtio => board.virtio("blk"),
            Self::VirtioScsi | Self::Pvscsi => "scsi-hd,bus=disks.0".to_owned(),
            Self::Nvme => format!("nvme,serial=disk{index}"),
            Self::Ahci => format!("ide-hd,bus=ide.{index}"),
            Self::Ide => format!("ide-hd,bus=disks.{index}"),
            Self::Xhci | Self::Ehci => "usb-storage,bus=disks.0".to_owned(),
        };
        format!("{device},drive=disk{index}")
    }
}

/// The network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nic {
    /// Virtio.
    Virtio,
    /// Intel 82540EM.
    E1000,
    /// Intel 82574L.
    E1000e,
    /// VMware's paravirtual card.
    Vmxnet3,
}

impl Nic {
    /// The card at the network `net0`. None of them may boot from it.
    pub(super) fn device(self, board: Board) -> String {
        match (self, board) {
            (Self::Virtio, Board::MicroVm) => format!("{},netdev=net0", board.virtio("net")),
            (Self::Virtio, Board::Q35) => format!("{},netdev=net0,romfile=", board.virtio("net")),
            (Self::E1000, _) => "e1000,netdev=net0,romfile=".to_owned(),
            (Self::E1000e, _) => "e1000e,netdev=net0,romfile=".to_owned(),
            (Self::Vmxnet3, _) => "vmxnet3,netdev=net0,romfile=".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disk_names_its_drive_and_the_controller_it_needs() {
        for bus in
            [Bus::Virtio, Bus::VirtioScsi, Bus::Nvme, Bus::Ahci, Bus::Ide, Bus::Xhci, Bus::Ehci, Bus::Pvscsi]
        {
            let (controller, disk) = (bus.controller(Board::Q35), bus.disk(Board::Q35, 1));
            assert!(disk.ends_with(",drive=disk1"), "{disk}");
            assert_eq!(disk.contains("bus=disks."), controller.is_some(), "{controller:?} {disk}");
        }
    }

    #[test]
    fn a_board_without_pci_has_devices_without_pci() {
        let board = Board::MicroVm;
        assert_eq!(Bus::Virtio.disk(board, 0), "virtio-blk-device,drive=disk0");
        assert_eq!(Nic::Virtio.device(board), "virtio-net-device,netdev=net0");
        assert_eq!(Bus::VirtioScsi.controller(board).as_deref(), Some("virtio-scsi-device,id=disks"));
    }
}
