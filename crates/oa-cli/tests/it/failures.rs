//! The exit code of every failure, none of which shows a key.

use crate::support::{TempFile, answering, chunk, completion, oa, oa_at, run, sim};
use oa_sim::{Answer, ImageRefusal, Piece, Sim};
use serde_json::json;

const KEY: &str = "sk-canary-7f3a91";

fn error(status: u16, message: &str) -> Sim {
    answering(Answer::json(status, json!({"error": {"message": message, "type": "x"}})))
}

#[test]
fn each_category_has_its_code() {
    let loading = sim();
    loading.set_loading(true);
    let schema = TempFile::new("schema.json", r#"{"type": "object"}"#);
    let with_schema = ["--schema", schema.path()];
    let with_image = ["--image", "https://example.com/a.png"];
    let cases = [
        ("provider_authentication", 10, Sim::builder().api_key("k").start_blocking().unwrap(), &[][..]),
        ("provider_unavailable", 11, error(500, "out of order"), &[]),
        ("provider_unavailable", 11, answering(Answer::disconnect()), &[]),
        ("provider_invalid_model", 12, sim(), &["--model", "wrong"]),
        ("provider_model_not_loaded", 13, loading, &[]),
        ("provider_rate_limit", 14, error(429, "slow down"), &[]),
        ("provider_invalid_response", 15, answering(Answer::html(200, "<html>hi</html>")), &[]),
        ("provider_invalid_request", 16, error(400, "no"), &[]),
        ("provider_invalid_request", 16, sim(), &["--extra", "model=other"]),
        (
            "provider_unsupported_content_block",
            17,
            Sim::builder().refuse_images(ImageRefusal::LlamaCpp).start_blocking().unwrap(),
            &with_image,
        ),
        (
            "structured_output_invalid",
            18,
            answering(completion(&json!({"content": "no"}), "stop")),
            &with_schema,
        ),
    ];
    for (category, code, sim, args) in cases {
        let ran = run(&mut oa_at(&sim, ["chat", "hi"].iter().chain(args).copied()));
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{category}: {ran:?}");
        assert!(ran.stderr.contains(&format!("oa: {category}: ")), "{category}: {ran:?}");
    }
}

#[test]
fn a_refused_connection_names_its_cause() {
    let port = Sim::closed_port().unwrap();
    let ran = run(oa(["chat", "hi", "-m", "m", "--base-url"]).arg(port.base_url()));
    assert_eq!((ran.code, ran.stdout.as_str()), (11, ""));
    assert!(ran.stderr.contains("caused by: ") && ran.stderr.contains(&port.addr().to_string()), "{ran:?}");
}

#[test]
fn hints_are_in_the_words_of_the_command() {
    let sim = sim();
    let https = sim.base_url().replace("http://", "https://");
    let ran = run(oa(["chat", "hi", "-m", "m", "--base-url", &https])
        .env("SSL_CERT_FILE", "/no/such.pem")
        .env_remove("SSL_CERT_DIR"));
    assert_eq!(ran.code, 11, "{ran:?}");
    assert!(ran.stderr.contains("or give roots by --ca-file") && !ran.stderr.contains("builder"), "{ran:?}");
    let repeated = ran.stderr.matches("SSL_CERT_FILE names /no/such.pem").count();
    assert_eq!(repeated, 1, "{ran:?}");

    let busy = Answer::json(429, json!({"error": "slow down"})).header("retry-after", "287441");
    let ran = run(&mut oa_at(&answering(busy), ["chat", "hi"]));
    assert_eq!(ran.code, 14, "{ran:?}");
    let hint = "hint: the server takes calls again in 3days 7h 50m 41s, at 2";
    assert!(ran.stderr.contains(hint) && !ran.stderr.contains("max_retry_after"), "{ran:?}");
}

#[test]
fn a_file_without_certificates_is_named_with_its_flag() {
    let file = TempFile::new("ca.pem", "no certificate");
    for command in ["models", "doctor"] {
        let args = [command, "--base-url", "https://127.0.0.1:1", "--ca-file", file.path()];
        let ran = run(&mut oa(args));
        assert_eq!(ran.code, 16, "{ran:?}");
        assert!(ran.stderr.contains(": no certificate in the PEM text"), "{ran:?}");
        assert!(ran.stderr.contains("--ca-file") && !ran.stderr.contains("add_root_pem"), "{ran:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let sim = answering(Answer::stall());
    for stream in ["--stream", "--no-stream"] {
        let ran = run(&mut oa_at(&sim, ["chat", "hi", "--timeout", "100ms", stream]));
        assert_eq!(ran.code, 11, "{ran:?}");
        assert!(ran.stderr.contains("100ms"), "{ran:?}");
    }
}

#[test]
fn a_stream_that_falls_silent_is_given_up_and_what_came_is_kept() {
    let sim = answering(Answer::stream([Piece::from(chunk("half")), Piece::Stall]));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--timeout", "3s", "--json-events"]));
    assert_eq!(ran.code, 11, "{ran:?}");
    assert_eq!(ran.json_lines().pop().unwrap()["partial"]["message"]["content"], "half");
}

#[test]
fn a_stream_that_is_cut_off_ends_its_line() {
    let sim = answering(Answer::stream([Piece::from(chunk("half")), Piece::Cut]));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--stream"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (11, "half\n"), "{ran:?}");
}

#[test]
fn wrong_usage_has_claps_code() {
    for args in [
        &["chat", "hi", "--no-such-flag"][..],
        &["chat", "hi", "--timeout", "soon"],
        &["chat", "hi", "--max-tokens", "-3"],
        &["chat", "hi", "--extra", "top_k"],
        &["chat", "hi", "--json", "--raw"],
        &["chat", "hi", "--sim", "--base-url", "http://localhost:1"],
        &["frobnicate"],
        &[],
    ] {
        let ran = run(&mut oa(args.iter().copied()));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_key_is_never_printed() {
    let echo = format!("Incorrect API key provided: {KEY}");
    let port = Sim::closed_port().unwrap();
    let servers = [
        sim().into_url(),
        Sim::builder().api_key("another").start_blocking().unwrap().into_url(),
        error(401, &echo).into_url(),
        error(500, &echo).into_url(),
        answering(Answer::text(200, echo.clone())).into_url(),
        (port.base_url(), None),
        ("http://localhost/v1".to_owned(), None),
    ];
    for (url, _sim) in &servers {
        for key in [KEY.to_owned(), format!("{KEY}\n{KEY}"), format!("{KEY}é")] {
            for args in [
                &["chat", "hi", "--retries", "0"][..],
                &["chat", "hi", "--retries", "0", "--json-events"],
                &["models"],
                &["ready", "--probe", "both"],
            ] {
                let mut by_variable = oa(args.iter().copied());
                by_variable.env("OA_BASE_URL", url).env("OA_API_KEY", &key);
                let mut by_flag = oa(args.iter().copied());
                by_flag.args(["--base-url", url, "--api-key", &key]);
                let mut by_header = oa(args.iter().copied());
                by_header.args(["--base-url", url, "--header", &format!("x-api-key: {key}\u{1}")]);
                let mut by_half_a_header = oa(args.iter().copied());
                by_half_a_header.args(["--base-url", url, "--header", &key]);
                for command in [&mut by_variable, &mut by_flag, &mut by_header, &mut by_half_a_header] {
                    command.env("OA_MODEL", "oa-sim");
                }
                for command in [&mut by_variable, &mut by_flag, &mut by_header, &mut by_half_a_header] {
                    let ran = run(command);
                    let shown = ran.stdout.contains("canary") || ran.stderr.contains("canary");
                    assert!(!shown, "{args:?} at {url}: {ran:?}");
                }
            }
        }
    }
    let help = run(oa(["chat", "--help"]).env("OA_API_KEY", KEY));
    assert!(help.code == 0 && !help.stdout.contains("canary"), "{help:?}");
}

trait IntoUrl {
    fn into_url(self) -> (String, Option<Sim>);
}

impl IntoUrl for Sim {
    fn into_url(self) -> (String, Option<Sim>) {
        (self.base_url(), Some(self))
    }
}
