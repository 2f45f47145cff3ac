//! The event-stream decoder by itself: over a file, in pieces that match nothing.
//!
//! `cargo run -p oa-examples --example sse_over_file [FILE]`

use bytes::Bytes;
use oa_wire::sse::{Decoder, Event};
use std::{fs::File, io::Read, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = || concat!(env!("CARGO_MANIFEST_DIR"), "/data/weather.sse").into();
    let path: PathBuf = std::env::args_os().nth(1).map_or_else(own, Into::into);
    let mut file = File::open(path)?;

    // The default limits bound its memory, whatever the stream holds. `Decoder::new` sets others.
    let mut decoder = Decoder::default();
    // As small as a bad network makes them: the events are the same for any split.
    let mut piece = [0; 7];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        decoder.push(Bytes::copy_from_slice(&piece[..length]));
        // Before the next piece: an event may borrow from this one.
        while let Some(event) = decoder.next_event()? {
            show(event);
        }
    }
    // A last event that lacks its blank line counts too.
    if let Some(event) = decoder.finish()? {
        show(event);
    }
    Ok(())
}

fn show(event: Event<'_>) {
    let name = String::from_utf8_lossy(event.name());
    let name = if name.is_empty() { "message" } else { &*name };
    println!("{name}: {}", event.text().escape_debug());
}

// With the stream of a real server:
// curl -N http://localhost:8000/v1/chat/completions -H "content-type: application/json" \
//     -d '{"model":"my-model","stream":true,"messages":[{"role":"user","content":"Hi"}]}' >answer.sse
// cargo run -p oa-examples --example sse_over_file answer.sse
