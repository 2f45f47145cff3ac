//! `oa doctor`: what it prints, and its exit code.

use crate::support::{oa, run, sim};
use oa_sim::Sim;

fn doctor(sim: &Sim, more: &[&str]) -> crate::support::Ran {
    run(oa(["doctor", &sim.base_url()]).args(more).env_remove("LITELLM_PORT").env_remove("PORT"))
}

#[test]
fn the_report_goes_to_standard_output_and_progress_to_standard_error() {
    let sim = sim();
    let ran = doctor(&sim, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let head = format!("oa-doctor {}: oa doctor {}", env!("CARGO_PKG_VERSION"), sim.base_url());
    assert_eq!(lines[0], head);
    assert!(lines[1].starts_with("ok       environment "), "{}", ran.stdout);
    assert!(ran.stdout.lines().last().unwrap().starts_with("nothing failed"), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("oa: checking environment\noa: checking proxy\n"), "{}", ran.stderr);
}

#[test]
fn the_first_failure_sets_the_exit_code() {
    let sim = Sim::builder().api_key("sk-right").start_blocking().unwrap();
    let ran = doctor(&sim, &["--api-key", "sk-canary"]);
    assert_eq!(ran.code, 10, "{ran:?}");
    assert!(!ran.stdout.contains("sk-canary") && !ran.stderr.contains("sk-canary"), "{ran:?}");
}

#[test]
fn the_url_is_taken_as_a_flag_too() {
    let sim = sim();
    let ran = run(&mut oa(["doctor", "--no-completion", "--base-url", &sim.base_url()]));
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn json_is_the_whole_report() {
    let sim = sim();
    let ran = doctor(
        &sim,
        &["--json", "--no-completion", "--model", "other", "--api-key", "canary", "--header=x: canary"],
    );
    let report = ran.json();
    let command = format!(
        "oa doctor {} --json --no-completion --model other --api-key *** --header=***",
        sim.base_url()
    );
    assert_eq!(
        (&report["command"], &report["version"]),
        (&command.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(report["url"], sim.base_url());
    assert_eq!(report["steps"].as_array().unwrap().len(), 14);
    assert_eq!(report["steps"][6]["category"], "provider_invalid_model");
    assert!(sim.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn replicas_are_compared() {
    let (one, other) = (sim(), Sim::builder().models(["oa-sim", "lora"]).start_blocking().unwrap());
    let closed = Sim::closed_port().unwrap();
    let urls = [one.base_url(), other.base_url(), closed.base_url()];
    let run = |more: &[&str]| {
        let args = ["doctor", &urls[0], &urls[1], &urls[2], "--model", "oa-sim"];
        run(oa(args).args(more).env_remove("LITELLM_PORT").env_remove("PORT"))
    };
    let ran = run(&[]);
    assert_eq!(ran.code, 11, "{ran:?}");
    for want in [
        format!("differs: {} fails at `tcp`: ", urls[2]),
        format!("differs: {} does not list: lora", urls[0]),
        format!("ok       {}  oa-sim", urls[0]),
    ] {
        assert!(ran.stdout.contains(&want), "{}, want {want}", ran.stdout);
    }
    let record = run(&["--json"]).json();
    assert_eq!(record["reports"].as_array().unwrap().len(), 3);
    assert_eq!(record["comparison"]["replicas"][1]["models"].as_array().unwrap().len(), 2);
    assert!(record["comparison"]["replicas"][0]["first_token_seconds"].is_number());
}

#[test]
fn replicas_that_are_alike_are_said_to_be() {
    let (one, other) = (sim(), sim());
    let ran = run(oa(["doctor", &one.base_url(), &other.base_url()]).env_remove("PORT"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.ends_with("the 2 replicas are alike\n"), "{}", ran.stdout);
}

#[test]
fn a_header_that_is_none_is_wrong_usage_of_the_command() {
    let ran = doctor(&sim(), &["--header", "canary"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (16, ""), "{ran:?}");
}
