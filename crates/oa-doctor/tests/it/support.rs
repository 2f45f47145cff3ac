//! Helpers of the tests: a doctor without an environment, texts without times, answers of servers.

use oa_doctor::{Doctor, Report};
use oa_sim::{Answer, Sim};
use serde_json::{Value, json};

/// A doctor for this server, with no environment and no well-known ports.
pub(crate) fn doctor(url: impl Into<String>) -> Doctor {
    nowhere().url(url)
}

/// A doctor that knows of no server.
pub(crate) fn nowhere() -> Doctor {
    let none: [(u16, &str); 0] = [];
    Doctor::new().environment([]).ports(none)
}

/// A doctor whose environment has these variables only.
pub(crate) fn doctor_in(variables: &[(&'static str, String)]) -> Doctor {
    nowhere().environment(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
}

/// The report's text without its first line, with `T` for each duration, `PORT` for the port, `VERSION` for
/// the simulator's.
pub(crate) fn text(report: &Report, port: u16) -> String {
    let text = report.to_string();
    let (_, text) = text.split_once('\n').unwrap();
    let text = text.replace(&port.to_string(), "PORT").replace(oa_sim::VERSION, "VERSION");
    // Whether the tests run in a container is no part of what they hold.
    let container = "; this program runs in a container, whose localhost is not the host's: use the server's \
                     service name, or host.docker.internal where that exists";
    without_durations(&text.replace(container, ""))
}

/// `T` for each number with the unit ms or s.
fn without_durations(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 0..words.len().saturating_sub(1) {
            let number = words[at].trim_start_matches('[');
            let unit = words[at + 1].trim_end_matches([']', ',', ';', ':']);
            if number.parse::<f64>().is_ok() && matches!(unit, "ms" | "s") {
                let (opening, closing) = (words[at].starts_with('['), words[at + 1][unit.len()..].to_owned());
                words[at] = format!("{}T{closing}", if opening { "[" } else { "" });
                words[at + 1].clear();
            }
        }
        words.retain({
            let mut indented = true;
            move |word| {
                indented &= word.is_empty();
                indented || !word.is_empty()
            }
        });
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A report's text must be this. Blanks in a row count as one, so that columns may be seen in the source.
#[track_caller]
pub(crate) fn assert_text(report: &Report, port: u16, want: &str) {
    let squeeze = |text: &str| {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    };
    let got = squeeze(&text(report, port));
    let want = squeeze(want);
    assert_eq!(got, want, "the report is\n{report}\n");
}

/// What one step came to.
#[track_caller]
pub(crate) fn step<'a>(report: &'a Report, name: &str) -> (&'a str, &'a str) {
    let step = report.step(name).unwrap_or_else(|| panic!("no step {name} in\n{report}"));
    (step.status.as_str(), &step.observed)
}

/// A completion of this text, without token counts.
pub(crate) fn completion(text: &str) -> Answer {
    Answer::json(
        200,
        json!({"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]}),
    )
}

/// A stream of these pieces, without token counts.
pub(crate) fn events(pieces: &[&str]) -> Answer {
    let chunk = |delta: Value, reason: Option<&str>| {
        json!({"choices": [{"index": 0, "delta": delta,
                                                             "finish_reason": reason}]})
    };
    let pieces = pieces.iter().map(|piece| chunk(json!({"content": piece}), None));
    Answer::events(pieces.chain([chunk(json!({}), Some("stop"))]))
}

/// A page that does not say that it is a simulator's.
pub(crate) fn page(status: u16, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::raw(format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

/// A list of one model with these members besides its id.
pub(crate) fn list(id: &str, members: Value) -> String {
    let mut entry = members;
    entry["id"] = id.into();
    json!({"object": "list", "data": [entry]}).to_string()
}

/// A server with these pages, and 404 for every other one. Completions are the simulator's.
pub(crate) async fn serving(pages: Vec<(&'static str, Answer)>) -> Sim {
    let answer = move |request: &oa_sim::Recorded| {
        if request.path == "/v1/chat/completions" {
            return None;
        }
        let found = pages.iter().find(|(path, _)| *path == request.path);
        Some(found.map_or_else(|| page(404, "", "{\"detail\":\"Not Found\"}"), |(_, answer)| answer.clone()))
    };
    Sim::builder().model("tiny").handler(answer).start().await.unwrap()
}
