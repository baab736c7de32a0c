//! What an administrator can set about the pages, validated.

use url::{Origin, Url};

/// How the pages look and whom they lead back to.
#[derive(Clone, Debug, Default)]
pub struct PageSettings {
    /// The name at the head of every page; the issuer unless set.
    pub title: Option<String>,
    /// The picture beside it.
    pub logo: Option<Logo>,
    /// Web clients that people are sent back to without being asked, by their
    /// origin.
    pub known_clients: Vec<Origin>,
}

impl PageSettings {
    /// Whether this URL is one of a known client.
    pub(crate) fn knows(&self, url: &Url) -> bool {
        self.known_clients.contains(&url.origin())
    }
}

/// A picture that the server shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    Webp,
    Svg,
}

/// Why a file is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALogo {
    /// It is too large.
    #[error("a logo may have up to {} KiB", Logo::LIMIT / 1024)]
    TooLarge,
    /// It is none of the kinds that every browser shows.
    #[error("a logo is a PNG, JPEG, WebP or SVG picture")]
    Unknown,
}

impl Logo {
    /// The largest logo, in bytes: a page with everything stays under 30 KiB.
    pub const LIMIT: usize = 12 * 1024;

    /// From the content of a file. What it is, is told by its content.
    ///
    /// # Errors
    ///
    /// [`NotALogo`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, NotALogo> {
        if bytes.len() > Self::LIMIT {
            return Err(NotALogo::TooLarge);
        }
        let kind = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Kind::Png,
            [0xff, 0xd8, 0xff, ..] => Kind::Jpeg,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Kind::Webp,
            other if is_svg(other) => Kind::Svg,
            _ => return Err(NotALogo::Unknown),
        };
        Ok(Self { bytes, kind })
    }

    /// The file's content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its media type.
    pub const fn media_type(&self) -> &'static str {
        match self.kind {
            Kind::Png => "image/png",
            Kind::Jpeg => "image/jpeg",
            Kind::Webp => "image/webp",
            Kind::Svg => "image/svg+xml",
        }
    }
}

fn is_svg(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_what_its_content_says() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF0000WEBPVP8 ", "image/webp"),
            (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
            (b"\n<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        ] {
            assert_eq!(Logo::new(bytes.to_vec()).unwrap().media_type(), kind);
        }
        assert_eq!(Logo::new(b"<html><svg/>".to_vec()), Err(NotALogo::Unknown));
        assert_eq!(Logo::new(vec![0; Logo::LIMIT + 1]), Err(NotALogo::TooLarge));
    }
}
