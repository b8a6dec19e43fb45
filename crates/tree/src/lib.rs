//! An in-memory file tree for images.
//!
//! | to know about | look at |
//! |---|---|
//! | building and reading a tree by path | [`Tree`], [`Walk`], [`Entry`] |
//! | one inode: its metadata and what it is | [`Node`], [`Meta`], [`Kind`], [`Ino`] |
//! | where the bytes of a file come from | [`Content`] |
//! | the checked words | [`Name`], [`Mode`], [`Device`], [`Target`] |
//!
//! A path is a list of names joined by `/`; one leading `/` is allowed, and `""` and `"/"` are the root. Symbolic links
//! are never followed.

mod content;
mod error;
mod name;
mod node;
mod tree;

pub use content::Content;
pub use error::{BadName, Error};
pub use name::{Name, Target};
pub use node::{Device, Ino, Kind, Meta, Mode, Node};
pub use tree::{Entry, Tree, Walk};
