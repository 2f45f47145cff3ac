//! Many streams at once through nginx, over TLS with HTTP/2: builds the program that starts nginx and judges.

use crate::{
    cargo,
    outcome::{Outcome, Verdict},
};
use std::process::{Command, Stdio};

/// Where nginx is: on Debian outside of the path of those who are not root.
const PLACES: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// `nginx`
pub(crate) fn run() -> Outcome<Verdict> {
    let is_there = |program: &&&str| {
        let mut version = Command::new(**program);
        version.arg("-v").stdin(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    let Some(nginx) = PLACES.iter().find(is_there) else {
        return Ok(Verdict::Skipped("no nginx (Debian: apt-get install nginx-light)".to_owned()));
    };
    let program = cargo::build_with("oa-conformance", "oa-live-nginx", &["--features", "http2"])?;
    cargo::run(Command::new(program).args(["--nginx", nginx])).map(Verdict::from)
}
