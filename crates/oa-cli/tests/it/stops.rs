//! The end of the command: at Ctrl-C, and when nobody reads its output.

use crate::support::{answering, chunk, oa_at};
use oa_sim::{Answer, Gate, Piece};
use std::{
    io::Read,
    process::{Command, Stdio},
    time::Duration,
};

/// Far longer than anything here takes: it only ends a test that hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_interrupt_closes_the_connection_and_ends_the_line() {
    let sim = answering(Answer::stream([Piece::from(chunk("The answer")), Piece::Stall]));
    let mut command = oa_at(&sim, ["chat", "hi", "--stream"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 10];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"The answer");

    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((output.status.code(), rest.as_str()), (Some(130), "\n"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(sim.wait_for_blocking(LONG, |stats| stats.client_left == 1));
}

#[test]
fn an_interrupt_ends_a_wait_for_an_answer() {
    let sim = answering(Answer::stall());
    let mut command = oa_at(&sim, ["chat", "hi", "--no-stream"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(sim.wait_for_blocking(LONG, |stats| stats.requests == 1));
    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(130), vec![], vec![]));
    assert!(sim.wait_for_blocking(LONG, |stats| stats.client_left == 1));
}

#[test]
fn a_reader_that_goes_away_stops_the_generation_quietly() {
    for form in ["--stream", "--json-events"] {
        let gate = Gate::new();
        // More than a pipe holds: a process that another test starts has the reading end too, until it
        // runs its program.
        let second = "x".repeat(200_000);
        let pieces = [
            Piece::from(chunk("first ")),
            Piece::Wait(gate.clone()),
            Piece::from(chunk(&second)),
            Piece::Stall,
        ];
        let sim = answering(Answer::stream(pieces));
        let mut command = oa_at(&sim, ["chat", "hi", form]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 6]).unwrap();
        drop(stdout);
        gate.open();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stderr).unwrap()),
            (Some(0), String::new())
        );
        assert!(sim.wait_for_blocking(LONG, |stats| stats.client_left == 1));
    }
}

fn interrupt(process: u32) {
    let status = Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap();
    assert!(status.success());
}
