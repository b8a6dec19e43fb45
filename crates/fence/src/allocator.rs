//! Global allocators for tests: one that ends a copy of the program that touches the heap, one that says how much was in use.
//!
//! Between clone and exec nothing may allocate, as another thread of the parent may have held the allocator's lock when the copy
//! was made. Mostly none has, so only this finds the fault.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::abort,
    sync::atomic::{AtomicI32, AtomicUsize, Ordering},
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

/// The system's allocator, which remembers the most bytes that were in use at once.
///
/// Bytes are those asked for; what the system's allocator takes besides to find them again is left out.
#[derive(Debug)]
pub struct Counted {
    used: AtomicUsize,
    most: AtomicUsize,
}

impl Counted {
    /// An allocator that has given out nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { used: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// Bytes in use now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes in use at once since the last call, from which on it counts anew.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most.swap(self.used(), Ordering::Relaxed)
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every request goes unchanged to the system's allocator; the counters are beside it.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = self.used.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.most.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the block comes from `alloc`, hence from `System`, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}
