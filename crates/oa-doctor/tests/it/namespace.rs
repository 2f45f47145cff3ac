//! Tests in a network namespace of their own, where names, routes and firewalls can be made.

use std::process::Command;

/// Set where a test runs inside of its namespace.
const INSIDE: &str = "OA_TEST_NAMESPACE";

/// Runs the test named `test` again in a namespace of its own, prepared by this script, where it does what
/// `inside` says. Where none can be made, it is skipped.
pub(crate) fn run(test: &str, script: &str, inside: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|running| running == test) {
        return inside();
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--mount", "sh", "-ec", script]);
        command
    };
    let prepare = format!("ip link set lo up; {script}");
    // Namespaces and routes are not to be had everywhere: in some containers, on other systems than Linux.
    let prepared = unshare(&prepare).output();
    if !prepared.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no namespace: {prepared:?}");
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let output = unshare(&format!("{prepare}; exec \"$0\" --exact {test} --nocapture"))
        .arg(binary)
        .env(INSIDE, test)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
