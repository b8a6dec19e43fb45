//! From a reference to a manifest.

use coracle_fetch::Direct;
use coracle_trust::Fault;
use coracle_trust::transport::{BadServer, collect};

use crate::asking::Asking;
use crate::blob::Blob;
use crate::digest::Digest;
use crate::document::{BadDocument, Descriptor, Document, Manifest, brief};
use crate::error::{Error, Trouble};
use crate::limits::Limits;
use crate::media::{ACCEPT, Kind, MediaType, is_schema_1};
use crate::platform::Platform;
use crate::reference::{Reference, Tag, Target};
use crate::registries::{Endpoint, Registries};
use crate::session::Session;

/// The most indexes that are nested.
const NESTED: usize = 2;
/// The most documents that are looked at for one image.
const DOCUMENTS: usize = 8;

/// Asks registries.
#[derive(Debug)]
pub struct Client {
    pub(crate) session: Session,
    registries: Registries,
    pub(crate) limits: Limits,
}

/// What a reference stands for on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// From what the reference names to the manifest: the indexes that it was chosen from, and itself, byte for byte.
    pub documents: Vec<Document>,
    /// What the last of them says.
    pub manifest: Manifest,
}

/// Which document is wanted.
#[derive(Debug, Clone, Copy)]
enum Wanted<'a> {
    Tag(&'a Tag),
    Pinned(&'a Digest),
    Described(Descriptor),
}

impl Client {
    /// Asks servers so. `web` says who vouches for them, and how names are found.
    pub fn new(
        web: &coracle_fetch::Options,
        mut registries: Registries,
        limits: Limits,
    ) -> Result<Self, BadServer> {
        let session = Session::new(Direct::new(web)?, std::mem::take(&mut registries.logins));
        Ok(Self { session, registries, limits })
    }

    /// Finds the image: an index is read for the manifest that fits the platform best. Nothing of its blobs is fetched.
    pub async fn resolve(&self, reference: &Reference, platform: Platform) -> Result<Image, Error> {
        let top = match &reference.target {
            Target::Tag(tag) => Wanted::Tag(tag),
            Target::Digest(_, digest) => Wanted::Pinned(digest),
        };
        let nested = || Error::Nested { reference: reference.to_string(), limit: NESTED };
        // Depth first, what fits best on top.
        let (mut open, mut documents, mut read) = (vec![(top, 0)], Vec::new(), 0);
        while let Some((wanted, depth)) = open.pop() {
            read += 1;
            if read > DOCUMENTS {
                return Err(nested());
            }
            let document = self.document(reference, wanted).await?;
            let unusable = |source| Error::Document { digest: document.digest, source };
            documents.truncate(depth);
            documents.push(document.clone());
            match document.media_type.kind {
                Kind::Index if depth < NESTED => {
                    let candidates = document.candidates(platform).map_err(unusable)?;
                    open.extend(candidates.into_iter().rev().map(|one| (Wanted::Described(one), depth + 1)));
                }
                Kind::Index => return Err(nested()),
                _ => {
                    let manifest = document.manifest(&self.limits).map_err(unusable)?;
                    return Ok(Image { documents, manifest });
                }
            }
        }
        Err(Error::NoPlatform { reference: reference.to_string() })
    }

    /// A blob of an image, as it comes.
    pub fn blob(&self, reference: &Reference, descriptor: Descriptor) -> Blob<'_> {
        let asking = Asking::new(descriptor.digest, self.registries.endpoints(reference));
        Blob::new(self, asking, descriptor)
    }

    /// An index or a manifest from the first who has it.
    async fn document(&self, reference: &Reference, wanted: Wanted<'_>) -> Result<Document, Error> {
        let endpoints = self.registries.endpoints(reference);
        let mut asking = match wanted {
            Wanted::Described(descriptor) => Asking::new(descriptor.digest, endpoints),
            Wanted::Tag(_) | Wanted::Pinned(_) => Asking::new(reference, endpoints),
        };
        loop {
            let endpoint = asking.next().await?;
            match self.document_from(&endpoint, wanted).await {
                Ok(document) => return Ok(document),
                Err(trouble) => asking.failed(trouble),
            }
        }
    }

    async fn document_from(&self, endpoint: &Endpoint, wanted: Wanted<'_>) -> Result<Document, Trouble> {
        let (name, size) = match wanted {
            Wanted::Tag(tag) => (tag.as_str().to_owned(), None),
            Wanted::Pinned(digest) => (digest.to_string(), None),
            Wanted::Described(Descriptor { digest, size, .. }) => (digest.to_string(), Some(size)),
        };
        let limit = self.limits.document;
        // No document is read that is too long by its own account.
        if size.is_some_and(|size| size > limit) {
            return Err(Fault::TooLong { limit }.into());
        }
        let url = endpoint.url("manifests", &name).ok_or(Trouble::Address)?;
        let answer = self.session.get(endpoint, url, &[("accept", ACCEPT)]).await?;
        let media_type = media_type(answer.header("content-type").unwrap_or_default())?;
        let told = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let bytes = collect(answer.body, limit).await?;
        let got = bytes.len() as u64;
        let want = match wanted {
            Wanted::Described(Descriptor { media_type: want, .. }) if want != media_type => {
                return Err(Trouble::ContentType { got: media_type.to_string() });
            }
            Wanted::Described(Descriptor { size: want, .. }) if want != got => {
                return Err(Trouble::Size { want, got });
            }
            Wanted::Described(Descriptor { digest, .. }) => digest,
            Wanted::Pinned(digest) => *digest,
            // What it says of itself has to hold, too.
            Wanted::Tag(_) => told.unwrap_or_else(|| Digest::sha256(&bytes)),
        };
        match want.of(&bytes) {
            got if got == want => Ok(Document { media_type, digest: want, bytes }),
            got => Err(Trouble::Digest { got }),
        }
    }
}

/// The type of a document that its server names.
fn media_type(header: &str) -> Result<MediaType, Trouble> {
    let name = MediaType::essence(header);
    if is_schema_1(name) {
        return Err(Trouble::Document(BadDocument::Schema1));
    }
    let known = MediaType::new(name).filter(|known| matches!(known.kind, Kind::Index | Kind::Manifest));
    known.ok_or_else(|| Trouble::ContentType { got: brief(name) })
}
