//! The binary form of a [`Plan`], little-endian throughout.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CPLN` |
//! | 4 | 2 | version, 1 |
//! | 6 | 2 | zero |
//! | 8 | 4 | length of the body |
//! | 12 | 4 | CRC-32 (IEEE) of the body |
//! | 16 | n | body: the fields of [`Plan`] in their order there |
//!
//! | in the body | form |
//! |---|---|
//! | number | 1, 2, 4 or 8 bytes, as wide as its type |
//! | string, path | `u32` length, bytes; no terminator, no NUL inside |
//! | list | `u16` count, elements |
//! | optional value | tag `0`, or tag `1` and the value |
//! | enumeration | tag byte by the order of its variants, then their data |
//! | seccomp instruction | `u16` code, `u8` jt, `u8` jf, `u32` k |
//!
//! One plan has one encoding. The checksum finds damage, not malice: who may hand PID 1 a plan is decided elsewhere.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use std::ffi::CString;

use super::{Limits, Namespace, Plan, Restart, Root, UserNamespace, Writable, value::*};
use crate::{Error, seccomp::Insn};

/// CRC-32 (IEEE) without a table: the inputs are short, and a table would be as long as what reads them.
const CRC32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
const MAGIC: [u8; 4] = *b"CPLN";
const VERSION: u16 = 1;
const HEADER: usize = 16;

/// The longest encoded plan, header included.
pub const MAX_ENCODED: usize = 1 << 20;
/// The longest list: the kernel's limit for instructions of a filter.
pub const MAX_LIST: usize = 4096;
/// The longest string: one byte less than the kernel's `MAX_ARG_STRLEN`.
pub const MAX_STRING: usize = (128 << 10) - 1;

impl Plan {
    /// The plan's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.agree()?;
        let mut body = Vec::new();
        self.put(&mut body)?;
        let len = HEADER + body.len();
        if len > MAX_ENCODED {
            return Err(Error::PlanTooLong { len, limit: MAX_ENCODED });
        }
        let mut out = Vec::with_capacity(len);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend([0; 2]);
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(CRC32.checksum(&body).to_le_bytes());
        out.extend(body);
        Ok(out)
    }

    /// Reads a plan; the bytes must end where the plan does.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_ENCODED {
            return Err(Error::PlanTooLong { len: bytes.len(), limit: MAX_ENCODED });
        }
        let mut header = Reader { rest: bytes, at: 0 };
        if header.take::<4>()? != MAGIC {
            return Err(Error::Magic);
        }
        let got = u16::get(&mut header)?;
        if got != VERSION || u16::get(&mut header)? != 0 {
            return Err(Error::Version { got, want: VERSION });
        }
        let len = u32::get(&mut header)? as usize;
        let want = u32::get(&mut header)?;
        let body = header.slice(len)?;
        header.end()?;
        let got = CRC32.checksum(body);
        if got != want {
            return Err(Error::Checksum { got, want });
        }
        let mut reader = Reader { rest: body, at: 0 };
        let plan = Self::get(&mut reader)?;
        reader.end()?;
        plan.agree()?;
        Ok(plan)
    }

    /// What no single field can know: a program is named, and every id is mapped.
    pub(crate) fn agree(&self) -> Result<(), Error> {
        if self.argv.first().is_none_or(|program| program.is_empty()) {
            return Err(Error::Range { field: "argv", want: "a program and its arguments" });
        }
        let size = match self.user {
            UserNamespace::Own(range) => range.size(),
            // 2^32-1 means "no change" to the kernel's set*id calls.
            UserNamespace::Host => u32::MAX,
        };
        match [self.uid, self.gid].iter().chain(&self.groups).find(|&&id| id >= size) {
            Some(&id) => Err(Error::IdUnmapped { id, size }),
            None => Ok(()),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or(Error::Truncated { at: self.at + self.rest.len() })?;
        self.rest = rest;
        self.at += len;
        Ok(head)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(N)?);
        Ok(out)
    }

    fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing { extra: self.rest.len() }) }
    }
}

/// A value with a place in the body.
trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error>;
    fn get(from: &mut Reader) -> Result<Self, Error>;
}

fn bounded(len: usize, limit: usize) -> Result<usize, Error> {
    if len <= limit { Ok(len) } else { Err(Error::ListTooLong { len, limit }) }
}

macro_rules! numbers { ($($number:ty)*) => { $(
    impl Wire for $number {
        fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
            out.extend(self.to_le_bytes());
            Ok(())
        }
        fn get(from: &mut Reader) -> Result<Self, Error> {
            Ok(Self::from_le_bytes(from.take()?))
        }
    }
)* } }
numbers!(u8 u16 i16 u32 u64);

impl Wire for CString {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        put_bytes(self.as_bytes(), out)
    }
    fn get(from: &mut Reader) -> Result<Self, Error> {
        CString::new(get_bytes(from)?).map_err(|_| Error::Nul)
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    (bounded(bytes.len(), MAX_STRING)? as u32).put(out)?;
    out.extend(bytes);
    Ok(())
}

