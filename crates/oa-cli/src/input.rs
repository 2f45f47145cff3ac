//! The parts of a request: the prompt, standard input, schema files, images.

use base64::{Engine, prelude::BASE64_STANDARD};
use oa_wire::{Error, Image, JsonSchema};
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

/// The longest input that is read from one place. A server refuses much less.
const MAX_INPUT: u64 = 64 << 20;

/// The prompt: the argument, or standard input where that is no terminal, or the one and the other after a
/// blank line. `-` is standard input alone. None when nothing is there.
pub(crate) fn prompt(argument: Option<&str>) -> Result<Option<String>, Error> {
    let stdin = io::stdin();
    let piped = if argument == Some("-") || !stdin.is_terminal() {
        let text = text(stdin.lock(), "standard input")?;
        // The line break that ends a file is no part of what is asked.
        let text = text.trim_end_matches(['\n', '\r']);
        (!text.is_empty()).then(|| text.to_owned())
    } else {
        None
    };
    Ok(match (argument.filter(|argument| *argument != "-"), piped) {
        (Some(argument), Some(piped)) => Some(format!("{argument}\n\n{piped}")),
        (Some(argument), None) => Some(argument.to_owned()),
        (None, piped) => piped,
    })
}

/// The schema in a file, in the order of its properties.
pub(crate) fn schema(path: &Path) -> Result<JsonSchema, Error> {
    let place = format!("--schema {}", path.display());
    let text = text(open(path, &place)?, &place)?;
    JsonSchema::from_text_in_order(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let message = format!("{place}: {}", error.message());
        error.with_message(message)
    })
}

/// An image: a URL as it is, a file as base64.
pub(crate) fn image(argument: &str) -> Result<Image, Error> {
    let starts =
        |scheme: &str| argument.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if ["http://", "https://", "data:"].into_iter().any(starts) {
        return Ok(Image::url(argument));
    }
    let place = format!("--image {argument}");
    let path = Path::new(argument);
    let bytes = bytes(open(path, &place)?, &place)?;
    let media_type = media_type(&bytes, path).ok_or_else(|| {
        Error::invalid_request(format!(
            "{place}: neither its first bytes nor its name say what kind of image it is (PNG, JPEG, WebP, \
             GIF, BMP, TIFF, AVIF, HEIC)"
        ))
    })?;
    Ok(Image::base64(media_type, BASE64_STANDARD.encode(bytes)))
}

fn media_type(bytes: &[u8], path: &Path) -> Option<&'static str> {
    let by_bytes = match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        _ => None,
    };
    by_bytes.or_else(|| {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "png" => "image/png",
            "jpg" | "jpeg" => "image/jpeg",
            "webp" => "image/webp",
            "gif" => "image/gif",
            "bmp" => "image/bmp",
            "tif" | "tiff" => "image/tiff",
            "avif" => "image/avif",
            "heic" => "image/heic",
            _ => return None,
        })
    })
}

fn open(path: &Path, place: &str) -> Result<File, Error> {
    File::open(path).map_err(|error| Error::invalid_request(format!("{place}: {error}")))
}

fn text(from: impl Read, place: &str) -> Result<String, Error> {
    String::from_utf8(bytes(from, place)?)
        .map_err(|error| Error::invalid_request(format!("{place}: not UTF-8: {}", error.utf8_error())))
}

fn bytes(from: impl Read, place: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(MAX_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::invalid_request(format!("{place}: {error}")))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Error::invalid_request(format!("{place}: longer than {MAX_INPUT} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_what_an_image_is_and_else_the_name() {
        for (bytes, name, kind) in [
            (&b"\x89PNG\r\n\x1a\n"[..], "x.jpg", Some("image/png")),
            (b"\xff\xd8\xff\xe0", "x", Some("image/jpeg")),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", "x", Some("image/webp")),
            (b"GIF89a", "x", Some("image/gif")),
            (b"RIFF\x01\x02\x03\x04WAVE", "x", None),
            (b"", "photo.JPEG", Some("image/jpeg")),
            (b"hello", "notes.txt", None),
            (b"hello", "png", None),
        ] {
            assert_eq!(media_type(bytes, Path::new(name)), kind, "{name}");
        }
    }

    #[test]
    fn a_url_is_passed_on_and_anything_else_is_a_file() {
        for url in ["https://e.com/a.png", "HTTP://e.com/a", "data:image/png;base64,AA=="] {
            assert_eq!(image(url).unwrap(), Image::url(url));
        }
        let error = image("no/such/file.png").unwrap_err();
        assert!(error.message().starts_with("--image no/such/file.png: "), "{error}");
    }

    #[test]
    fn input_without_end_is_refused() {
        let error = bytes(io::repeat(b'a'), "standard input").unwrap_err();
        assert!(error.message().contains("longer than 67108864 bytes"), "{error}");
    }
}
