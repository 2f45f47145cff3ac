//! `wait_until_ready`: transient failures, reports, and the end of the wait.
//!
//! Time stands still in these tests but for the timers: the transport is a double, so that no socket's bytes
//! can come later than a timer that was meant to lose.

use std::time::Duration;

use oa_provider::{OpenAiProvider, Probe, Provider, Waiting};
use oa_wire::{Category, Error};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::support::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn loading() -> Step {
    Step::json(503, &json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}))
}

fn refused() -> Step {
    Step::Fail(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into())
}

/// Waits, and gives the reports beside the result.
async fn wait(double: &Double, limit: Duration) -> (Result<(), Error>, Vec<Waiting>) {
    let mut reports = Vec::new();
    let provider = double.provider();
    let result = at_all(provider.wait_until_ready_with(limit, |report| reports.push(report.clone()))).await;
    (result, reports)
}

#[tokio::test(start_paused = true)]
async fn it_waits_through_what_passes() {
    let limited = || Step::json(429, &json!({"error": "slow down"}));
    let double =
        Double::new([refused(), loading(), limited(), Step::json(502, &Value::Null), Step::models()]);
    let (result, reports) = wait(&double, seconds(60.0)).await;
    result.unwrap();
    let categories: Vec<Category> = reports.iter().map(|report| report.error.category()).collect();
    assert_eq!(
        categories,
        [Category::Unavailable, Category::ModelNotLoaded, Category::RateLimit, Category::Unavailable]
    );
}

