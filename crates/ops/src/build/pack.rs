//! Packing bytes into zstd frames.

use zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use crate::error::Error;
use crate::limits::WINDOW_LOG;

/// One frame with these bytes, packed as well as zstd can, with `prefix` as what came before them.
pub(super) fn pack(bytes: &[u8], prefix: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |code| Error::Pack { reason: get_error_name(code) };
    let mut packer = CCtx::try_create().ok_or(Error::Pack { reason: "out of memory" })?;
    for parameter in [
        CParameter::CompressionLevel(LEVEL),
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        packer.set_parameter(parameter).map_err(failed)?;
    }
    if !prefix.is_empty() {
        packer.ref_prefix(prefix).map_err(failed)?;
    }
    let mut packed = vec![0; compress_bound(bytes.len())];
    let len = packer.compress2(&mut packed[..], bytes).map_err(failed)?;
    packed.truncate(len);
    Ok(packed)
}

/// The last level that zstd has without asking for more memory when unpacking.
const LEVEL: i32 = 19;
