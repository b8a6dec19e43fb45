//! `linux.resources`.
