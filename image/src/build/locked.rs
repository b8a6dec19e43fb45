//! The inputs held to the lock.

use coracle_rollout::Time;

use super::{Pinned, Request, Work, inputs::Inputs};
use crate::embedded::Embedded;
use crate::lock::{self, Lock};
use crate::{Error, digest, state};

/// The lock of these inputs, if there is no other.
pub fn lock(work: &Work<'_>, inputs: &Inputs, images: &[Embedded]) -> Result<Lock, Error> {
    let request = work.request;
    let path = request.recipe.with_file_name(lock::NAME);
    let image = |image: &Embedded| (image.source.display().to_string(), image.digest.clone());
    let (Pinned::At(present) | Pinned::Now(present)) = request.pinned;
    let now = Lock {
        built: work.recipe.update.as_ref().map(|_| present),
        kernel: lock::Kernel { source: inputs.kernel_digest.clone() },
        boot: lock::Boot { stub: digest::of(&inputs.stub), loader: digest::of(&inputs.loader) },
        tools: lock::Tools { mke2fs: state::version()?, rustc: env!("CORACLE_RUSTC").to_owned() },
        images: images.iter().map(image).collect(),
    };
    let was = match Lock::read(&path) {
        // It is about to be renewed.
        Err(_) if request.update_lock => None,
        other => other?,
    };
    let Some(was) = was else { return Ok(now) };
    let held = was.held_since(now.clone());
    let differences = was.differences(&held);
    match (differences.is_empty(), request.update_lock) {
        (true, _) => Ok(held),
        (false, true) => Ok(now),
        (false, false) => Err(Error::Locked { path, differences }),
    }
}

/// When an image of this lock was made.
pub fn built(request: &Request, lock: &Lock) -> Time {
    match request.pinned {
        Pinned::At(time) => time,
        Pinned::Now(time) => lock.built.unwrap_or(time),
    }
}
