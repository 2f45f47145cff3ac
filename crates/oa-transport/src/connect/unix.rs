//! Unix sockets in URIs: `unix://HEX/path`, HEX being the socket's path byte by byte.

use std::path::{Path, PathBuf};

/// The authority of a URI that is sent over the Unix socket at `path`: the path in lower-case hex.
///
/// The scheme of such a URI is `unix`. The server sees `host: localhost` unless the request says otherwise.
///
/// ```
/// let authority = oa_transport::unix_authority("/run/llama.sock");
/// let uri: http::Uri = format!("unix://{authority}/v1/models").parse().unwrap();
/// assert_eq!(uri.host(), Some("2f72756e2f6c6c616d612e736f636b"));
/// ```
#[cfg_attr(
    not(unix),
    doc = "\n\nOn this platform a request to such a URI fails: it has no Unix sockets here."
)]
pub fn unix_authority(path: impl AsRef<Path>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = path.as_ref().as_os_str().as_encoded_bytes();
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

/// The inverse of [`unix_authority`]; none for what is not hex of a path.
pub(crate) fn path_of(authority: &str) -> Option<PathBuf> {
    if authority.is_empty() || authority.len() % 2 != 0 {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let bytes = authority
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<Vec<u8>>>()?;
    #[cfg(unix)]
    let path = Some(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    #[cfg(not(unix))]
    let path = String::from_utf8(bytes).ok().map(std::ffi::OsString::from);
    path.map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_round_trip() {
        for path in ["/run/llama.sock", "rel ative", "/tmp/ü@:%/x"] {
            assert_eq!(path_of(&unix_authority(path)).as_deref(), Some(Path::new(path)));
        }
    }

    #[test]
    fn what_is_no_hex_is_no_path() {
        for authority in ["", "2", "zz", "2f2", "é"] {
            assert_eq!(path_of(authority), None, "{authority}");
        }
    }
}
