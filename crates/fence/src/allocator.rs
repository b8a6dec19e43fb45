//! A global allocator for tests: a copy of the program that touches the heap dies of it.
//!
//! Between clone and exec nothing may allocate, as another thread of the parent may have held the allocator's lock when the copy
//! was made. Mostly none has, so only this finds the fault.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::abort,
    sync::atomic::{AtomicI32, Ordering},
};

/// The system's allocator, for the process that asked first and nobody else.
#[derive(Debug)]
pub struct Owned(AtomicI32);

impl Owned {
    /// An allocator that the first process to use it owns.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicI32::new(0))
    }

    fn check(&self) {
        // SAFETY: getpid takes nothing, changes nothing and cannot fail.
        let process = unsafe { libc::getpid() };
        let owner = self.0.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed);
        if owner.is_err_and(|owner| owner != process) {
            abort();
        }
    }
}

impl Default for Owned {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every request goes unchanged to the system's allocator, or the process ends.
unsafe impl GlobalAlloc for Owned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.check();
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.check();
        // SAFETY: the block comes from `alloc`, hence from `System`, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}
