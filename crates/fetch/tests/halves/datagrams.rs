//! A server of datagrams behind a port of this machine.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

/// Answers every packet, or does not; gives the port.
pub fn answer(answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> u16 {
    answer_at((Ipv4Addr::LOCALHOST, 0).into(), answer)
}

/// The same at that address.
pub fn answer_at(at: SocketAddr, mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind(at).unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            if let Some(answer) = answer(&packet[..length]) {
                // Whoever asked may be gone.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    port
}
