//! What the C library would bring into a static program for the sake of a message, defined away.
//!
//! glibc finds a thread's stack by `sscanf` on `/proc/self/maps`: with that come decimal fractions of four kinds and wide characters. Its
//! assertions are printed in the reader's language: with that come catalogues. The standard library and glibc's own start refer to
//! both, and the linker takes the first definition that it finds. What is lost: a stack that overflows is a plain SIGSEGV, without the
//! standard library's word that it was that.

use std::ffi::{c_char, c_int, c_uint};

/// pthread_getattr_np(3) that does not know. The standard library then does without.
// SAFETY: no other definition is linked: glibc's stands in an archive member of its own, which nothing else needs. The signature is
// that of pthread.h, with a pointer that is not followed.
#[unsafe(no_mangle)]
pub extern "C" fn pthread_getattr_np(_: libc::pthread_t, _: *mut libc::pthread_attr_t) -> c_int {
    libc::ENOSYS
}

/// What assert(3) calls: says which one did not hold, in one piece, and ends the process.
///
/// # Safety
/// `assertion` is a string that ends in a zero.
// SAFETY: the signature is that of assert.h. glibc's stands together with `__assert_fail_base`, which a program of ours does not come to;
// one that did would have two definitions, and not be linked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __assert_fail(
    assertion: *const c_char,
    _file: *const c_char,
    _line: c_uint,
    _function: *const c_char,
) -> ! {
    // SAFETY: the caller's, which is the C library. There is nobody to tell if it is not written.
    unsafe {
        libc::write(libc::STDERR_FILENO, assertion.cast(), libc::strlen(assertion));
        libc::abort()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_not_known_and_threads_run_all_the_same() {
        // SAFETY: the function follows no pointer, and pthread_self has no condition.
        let answer = unsafe { pthread_getattr_np(libc::pthread_self(), std::ptr::null_mut()) };
        assert_eq!(answer, libc::ENOSYS);
        assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
    }
}
