//! The types of `coracle.toml`.
//!
//! | module | what it knows |
//! |---|---|
//! | [`recipe`] | the checked recipe, as the builder uses it |
//! | [`values`] | the values in it: names, versions, sizes, paths, digests, and their ranges |
//! | `document` | the keys as they are written, and what they mean |
//! | `read` | from text to document: syntax, unknown keys, wrong types |
//! | `check` | from document to recipe: ranges and what must agree with what |
//! | [`findings`] | faults with their place and remedy, for people and as JSON |
//! | [`template`](mod@template) | the commented example for a new project |
//! | `update` | what is wished for updates, as far as a recipe knows it |
//! | `words` | the words a recipe chooses from |
//! | `root_path` | paths inside the root and which are reserved |
//! | `schema` | JSON Schema of the document (feature `schema`) |

mod check;
mod document;
pub mod findings;
mod read;
pub mod recipe;
mod root_path;
#[cfg(feature = "schema")]
mod schema;
pub mod template;
mod update;
pub mod values;
mod words;

pub use findings::{Code, Finding, Findings};
pub use recipe::Recipe;
#[cfg(feature = "schema")]
pub use schema::json_schema;
pub use template::template;
