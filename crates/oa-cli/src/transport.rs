//! The flags of the connection, and the transport that they make.

// Doc comments of flags are the text of the help.
#![allow(clippy::doc_markdown)]

use crate::values;
use oa_provider::HyperTransport;
use oa_transport::HyperTransportBuilder;
use oa_wire::{Error, Setting};
use std::{fs, path::PathBuf, time::Duration};

// No `Debug`: a proxy's URL may hold a password.
#[derive(clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct TransportArgs {
    /// Certificates to trust besides the system's, in PEM
    ///
    /// Those of a private authority, or the server's own where it signed itself.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Longest time to open a connection [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Proxy for every request, in place of those of HTTP_PROXY, HTTPS_PROXY and ALL_PROXY
    ///
    /// Such as http://proxy:3128, http://USER:PASSWORD@proxy:3128 or socks5h://127.0.0.1:1080.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
}

impl TransportArgs {
    /// The transport.
    pub(crate) fn transport(&self) -> Result<HyperTransport, Error> {
        let mut builder = HyperTransport::builder();
        if let Some(limit) = self.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(pem) = self.roots()? {
            builder = builder.add_root_pem(pem);
        }
        if let Some(url) = self.proxy()? {
            builder = builder.proxy(url);
        }
        self.build(builder)
    }

    /// The certificates of `--ca-file`.
    pub(crate) fn roots(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let refused = |why: &str| Error::invalid_request(format!("--ca-file {}: {why}", path.display()));
        let pem = fs::read(path).map_err(|error| refused(&error.to_string()))?;
        // Named here, where the flag is known.
        HyperTransport::builder().add_root_pem(&pem).build().map_err(|error| {
            let text = error.to_string();
            refused(text.strip_prefix("add_root_pem: ").unwrap_or(&text))
        })?;
        Ok(Some(pem))
    }

    /// The URL of `--proxy`.
    pub(crate) fn proxy(&self) -> Result<Option<&str>, Error> {
        let Some(url) = &self.proxy else { return Ok(None) };
        Setting::Proxy
            .check(url)
            .map_err(|flaw| Error::invalid_request(format!("--proxy: the value {flaw}")))?;
        Ok(Some(url))
    }

    /// The flags that name no secret, as a shell takes them.
    pub(crate) fn shown(&self) -> String {
        let quoted = |path: &PathBuf| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        self.ca_file.as_ref().map(|path| format!("--ca-file {}", quoted(path))).unwrap_or_default()
    }

    fn build(&self, builder: HyperTransportBuilder) -> Result<HyperTransport, Error> {
        builder.build().map_err(|error| {
            let flag = match (&self.ca_file, &self.proxy) {
                (Some(path), None) => format!("--ca-file {}: ", path.display()),
                (None, Some(_)) => "--proxy: ".to_owned(),
                _ => String::new(),
            };
            Error::invalid_request(format!("{flag}{error}"))
        })
    }
}
