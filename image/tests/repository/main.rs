//! Keys and repositories from the command line, followed by a machine's own code and by python-tuf, and keys read by openssl.

mod keys;
mod mirroring;
mod place;
mod releases;
mod serving;
mod versions;
