//! The builder: from a recipe to a verified, bootable disk image, without root.
