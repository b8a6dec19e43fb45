//! Names are not for the C library: `getaddrinfo` answers that it cannot, in any program that is built with this.
//!
//! glibc's own loads modules at run time to look a name up, in a static program too: code that is not in the image, or a crash.
//! `reqwest` and the standard library refer to it even where nothing calls it, and the linker takes the first definition that it
//! finds. A program that knows names asks a resolver of its own.

use std::ffi::{c_char, c_int, c_void};

/// "Non-recoverable failure in name resolution" (netdb.h).
const EAI_FAIL: c_int = -4;

/// getaddrinfo(3) that knows no name. It reads and writes nothing.
// SAFETY: no other definition is linked: glibc's stands in an archive member that nothing else needs, together with the function
// below. The signature is that of netdb.h, with pointers that are not followed.
#[unsafe(no_mangle)]
pub extern "C" fn getaddrinfo(
    _node: *const c_char,
    _service: *const c_char,
    _hints: *const c_void,
    _result: *mut *mut c_void,
) -> c_int {
    EAI_FAIL
}

/// freeaddrinfo(3): there is nothing to free.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn freeaddrinfo(_list: *mut c_void) {}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    #[test]
    fn a_name_is_an_error_and_a_number_is_none() {
        let error = ("localhost", 80).to_socket_addrs().map(drop).unwrap_err();
        assert!(error.to_string().contains("Non-recoverable failure"), "{error}");
        assert_eq!(("127.0.0.1", 80).to_socket_addrs().unwrap().count(), 1);
    }
}
