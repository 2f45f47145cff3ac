//! A question about an image: made here and sent along, or at a URL that the server fetches.
//!
//! `cargo run -p oa-examples --example image_input [URL]`

mod server;

use base64::{Engine, prelude::BASE64_STANDARD};
use oa_provider::Provider;
use oa_wire::{Category, CompletionRequest, Image, ImageDetail, Message, UserBlock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;

    let image = match std::env::args().nth(1) {
        // The server fetches it, if it may. Low detail costs few tokens, on servers that know the difference.
        Some(url) => Image::url(url).with_detail(ImageDetail::Low),
        None => Image::base64("image/png", BASE64_STANDARD.encode(red_square())),
    };
    let question = UserBlock::text("What does this image show?");
    let request = CompletionRequest::new([Message::user([question, image.into()])]);

    match provider.complete(&request).await {
        Ok(response) => println!("{}", response.text()),
        // Every server has other words for this; the category is the same.
        Err(error) if error.category() == Category::UnsupportedContentBlock => {
            println!("this model takes no images: {}", error.message());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A PNG of 32 by 32 red pixels. (A real program reads a file.)
fn red_square() -> Vec<u8> {
    // Each row: filter 0, then a byte for each of red, green and blue.
    let pixels = [&[0][..], &[255, 0, 0].repeat(32)].concat().repeat(32);
    let length = u16::try_from(pixels.len()).expect("32 rows of 97 bytes are 3104");
    // Zlib without compression: a header, one stored block, a checksum.
    let stored = [&[0x78, 0x01, 1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &pixels].concat();
    let (a, b) = pixels.iter().fold((1, 0), |(a, b), byte| {
        let a: u32 = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    let data = [&stored[..], &(b << 16 | a).to_be_bytes()].concat();
    let header = [0, 0, 0, 32, 0, 0, 0, 32, 8, 2, 0, 0, 0];
    let chunks = [chunk(*b"IHDR", &header), chunk(*b"IDAT", &data), chunk(*b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n", &chunks.concat()[..]].concat()
}

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [&kind[..], data].concat();
    let crc = !checked.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xedb8_8320))
    });
    let length = u32::try_from(data.len()).expect("the data above are some kilobytes");
    [&length.to_be_bytes(), &checked[..], &crc.to_be_bytes()].concat()
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example image_input
