//! The heap that unpacking and packing take. Alone in its program: it counts everything.

use std::io::Cursor;

use coracle_bzimage::specimen::{content, image};
use coracle_bzimage::{PACKER, UNPACKER, pack, unpack};
use coracle_fence::allocator::Counted;

#[global_allocator]
static HEAP: Counted = Counted::new();

#[test]
fn a_kernel_of_any_length_takes_as_much() {
    // Longer than the window, so that all tables and buffers are as long as they come to be.
    let image = image(&content(12 << 20, 1));
    let (before, mut form) = (HEAP.used(), Vec::with_capacity(16 << 20));
    let held = HEAP.used();
    let _ = HEAP.most();
    unpack(&mut Cursor::new(&image), &mut form).unwrap();
    let unpacking = HEAP.most() - held;
    let mut again = Vec::with_capacity(16 << 20);
    let held = HEAP.used();
    let _ = HEAP.most();
    pack(&mut &form[..], &mut again).unwrap();
    let packing = HEAP.most() - held;
    println!("unpacking {unpacking}, packing {packing}");
    assert!(again == image && held > before);
    assert!(unpacking <= UNPACKER, "{unpacking} bytes to unpack");
    assert!(packing <= PACKER, "{packing} bytes to pack");
}
