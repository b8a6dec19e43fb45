//! Route netlink, as far as a small host needs it.
//!
//! * [`Link`], [`Address`], [`Route`]: what the kernel tells of and takes; each makes its own [`Request`]s.
//! * [`Message`]: what comes from the kernel, from [`Frames`] of bytes.
//! * [`Requests`] and [`Events`]: the two uses of a socket.
//!
//! Numbers are those of linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h; all of netlink is in the
//! byte order of the machine.

mod address;
mod attribute;
mod error;
mod frame;
mod link;
mod message;
mod request;
mod route;
mod socket;

#[cfg(test)]
mod headers;

pub use address::{Address, FOREVER};
pub use error::{Error, Malformed};
pub use frame::{Frame, Frames};
pub use link::{Index, Link};
pub use message::Message;
pub use nix::errno::Errno;
pub use request::Request;
pub use route::Route;
pub use socket::{Events, Requests};
