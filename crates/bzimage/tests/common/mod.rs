//! Conversions in memory.
#![allow(dead_code)]

use std::io::Cursor;

use coracle_bzimage::{Error, pack, unpack};

pub fn unpacked(image: &[u8]) -> Result<Vec<u8>, Error> {
    let mut form = Vec::new();
    let header = unpack(&mut Cursor::new(image), &mut form)?;
    assert_eq!(header.form_len(), form.len() as u64);
    Ok(form)
}

pub fn packed(mut form: &[u8]) -> Result<Vec<u8>, Error> {
    let mut image = Vec::new();
    let header = pack(&mut form, &mut image)?;
    assert_eq!(header.payload.image, image.len() as u64);
    Ok(image)
}
