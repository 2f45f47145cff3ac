//! The README's first program, in a project whose one dependency is this crate.

use oa_sim::Sim;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_program_of_the_readme_runs_with_one_dependency() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, program) = readme.split_once("```rust,no_run\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    assert!(readme.split_once("```rust").unwrap().0.contains("cargo add oa-provider\n"));

    let sim = Sim::start().await.unwrap();
    let named = program.replace("http://localhost:8000", &sim.base_url()).replace("my-model", "oa-sim");
    assert!(
        named.contains(&sim.base_url()) && named.contains("oa-sim"),
        "the program names a server and a model"
    );

    let target = env!("CARGO_TARGET_TMPDIR");
    let project = Path::new(target).join("first-program");
    fs::create_dir_all(project.join("src")).unwrap();
    fs::write(project.join("src/main.rs"), named).unwrap();
    let manifest = format!(
        "[package]\nname = \"first-program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         oa-provider = {{ path = {:?} }}\n\n[workspace]\n",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    // The versions of the workspace, which are there without a network.
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut run = Command::new(cargo);
    run.args(["run", "--quiet", "--offline"])
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", build_folder(target))
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    for (name, _) in std::env::vars_os() {
        // Those that cargo sets for this test are not for another package.
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name.to_string_lossy().starts_with("CARGO_MANIFEST_")
        {
            run.env_remove(name);
        }
    }
    let output = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert_eq!(out, "You said: The capital of France?\n");
}

fn build_folder(target: &str) -> PathBuf {
    Path::new(target).join("first-program-target")
}
