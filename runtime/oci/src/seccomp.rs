//! `linux.seccomp`.