#[tokio::test(start_paused = true)]
async fn it_tells_how_often_how_long_and_when_again() {
    let double = Double::new((0..6).map(|_| loading()).chain([Step::models()]));
    let start = Instant::now();
    let (result, reports) = wait(&double, seconds(60.0)).await;
    result.unwrap();
    let mut elapsed = Duration::ZERO;
    for (report, (attempts, next)) in reports.iter().zip((1..).zip([0.25, 0.5, 1.0, 2.0, 2.0, 2.0])) {
        assert_eq!((report.attempts, report.next), (attempts, seconds(next)));
        assert!(report.elapsed.abs_diff(elapsed) < seconds(0.1), "{:?}, {elapsed:?}", report.elapsed);
        elapsed += report.next;
    }
    assert_eq!(reports.len(), 6);
    assert!(start.elapsed().abs_diff(elapsed) < seconds(0.1), "{:?}, {elapsed:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn it_waits_as_long_as_a_rate_limit_asks() {
    let limited = Step::json(429, &json!({"error": "slow down"})).header("retry-after", "7");
    let double = Double::new([limited, Step::models()]);
    let start = Instant::now();
    let (result, reports) = wait(&double, seconds(60.0)).await;
    result.unwrap();
    assert_eq!(reports[0].next, seconds(7.0));
    assert!(start.elapsed() >= seconds(7.0));
}

#[tokio::test(start_paused = true)]
async fn it_fails_at_once_where_the_wait_that_is_asked_for_is_too_long() {
    let limited = Step::json(429, &json!({"error": "slow down"})).header("retry-after", "61");
    let start = Instant::now();
    let (result, reports) = wait(&Double::new([limited]), seconds(60.0)).await;
    assert_eq!(result.unwrap_err().category(), Category::RateLimit);
    assert_eq!((reports.len(), start.elapsed()), (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn it_fails_at_once_on_what_waiting_does_not_mend() {
    let quota =
        json!({"error": {"message": "spent", "type": "insufficient_quota", "code": "insufficient_quota"}});
    for (step, category) in [
        (Step::json(401, &json!({"error": "Unauthorized"})), Category::Authentication),
        (Step::json(200, &json!({"data": [{"id": "other"}]})), Category::InvalidModel),
        (Step::json(404, &json!({"detail": "Not Found"})), Category::InvalidRequest),
        (Step::json(200, &json!({})), Category::InvalidResponse),
        (Step::json(429, &quota), Category::RateLimit),
    ] {
        let double = Double::new([step, Step::models()]);
        let start = Instant::now();
        let (result, reports) = wait(&double, seconds(60.0)).await;
        assert_eq!(result.unwrap_err().category(), category);
        assert_eq!((reports.len(), double.seen().len(), start.elapsed()), (0, 1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_the_chat_probe_does_not_find_ends_the_wait() {
    let missing = json!({"error": {"message": "The model `m` does not exist.", "code": 404}});
    let double = Double::new([Step::json(404, &missing)]);
    let provider = OpenAiProvider::builder("http://double", "m")
        .probe(Probe::Chat)
        .transport(double.clone())
        .build()
        .unwrap();
    let error = provider.wait_until_ready(seconds(60.0)).await.unwrap_err();
    assert_eq!((error.category(), double.seen().len()), (Category::InvalidModel, 1));
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_in_time_with_the_last_failure() {
    let double = Double::new((0..100).map(|_| loading()));
    let start = Instant::now();
    let (result, reports) = wait(&double, seconds(10.0)).await;
    let error = result.unwrap_err();
    assert_eq!((error.category(), error.message()), (Category::ModelNotLoaded, "Loading model"));
    assert!(start.elapsed() <= seconds(10.0), "{:?}", start.elapsed());
    assert!(start.elapsed() >= seconds(7.0), "{:?}", start.elapsed());
    assert_eq!(error.elapsed().unwrap().as_secs(), start.elapsed().as_secs());
    assert_eq!(double.seen().len(), reports.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_ended_by_its_own_limit() {
    for (probe, step) in [
        (Probe::Models, Step::Hang),
        (Probe::Models, Step::stream(Frames::open(["{"]))),
        (Probe::Chat, Step::Hang),
    ] {
        let provider = OpenAiProvider::builder("http://double", "m")
            .probe(probe)
            .probe_timeout(seconds(5.0))
            .transport(Double::new([step]))
            .build()
            .unwrap();
        let start = Instant::now();
        let error = at_all(provider.ready()).await.unwrap_err();
        assert!(error.is_timeout() && error.category() == Category::Unavailable, "{error}");
        assert!(error.message().contains("5s") && error.message().contains("probe_timeout"), "{error}");
        assert!(start.elapsed().abs_diff(seconds(5.0)) < seconds(0.1), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_asked_again() {
    let double = Double::new([Step::Hang, Step::models()]);
    let (result, reports) = wait(&double, seconds(60.0)).await;
    result.unwrap();
    assert!(reports[0].error.is_timeout());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_does_not_outlast_the_wait() {
    let double = Double::new([Step::Hang]);
    let start = Instant::now();
    let error = at_all(double.provider().wait_until_ready(seconds(3.0))).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(start.elapsed().abs_diff(seconds(3.0)) < seconds(0.1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_it_waits_for_as_long_as_it_takes() {
    let double = Double::new((0..1000).map(|_| loading()).chain([Step::models()]));
    let (result, reports) = wait(&double, Duration::MAX).await;
    result.unwrap();
    assert_eq!(reports.len(), 1000);
}

/// A server that is not there yet: its port refuses, and listens once the first report has come.
#[tokio::test]
async fn a_port_that_opens_later_is_waited_for() {
    async fn serve(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let body = json!({"data": [{"id": "m"}]}).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let (open, opened) = oneshot::channel();
    let mut open = Some((open, socket));
    let server = tokio::spawn(async { serve(opened.await.unwrap()).await });

    let provider = OpenAiProvider::builder(url, "m").build().unwrap();
    let mut reports = Vec::new();
    let waited = provider.wait_until_ready_with(Duration::from_secs(60), |report| {
        reports.push(report.clone());
        if let Some((open, socket)) = open.take() {
            open.send(socket.listen(1).unwrap()).unwrap();
        }
    });
    waited.await.unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].error.connection().unwrap().stage, "connect");
    server.await.unwrap();
}
