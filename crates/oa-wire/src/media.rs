//! Media of a user message: images, audio, video and files.

use crate::UnknownName;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An image: by URL, or inline as base64.
///
/// ```
/// use oa_wire::{Image, ImageDetail, Message, UserBlock};
///
/// let by_url = Image::url("https://example.com/cat.png").with_detail(ImageDetail::Low);
/// let inline = Image::base64("image/png", "iVBORw0KGgo=");
/// let message = Message::user([UserBlock::text("Which is the cat?"), by_url.into(), inline.into()]);
/// # let _ = message;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Where the bytes are.
    pub source: ImageSource,
    /// The media type, such as `image/png`. Required for an inline image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The resolution at which the model sees it; `None` leaves it to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<ImageDetail>,
}

impl Image {
    /// An image that the server fetches. The URL is passed on unchanged.
    pub fn url(url: impl Into<String>) -> Self {
        Self { source: ImageSource::Url { url: url.into() }, media_type: None, detail: None }
    }

    /// An image sent with the request, as base64. Neither the base64 nor the bytes are inspected.
    pub fn base64(media_type: impl Into<String>, base64_data: impl Into<String>) -> Self {
        Self {
            source: ImageSource::Inline { base64_data: base64_data.into() },
            media_type: Some(media_type.into()),
            detail: None,
        }
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Sets the resolution at which the model sees it.
    #[must_use]
    pub fn with_detail(mut self, detail: ImageDetail) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Where an image's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ImageSource {
    /// At a URL.
    Url {
        /// The URL.
        url: String,
    },
    /// Here, as base64 without a `data:` prefix.
    Inline {
        /// The base64 text.
        base64_data: String,
    },
}

/// The resolution at which a model sees an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ImageDetail {
    /// The server chooses.
    Auto,
    /// Few tokens.
    Low,
    /// Many tokens.
    High,
}

impl ImageDetail {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

impl fmt::Display for ImageDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ImageDetail {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        [Self::Auto, Self::Low, Self::High]
            .into_iter()
            .find(|detail| detail.as_str() == name)
            .ok_or_else(|| UnknownName::new("image detail", name))
    }
}

/// A piece of audio: by URL, or inline as base64.
///
/// ```
/// use oa_wire::{Audio, Message, UserBlock};
///
/// let question = UserBlock::text("What is spoken here?");
/// let message = Message::user([question, Audio::base64("wav", "UklGRg==").into()]);
/// # let _ = message;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Audio {
    /// Where the bytes are.
    pub source: ImageSource,
    /// The format, such as `wav` or `mp3`. Required for inline audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl Audio {
    /// Audio that the server fetches (`audio_url`, which vLLM and SGLang take). The URL is passed on
    /// unchanged.
    pub fn url(url: impl Into<String>) -> Self {
        Self { source: ImageSource::Url { url: url.into() }, format: None }
    }

    /// Audio sent with the request (`input_audio`). The base64 is not inspected.
    pub fn base64(format: impl Into<String>, base64_data: impl Into<String>) -> Self {
        Self { source: ImageSource::Inline { base64_data: base64_data.into() }, format: Some(format.into()) }
    }
}

/// A video: by URL, or inline as base64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Video {
    /// Where the bytes are.
    pub source: ImageSource,
    /// The media type, such as `video/mp4`. Required for an inline video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

impl Video {
    /// A video that the server fetches (`video_url`, which vLLM and SGLang take). The URL is passed on
    /// unchanged.
    pub fn url(url: impl Into<String>) -> Self {
        Self { source: ImageSource::Url { url: url.into() }, media_type: None }
    }

    /// A video sent with the request, as a `data:` URL. The base64 is not inspected.
    pub fn base64(media_type: impl Into<String>, base64_data: impl Into<String>) -> Self {
        Self {
            source: ImageSource::Inline { base64_data: base64_data.into() },
            media_type: Some(media_type.into()),
        }
    }
}

/// A file: one that was uploaded before, by its id, or inline as base64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct File {
    /// Where the bytes are.
    pub source: FileSource,
    /// The name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

impl File {
    /// A file that was uploaded before.
    pub fn id(id: impl Into<String>) -> Self {
        Self { source: FileSource::Id { id: id.into() }, filename: None }
    }

    /// A file sent with the request. The base64 is not inspected.
    pub fn base64(media_type: impl Into<String>, base64_data: impl Into<String>) -> Self {
        let source = FileSource::Inline { media_type: media_type.into(), base64_data: base64_data.into() };
        Self { source, filename: None }
    }

    /// Sets the name of the file.
    #[must_use]
    pub fn with_filename(mut self, name: impl Into<String>) -> Self {
        self.filename = Some(name.into());
        self
    }
}

/// Where a file's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileSource {
    /// At the server, where it was uploaded.
    Id {
        /// Its id there.
        id: String,
    },
    /// Here, as base64 without a `data:` prefix.
    Inline {
        /// The media type, such as `application/pdf`.
        media_type: String,
        /// The base64 text.
        base64_data: String,
    },
}