fn get_bytes<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let len = bounded(u32::get(from)? as usize, MAX_STRING)?;
    from.slice(len)
}

fn get_text<'a>(from: &mut Reader<'a>) -> Result<&'a str, Error> {
    std::str::from_utf8(get_bytes(from)?).map_err(|_| Error::NotUtf8)
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        (bounded(self.len(), MAX_LIST)? as u16).put(out)?;
        self.iter().try_for_each(|item| item.put(out))
    }
    fn get(from: &mut Reader) -> Result<Self, Error> {
        let count = bounded(u16::get(from)?.into(), MAX_LIST)?;
        (0..count).map(|_| T::get(from)).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            None => 0u8.put(out),
            Some(value) => 1u8.put(out).and_then(|()| value.put(out)),
        }
    }
    fn get(from: &mut Reader) -> Result<Self, Error> {
        match u8::get(from)? {
            0 => Ok(None),
            1 => T::get(from).map(Some),
            tag => Err(Error::Tag { kind: "option", tag }),
        }
    }
}

/// Types that are written as parts and read back through their constructor.
macro_rules! through { ($($kind:ty: |$me:ident| $parts:expr, |$from:ident| $build:expr;)*) => { $(
    impl Wire for $kind {
        fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
            let $me = self;
            $parts.put(out)
        }
        fn get($from: &mut Reader) -> Result<Self, Error> {
            $build
        }
    }
)* } }

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.put(out)?;
        self.1.put(out)
    }
    fn get(from: &mut Reader) -> Result<Self, Error> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

struct Text<'a>(&'a str);
impl Text<'_> {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        put_bytes(self.0.as_bytes(), out)
    }
}

through! {
    Name: |me| Text(me.as_str()), |from| Name::new(get_text(from)?);
    Hostname: |me| Text(me.as_str()), |from| Hostname::new(get_text(from)?);
    AbsPath: |me| me.as_c_str().to_owned(), |from| AbsPath::new(get_bytes(from)?);
    CapMask: |me| me.bits(), |from| CapMask::new(u64::get(from)?);
    IdRange: |me| (me.base(), me.size()), |from| IdRange::new(u32::get(from)?, u32::get(from)?);
    CpuQuota: |me| (me.quota_us(), me.period_us()), |from| CpuQuota::new(u64::get(from)?, u32::get(from)?);
    Weight: |me| me.get(), |from| Weight::new(u16::get(from)?);
    OomScoreAdj: |me| me.get(), |from| OomScoreAdj::new(i16::get(from)?);
    Signal: |me| me.get(), |from| Signal::new(u8::get(from)?);
    Insn: |me| ((me.code, me.jt), (me.jf, me.k)), |from| {
        let ((code, jt), (jf, k)) = Wire::get(from)?;
        Ok(Insn { code, jt, jf, k })
    };
}

/// Enumerations: a tag byte, then at most one part.
macro_rules! tagged { ($($kind:ident, $text:literal: $($tag:literal => $variant:ident $(($part:ident))? $({ $field:ident })?,)*;)*) => { $(
    impl Wire for $kind {
        fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
            match self { $($kind::$variant $(($part))? $({ $field })? => {
                u8::put(&$tag, out)?;
                $($part.put(out)?;)?
                $($field.put(out)?;)?
            })* }
            Ok(())
        }
        fn get(from: &mut Reader) -> Result<Self, Error> {
            Ok(match u8::get(from)? {
                $($tag => $kind::$variant $(({ let $part = Wire::get(from)?; $part }))? $({ $field: Wire::get(from)? })?,)*
                tag => return Err(Error::Tag { kind: $text, tag }),
            })
        }
    }
)* } }

tagged! {
    Root, "root": 0 => Host, 1 => Image(path),;
    Writable, "writable layer": 0 => None, 1 => Tmpfs { bytes }, 2 => State(path),;
    Namespace, "namespace": 0 => Own, 1 => Host,;
    UserNamespace, "user namespace": 0 => Own(range), 1 => Host,;
    Restart, "restart policy": 0 => Never, 1 => OnFailure, 2 => Always,;
}

/// Structures: their fields in order. A field added here and not to the type, or the reverse, does not compile.
macro_rules! in_order { ($kind:ident: $($field:ident)*) => {
    impl Wire for $kind {
        fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
            let $kind { $($field),* } = self;
            $($field.put(out)?;)*
            Ok(())
        }
        fn get(from: &mut Reader) -> Result<Self, Error> {
            Ok($kind { $($field: Wire::get(from)?),* })
        }
    }
} }

in_order!(Limits: memory cpu weight pids);
in_order!(Plan: name root writable argv env cwd uid gid groups hostname net pid user caps seccomp limits oom_score_adj
    masked readonly restart stop_signal grace_ms);

#[cfg(test)]
mod tests;
