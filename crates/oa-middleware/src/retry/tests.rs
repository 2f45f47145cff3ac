//! Tests of retries: which errors, with which request, when, and what the caller is told.

use super::*;
use crate::{
    AttemptLog, CollectLayer, CollectStream, DeadlineLayer, RetryReason,
    testing::{Script, Step, request, structured_failure, structured_failure_after},
};
use oa_wire::{Category, ErrorKind, Message, RetryAfter, RetryAfterSource, RuntimeConfig};
use std::{sync::Mutex, time::Duration};
use tower::ServiceExt;

fn unavailable() -> Error {
    Error::new(Category::Unavailable, "down").with_status(503)
}

fn asks_to_wait(seconds: u64) -> Error {
    let wait = RetryAfter::new(Duration::from_secs(seconds), RetryAfterSource::Seconds);
    Error::new(Category::RateLimit, "slow down").with_retry_after(Some(wait))
}

fn policy() -> RetryPolicy {
    RetryPolicy::new().backoff(Backoff::fixed(Duration::from_secs(2)))
}

fn script(errors: impl IntoIterator<Item = Error>) -> Script {
    Script::new(errors.into_iter().map(Step::error).chain([Step::text("ok")]))
}

/// The answer or error, the attempts made and the time it took.
async fn run(
    policy: RetryPolicy,
    errors: impl IntoIterator<Item = Error>,
) -> (Result<String, Error>, usize, Duration) {
    let script = script(errors);
    let start = Instant::now();
    let answer = RetryLayer::new(policy).layer(script.clone()).oneshot(request()).await;
    let answer = match answer {
        Ok(answer) => Ok(answer.into_response().await.unwrap().text().into_owned()),
        Err(error) => Err(error),
    };
    (answer, script.calls(), start.elapsed())
}

