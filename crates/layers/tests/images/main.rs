//! Whole layouts: merging, attacks, packing.

mod attacks;
mod layout_attacks;
mod merging;
mod packing;
mod support;
