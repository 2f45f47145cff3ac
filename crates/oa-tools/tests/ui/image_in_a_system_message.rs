//! An image in a system message.

use oa_wire::{Image, Message};

fn main() {
    let _ = Message::system(Image::url("http://example.com/cat.png"));
}