fn reasons(error: &Error) -> Vec<&str> {
    error.attempts().iter().map(|attempt| &*attempt.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_retried_after_the_backoff() {
    let (answer, calls, took) = run(policy(), [unavailable(), unavailable()]).await;
    assert_eq!((answer.unwrap().as_str(), calls, took), ("ok", 3, Duration::from_secs(4)));
}

#[tokio::test(start_paused = true)]
async fn max_attempts_counts_the_first() {
    let (answer, calls, took) = run(policy(), (0..3).map(|_| unavailable())).await;
    let error = answer.unwrap_err();
    assert_eq!((calls, took), (3, Duration::from_secs(4)));
    assert_eq!(reasons(&error), ["transient", "transient", "not retried: all 3 attempts were made"]);
    let waits: Vec<_> = error.attempts().iter().map(|attempt| attempt.waited.as_secs()).collect();
    assert_eq!(waits, [2, 2, 0]);
    let (answer, calls, _) = run(policy().max_attempts(0), [unavailable()]).await;
    assert_eq!((answer.is_err(), calls), (true, 1));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_change_is_not_retried() {
    let cases = [
        (Error::invalid_request("no"), "not retried: the same request would fail again"),
        (structured_failure("x"), "not retried: the same request would fail again"),
        (
            Error::new(Category::RateLimit, "no money").with_quota_spent(true).with_should_retry(Some(true)),
            "not retried: the quota is spent",
        ),
        (unavailable().with_should_retry(Some(false)), "not retried: the server forbids it (x-should-retry)"),
    ];
    for (error, why) in cases {
        let (answer, calls, took) = run(policy(), [error]).await;
        assert_eq!(reasons(&answer.unwrap_err()), [why]);
        assert_eq!((calls, took), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_so_is_retried() {
    let error = Error::invalid_request("conflict").with_should_retry(Some(true));
    let (answer, calls, _) = run(policy(), [error]).await;
    assert_eq!((answer.is_ok(), calls), (true, 2));
}

#[tokio::test(start_paused = true)]
async fn retry_after_makes_the_wait_longer_and_beyond_the_limit_ends_it() {
    let (answer, _, took) = run(policy(), [asks_to_wait(30)]).await;
    assert_eq!((answer.is_ok(), took), (true, Duration::from_secs(30)));
    let (answer, _, took) = run(policy(), [asks_to_wait(1)]).await;
    assert_eq!((answer.is_ok(), took), (true, Duration::from_secs(2)));
    let (answer, calls, took) = run(policy(), [asks_to_wait(31)]).await;
    let error = answer.unwrap_err();
    assert_eq!((calls, took), (1, Duration::ZERO));
    assert_eq!(error.retry_after().unwrap().delay, Duration::from_secs(31));
    assert_eq!(reasons(&error), ["not retried: the server asks to wait 31s, more than the 30s allowed"]);
    assert_eq!(
        error.hint(),
        Some(
            "the server takes calls again in 31s; waits of up to 30s are made by the retry policy \
             (max_retry_after)"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_layer_inside_another_does_not_multiply_the_attempts() {
    let script = script((0..9).map(|_| unavailable()));
    let inner = RetryLayer::new(policy()).layer(script.clone());
    let error = RetryLayer::new(policy()).layer(inner).oneshot(request()).await.unwrap_err();
    assert_eq!(script.calls(), 3);
    assert_eq!(reasons(&error), ["transient", "transient", "not retried: all 3 attempts were made"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_pass_the_deadline_is_not_begun() {
    let script = script([unavailable(), unavailable()]);
    let service =
        DeadlineLayer::new(Duration::from_secs(3)).layer(RetryLayer::new(policy()).layer(script.clone()));
    let start = Instant::now();
    let error = service.oneshot(request()).await.unwrap_err();
    assert_eq!((script.calls(), start.elapsed()), (2, Duration::from_secs(2)));
    assert_eq!(error.message(), "down");
    assert_eq!(
        reasons(&error),
        ["transient", "not retried: the wait of 2.0s would pass the deadline, 1.0s away"]
    );
}

#[tokio::test(start_paused = true)]
async fn all_calls_share_one_budget() {
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 0, 1.0));
    budget.deposit();
    let layer = RetryLayer::new(policy()).budget(budget);
    let first = layer.layer(script([unavailable()])).oneshot(request()).await;
    assert!(first.is_ok());
    let second = layer.layer(script([unavailable(), unavailable()])).oneshot(request()).await;
    // The first call's success paid for one more.
    assert_eq!(
        reasons(&second.unwrap_err()),
        ["transient", "not retried: the retry budget of all calls is spent"]
    );
    let free = layer.without_budget().layer(script([unavailable(), unavailable()]));
    assert!(free.oneshot(request()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_classifier_decides_what_the_server_left_open() {
    let teapot = |error: &Error| error.status() == Some(418);
    let error = || Error::invalid_request("teapot").with_status(418);
    let (answer, _, _) = run(policy().classifier(teapot), [error()]).await;
    assert!(answer.is_ok());
    let (answer, _, _) = run(policy().classifier(teapot), [error().with_should_retry(Some(false))]).await;
    assert!(answer.is_err());
    let (answer, _, _) = run(policy().classifier(teapot), [unavailable()]).await;
    assert!(answer.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_hook_and_the_log_tell_of_each_retry() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let seen = seen.clone();
        move |retry: &RetryEvent<'_>| {
            seen.lock().unwrap().push((retry.attempt, retry.reason, retry.wait.as_secs()));
        }
    };
    let log = AttemptLog::default();
    let mut request = request();
    request.extensions.insert(log.clone());
    let script = script([unavailable(), asks_to_wait(5)]);
    RetryLayer::new(policy().on_retry(hook)).layer(script.clone()).oneshot(request).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(0, RetryReason::Transient, 2), (1, RetryReason::Transient, 5)]);
    let logged: Vec<_> = log.attempts().into_iter().map(|attempt| (attempt.index, attempt.message)).collect();
    assert_eq!(logged, [(0, "down".to_owned()), (1, "slow down".to_owned())]);
    let contexts: Vec<_> = script
        .requests()
        .iter()
        .map(|request| CallContext::of(request).unwrap())
        .map(|context| (context.attempt(), context.retry_reason()))
        .collect();
    let transient = Some(RetryReason::Transient);
    assert_eq!(contexts, [(0, None), (1, transient), (2, transient)]);
}

#[tokio::test(start_paused = true)]
async fn one_call_may_have_its_own_policy() {
    let script = script([unavailable()]);
    let mut request = request();
    request.extensions.insert(RetryPolicy::never());
    assert!(RetryLayer::default().layer(script).oneshot(request).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn overrides_are_merged_onto_the_base_and_the_last_carries_on() {
    let overrides = [
        RuntimeConfig::new().with_temperature(0.3).with_extra("top_k", 9),
        RuntimeConfig::new().with_max_tokens(7),
    ];
    let policy = policy().max_attempts(4).per_attempt_override(overrides);
    let script = script((0..3).map(|_| unavailable()));
    let request = request().with_config(RuntimeConfig::new().with_temperature(0.0).with_extra("min_p", 1));
    RetryLayer::new(policy).layer(script.clone()).oneshot(request).await.unwrap();
    let configs: Vec<_> = script.requests().into_iter().map(|request| request.config).collect();
    let base = RuntimeConfig::new().with_temperature(0.0).with_extra("min_p", 1);
    let second = base.clone().with_temperature(0.3).with_extra("top_k", 9);
    let later = base.clone().with_max_tokens(7);
    assert_eq!(configs, [base, second, later.clone(), later]);
}

#[tokio::test(start_paused = true)]
async fn reask_shows_the_output_and_the_correction_and_accumulates() {
    let policy = policy()
        .max_attempts(4)
        .reask(|error| format!("fix: {}", error.structured().unwrap().output_content));
    let script = script([structured_failure("one"), unavailable(), structured_failure("two")]);
    let start = Instant::now();
    let request = request();
    RetryLayer::new(policy).layer(script.clone()).oneshot(request.clone()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(2), "only the transient failure is waited for");
    let sent: Vec<_> = script.requests().into_iter().map(|request| request.messages().to_vec()).collect();
    let once = [Message::user("hi"), Message::assistant("one"), Message::user("fix: one")];
    let mut twice = once.to_vec();
    twice.extend([Message::assistant("two"), Message::user("fix: two")]);
    assert_eq!(sent, [vec![Message::user("hi")], once.to_vec(), once.to_vec(), twice]);
    assert_eq!(request.messages(), [Message::user("hi")]);
}

#[tokio::test(start_paused = true)]
async fn reask_shares_the_attempts_and_may_decline() {
    let (answer, calls, _) = run(
        policy().max_attempts(2).reask(|_| "again".into()),
        [structured_failure("a"), structured_failure("b")],
    )
    .await;
    assert_eq!(reasons(&answer.unwrap_err()), ["reask", "not retried: all 2 attempts were made"]);
    assert_eq!(calls, 2);
    let (answer, calls, _) = run(policy().reask(|_| String::new()), [structured_failure("a")]).await;
    assert_eq!(reasons(&answer.unwrap_err()), ["not retried: the reask function gave no text"]);
    assert_eq!(calls, 1);
}

#[tokio::test(start_paused = true)]
async fn output_that_was_cut_off_or_filtered_is_not_sent_back() {
    let cases = [
        ("length", "not retried: the output was cut off by the token limit"),
        ("content_filter", "not retried: the model refused"),
    ];
    for (finish_reason, why) in cases {
        let error = structured_failure_after("{\"a\":", finish_reason);
        let (answer, calls, _) = run(policy().reask(|_| "again".into()), [error]).await;
        assert_eq!((reasons(&answer.unwrap_err()), calls), (vec![why], 1));
    }
    let refusal = structured_failure("").with_kind(ErrorKind::Refusal);
    let (answer, calls, _) = run(policy().reask(|_| "again".into()), [refusal]).await;
    assert_eq!((reasons(&answer.unwrap_err()), calls), (vec!["not retried: the model refused"], 1));
}

#[tokio::test(start_paused = true)]
async fn a_blank_output_is_left_out_of_the_reask() {
    let script = script([structured_failure("")]);
    let policy = policy().reask(|_| "say something".into());
    RetryLayer::new(policy).layer(script.clone()).oneshot(request()).await.unwrap();
    assert_eq!(script.requests()[1].messages(), [Message::user("hi"), Message::user("say something")]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_not_retried_once_it_has_begun_unless_it_is_collected() {
    let steps = || [Step::broken_stream([(0, "par")], unavailable()), Step::stream([(0, "whole")])];
    let streaming = request().with_stream(true);
    let stack = |script: Script| RetryLayer::new(policy()).layer(CollectLayer::new().layer(script));

    let script = Script::new(steps());
    let answer = stack(script.clone()).oneshot(streaming.clone()).await.unwrap();
    assert_eq!(answer.into_response().await.unwrap_err().message(), "down");
    assert_eq!(script.calls(), 1);

    let script = Script::new(steps());
    let seen = Arc::new(Mutex::new(String::new()));
    let mut collected = streaming;
    collected.extensions.insert(CollectStream::observed({
        let seen = seen.clone();
        move |event| {
            if let oa_wire::Event::Content(text) = event {
                seen.lock().unwrap().push_str(text);
            }
        }
    }));
    let answer = stack(script.clone()).oneshot(collected).await.unwrap();
    assert!(matches!(&answer, oa_wire::Completion::Response(response) if response.text() == "whole"));
    assert_eq!((script.calls(), seen.lock().unwrap().as_str()), (2, "parwhole"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_stops_waiting() {
    let script = script([unavailable()]);
    let call = RetryLayer::new(policy()).layer(script.clone()).oneshot(request());
    tokio::time::timeout(Duration::from_secs(1), call).await.unwrap_err();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(script.calls(), 1);
}

#[test]
fn the_layer_shows_what_it_does() {
    assert_eq!(
        format!("{:?}", RetryLayer::default()),
        "RetryLayer { policy: RetryPolicy(Policy { max_attempts: 3, \
         backoff: Exponential(1s, at most 30s, full jitter), max_retry_after: 30s, overrides: 0, \
         reask: false, .. }), budget: true, .. }"
    );
}
