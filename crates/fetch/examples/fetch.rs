//! Takes requests at a socket: `fetch SOCKET [AUTHORITIES]`. Its size, linked as a program of the machine, is what this half costs
//! there.

use std::error::Error;
use std::os::unix::net::UnixListener;

use coracle_fetch::{Options, serve};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let socket = words.next().ok_or("usage: fetch SOCKET [AUTHORITIES]")?;
    let authorities = words.next().map(std::fs::read).transpose()?.unwrap_or_default();
    serve(UnixListener::bind(socket)?, Options { authorities, ..Options::default() })?;
    Ok(())
}
