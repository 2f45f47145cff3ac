//! Compilers that are not the one in use: installed by rustup, or unpacked from Debian's packages.
//!
//! Nothing is installed: the packages are unpacked below the target folder.

use crate::{
    cargo::{cargo, output, root, run},
    outcome::Outcome,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A compiler, as cargo is told of it.
pub(crate) struct Toolchain {
    rustc: PathBuf,
    /// The folder of the libraries that it needs, where they are not the system's.
    libraries: Option<PathBuf>,
    target: PathBuf,
}

impl Toolchain {
    /// The compiler of this version (`1.85`), or none with the reason. With `source` the standard library's
    /// source is there too. No version: the newest that there is.
    pub(crate) fn find(version: Option<&str>, source: bool) -> Result<Self, String> {
        if let (Some(version), false) = (version, source) {
            if let Some(rustc) = from_rustup(version) {
                return Ok(Self { rustc, libraries: None, target: target(version) });
            }
        }
        from_debian(version, source)
    }

    /// A call of cargo that builds with this compiler, in a target folder of its own.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo(args);
        command.env("RUSTC", &self.rustc).env("CARGO_TARGET_DIR", self.target.join("build"));
        // A wrapper of the other compiler has no place here.
        command
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("RUSTUP_TOOLCHAIN");
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// Where it puts what it builds.
    pub(crate) fn built(&self) -> PathBuf {
        self.target.join("build")
    }
}

/// Whether a program is there.
pub(crate) fn is_there(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths)
        .any(|folder| folder.join(program).is_file() || folder.join(format!("{program}.exe")).is_file())
}

fn target(name: &str) -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    folder.join("toolchains").join(name)
}

fn from_rustup(version: &str) -> Option<PathBuf> {
    let mut rustup = Command::new("rustup");
    rustup.args(["which", "rustc", "--toolchain", version]).stderr(Stdio::null());
    let found = rustup.output().ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8(found.stdout).ok()?.trim()))
}

fn from_debian(version: Option<&str>, source: bool) -> Result<Toolchain, String> {
    if !["apt-get", "apt-cache", "dpkg"].into_iter().all(is_there) {
        return Err("neither rustup nor Debian's packages have this compiler here".to_owned());
    }
    let Some(full) = newest(version) else {
        let wanted = version.unwrap_or("at all");
        return Err(format!("Debian's lists have no rustc-web {wanted}; `apt-get update` brings them"));
    };
    let short: String = full.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let folder = target(&format!("debian-{short}"));
    let unpacked = folder.join("root");
    let needed = unpacked.join(if source { "usr/lib/rustlib/src/rust/library" } else { "usr/bin/rustc" });
    if !needed.exists() {
        let standard = format!("libstd-rust-web-{short}");
        let mut packages = vec![
            format!("rustc-web={full}"),
            format!("libstd-rust-web-dev={full}"),
            format!("{standard}={full}"),
        ];
        packages.extend(llvm(&standard, &full));
        packages.extend(source.then(|| format!("rust-web-src={full}")));
        if let Err(why) = unpack(&packages, &folder, &unpacked) {
            return Err(format!("Debian's packages could not be had: {why}"));
        }
    }
    let libraries = unpacked.join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH));
    Ok(Toolchain { rustc: unpacked.join("usr/bin/rustc"), libraries: Some(libraries), target: folder })
}

/// The full version of the newest package of that version: `1.85.0+dfsg3-1~deb12u3`.
fn newest(version: Option<&str>) -> Option<String> {
    let lines = output(Command::new("apt-cache").args(["madison", "rustc-web"])).ok()?;
    let versions = lines.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()));
    versions.into_iter().find(|full| version.is_none_or(|version| full.starts_with(&format!("{version}."))))
}

/// The package of LLVM's library that this one depends on.
fn llvm(package: &str, version: &str) -> Option<String> {
    let shown = output(Command::new("apt-cache").args(["show", &format!("{package}={version}")])).ok()?;
    let depends = shown.lines().find(|line| line.starts_with("Depends:"))?;
    let names = depends["Depends:".len()..].split(',').map(str::trim);
    names
        .into_iter()
        .find(|name| name.starts_with("libllvm"))
        .map(|name| name.split(' ').next().unwrap_or(name).to_owned())
}

fn unpack(packages: &[String], folder: &Path, unpacked: &Path) -> Outcome {
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    let downloads = folder.join("packages");
    fs::create_dir_all(&downloads).map_err(fail)?;
    let mut download = Command::new("apt-get");
    download.args(["download", "-q", "-q"]).args(packages).current_dir(&downloads).stderr(Stdio::null());
    run(&mut download)?;
    for entry in fs::read_dir(&downloads).map_err(fail)? {
        run(Command::new("dpkg").arg("-x").arg(entry.map_err(fail)?.path()).arg(unpacked))?;
    }
    fs::remove_dir_all(&downloads).map_err(fail)
}

/// The linker for WebAssembly that comes with the compiler in use.
pub(crate) fn lld() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = output(Command::new(rustc).args(["--print", "target-libdir"])).ok()?;
    let lld = Path::new(printed.trim()).parent()?.join("bin/rust-lld");
    lld.is_file().then_some(lld)
}
