//! Performs what was authorized and recorded, each kind of point in its own way.

use crate::approvals::Asker;
use crate::live::Live;
use crate::{seals, spawn};
use bytes::Bytes;
use lockgate_authority::{Format, PointKind, ReasonCode, Value};
use lockgate_crossing::{
    Acted, Asked, Effects, Failed, Outcome, Pending, Ready, Target, Way, check_content, content_of,
};
use lockgate_effects::EffectError;
use lockgate_effects::http::{BodyStream, HttpLimits, HttpRequest, HttpResponse, Reach};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Largest part of a response's body that one crossing hands over, in bytes.
const BODY_PART: usize = 64 << 10;
/// Most bytes of randomness one crossing hands over.
const MAX_RANDOM: u64 = 64 << 10;
/// How long a tool may take where the grant says nothing.
const TOOL_TIMEOUT: Duration = Duration::from_secs(60);

/// Effects on behalf of one cell.
pub(crate) struct CellEffects<'a>(pub(crate) &'a Arc<Live>);

impl Effects for CellEffects<'_> {
    fn act(&self, ready: Ready) -> Acted {
        let live = self.0;
        match ready.kind() {
            PointKind::Log => Acted::Now(log(live, ready)),
            PointKind::Random => Acted::Now(random(ready)),
            PointKind::Clock if ready.op() == "now" => Acted::Now(now(live, ready)),
            PointKind::Endorse if live.session.needed_receipt(ready.name()).is_some() => {
                act_later(live, ready);
                Acted::Later
            }
            PointKind::Sealed | PointKind::Endorse | PointKind::Declassify => Acted::Now(unchanged(ready)),
            // Reads of a store are answered from its page cache in microseconds; those of sealed values take turns.
            PointKind::Kv if ready.grant().seal().is_none() => Acted::Now(key_value(live, ready)),
            _ => {
                act_later(live, ready);
                Acted::Later
            }
        }
    }

    fn wait(&self, pending: Pending) {
        let live = Arc::clone(self.0);
        let gate = Arc::clone(&live.gate);
        pending.when_durable(gate.recorder(), move |durable| match durable {
            Ok(ready) => act_later(&live, ready),
            Err(outcome) => {
                let gate = Arc::clone(&live.gate);
                drop(gate.runtime().spawn(async move { live.settle(outcome) }));
            }
        });
    }

    fn ask(&self, asked: Asked) {
        self.0.question_opens();
        self.0.session.ask(asked, Asker::Cell(Arc::downgrade(self.0)));
    }
}

/// Performs an effect on the gate's runtime and settles it when it is done.
fn act_later(live: &Arc<Live>, ready: Ready) {
    let live = Arc::clone(live);
    let gate = Arc::clone(&live.gate);
    let runtime = gate.runtime();
    match ready.kind() {
        PointKind::Fs => drop(runtime.spawn_blocking(move || live.settle(files(&live, ready)))),
        PointKind::Kv => drop(runtime.spawn_blocking(move || live.settle(key_value(&live, ready)))),
        PointKind::Endorse => drop(runtime.spawn_blocking(move || live.settle(with_receipt(&live, ready)))),
        PointKind::Cell if ready.op() == "spawn" => {
            drop(runtime.spawn_blocking(move || {
                let outcome = spawn::spawn(&live, ready);
                live.settle(outcome);
            }));
        }
        _ => drop(runtime.spawn(async move {
            let outcome = match ready.kind() {
                PointKind::Http => http(&live, ready).await,
                PointKind::Tool => tool(&live, ready).await,
                PointKind::Clock => sleep(ready).await,
                PointKind::Cell => spawn::child(&live, ready).await,
                PointKind::Parent => spawn::parent(&live, ready).await,
                _ => unsupported(ready),
            };
            live.settle(outcome);
        })),
    }
}

fn unsupported(ready: Ready) -> Outcome {
    let message = format!("there is no operation `{}`", ready.op());
    ready.outcome(Err(Failed::new(ReasonCode::UnknownOperation, message)))
}

fn failed(error: EffectError) -> Failed {
    Failed::new(error.code, error.message)
}

fn log(live: &Live, ready: Ready) -> Outcome {
    let text = ready.args().get("text").and_then(Value::as_text).unwrap_or_default();
    (live.on_log)(live.held.principal(), ready.op(), text);
    ready.outcome(Ok(Value::Null))
}

fn random(ready: Ready) -> Outcome {
    let count = ready.args().get("n").and_then(Value::as_u64).unwrap_or(0);
    if count > MAX_RANDOM {
        let message = format!("at most {MAX_RANDOM} bytes at a time");
        return ready.outcome(Err(Failed::new(ReasonCode::TooLarge, message)));
    }
    let mut bytes = vec![0; count as usize];
    let result = match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(Value::Bytes(bytes)),
        Err(_) => Err(Failed::new(ReasonCode::EffectFailed, "the operating system gave no random bytes")),
    };
    ready.outcome(result)
}

fn now(live: &Live, ready: Ready) -> Outcome {
    let now = live.session.clock_ms(live.gate.now_us());
    ready.outcome(Ok(Value::Float(now)))
}

/// What was sealed, as it is: opened, or kept once more with another label.
fn unchanged(mut ready: Ready) -> Outcome {
    let value = match ready.take_args() {
        _ if ready.op() == "drop" => Value::Null,
        Value::Map(entries) => take(entries, "value"),
        _ => Value::Undefined,
    };
    ready.outcome(Ok(value))
}

/// What is endorsed only if somebody else has left the receipt for these bytes.
fn with_receipt(live: &Live, ready: Ready) -> Outcome {
    let value = ready.args().get("value").unwrap_or(&Value::Undefined);
    let found = match live.session.needed_receipt(ready.name()) {
        Some(needed) => live.gate.has_receipt(needed, &content_of(value)),
        None => Ok(true),
    };
    match found {
        Ok(true) => unchanged(ready),
        Ok(false) => ready.outcome(Err(Failed::new(ReasonCode::NoReceipt, ReasonCode::NoReceipt.description()))),
        Err(failed) => ready.outcome(Err(failed)),
    }
}

/// One of a map's entries; nothing where there is none.
pub(crate) fn take(entries: Vec<(String, Value)>, key: &str) -> Value {
    entries.into_iter().find(|(name, _)| name == key).map_or(Value::Undefined, |(_, value)| value)
}

async fn sleep(ready: Ready) -> Outcome {
    let ms = ready.args().get("ms").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 1e12);
    tokio::time::sleep(Duration::from_secs_f64(ms / 1000.0)).await;
    ready.outcome(Ok(Value::Null))
}

fn key_value(live: &Live, mut ready: Ready) -> Outcome {
    let store = match live.gate.stores() {
        Ok(stores) => stores,
        Err(error) => return ready.outcome(Err(failed(error))),
    };
    if let Some(seal) = ready.grant().seal() {
        return seals::values(live, store, ready, &seal);
    }
    let args = ready.take_args();
    let result = store.perform(live.session.agent(), ready.name(), ready.op(), &args);
    ready.outcome(result.map_err(failed))
}

fn files(live: &Live, mut ready: Ready) -> Outcome {
    if let Some(seal) = ready.grant().seal() {
        return seals::files(live, ready, &seal);
    }
    let args = ready.take_args();
    let result = match (live.session.directory(ready.name()), ready.target()) {
        (Some(directory), Target::Path(path)) => directory.perform(ready.op(), path, &args, ready.allowance()),
        _ => Err(EffectError::new(ReasonCode::Internal, "the directory is gone")),
    };
    let written = args.get("data").map_or(0, Value::weight);
    let outcome = ready.outcome(result.map_err(failed));
    if written > 0 { outcome.received(0) } else { outcome }
}

async fn tool(live: &Live, mut ready: Ready) -> Outcome {
    let args = ready.take_args();
    let timeout = ready.grant().timeout_ms().map_or(TOOL_TIMEOUT, Duration::from_millis);
    let result = match live.session.tool_server(ready.name()) {
        Some(server) => server.call(ready.op(), args, timeout).await.map_err(failed),
        None => Err(Failed::new(ReasonCode::ToolUnavailable, "the tool server is gone")),
    };
    ready.outcome(result)
}

async fn http(live: &Arc<Live>, ready: Ready) -> Outcome {
    match (ready.op(), ready.target()) {
        ("request", Target::Url { .. }) => request(live, ready).await,
        ("body", Target::Continued { number }) => {
            let number = *number;
            body(live, ready, number).await
        }
        ("cancel", Target::Continued { number }) => {
            let number = *number;
            live.lock().streams.remove(&number);
            ready.outcome(Ok(Value::Null)).closing(number)
        }
        _ => unsupported(ready),
    }
}

async fn request(live: &Arc<Live>, mut ready: Ready) -> Outcome {
    let args = ready.take_args();
    let request = match to_request(&ready, &args) {
        Ok(request) => request,
        Err(failed) => return ready.outcome(Err(failed)),
    };
    let mut limits =
        HttpLimits { body_bytes: ready.grant().response_bytes().unwrap_or(u64::MAX), ..HttpLimits::default() };
    limits.body_bytes = limits.body_bytes.min(HttpLimits::default().body_bytes);
    if let Some(ms) = ready.grant().timeout_ms() {
        limits.total = Duration::from_millis(ms);
    }
    let formats: Mutex<Vec<Format>> = Mutex::new(ready.grant().formats().cloned().collect());
    let sent = {
        let rule = |url: &lockgate_authority::CanonicalUrl, method: &str| {
            let now_ms = live.gate.now_us() / 1000;
            let usage = live.session.book.usage();
            ready.allows_url(url, method, now_ms, &usage).map(|grant| {
                // Wherever it was led, each grant on the way says what may come back.
                let mut formats = formats.lock().unwrap_or_else(PoisonError::into_inner);
                formats.extend(grant.formats().cloned());
                reach(grant.allows_private())
            })
        };
        live.http().send(request, &rule, &limits).await
    };
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => return ready.outcome(Err(failed(error))),
    };
    let formats = formats.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !formats.is_empty()
        && let Err(failed) = typed(live, &ready, &formats, &mut response).await
    {
        return ready.outcome(Err(failed));
    }
    if ready.is_kept() {
        let result = whole(response, ready.allowance()).await;
        return ready.outcome(result.map_err(failed));
    }
    let stream = response.body.map(|body| {
        let mut state = live.lock();
        let number = state.number();
        state.streams.insert(number, Arc::new(tokio::sync::Mutex::new(body)));
        number
    });
    let body = stream.map_or(Value::Null, |number| Value::Int(i64::from(number)));
    let head = (response.status, response.status_text, response.url, response.headers);
    let outcome = ready.outcome(Ok(answer(head, body)));
    match stream {
        Some(number) => outcome.opening(number),
        None => outcome,
    }
}

/// Reads a response's body whole and holds it against the forms that it must have, before any of it is handed over.
async fn typed(live: &Live, ready: &Ready, formats: &[Format], response: &mut HttpResponse) -> Result<(), Failed> {
    let Some(mut body) = response.body.take() else { return Ok(()) };
    let bytes = collect(&mut body, ready.allowance()).await.map_err(failed)?;
    let content = Value::Bytes(bytes);
    let usage = live.session.book.usage();
    let grants = live.held.for_handle(PointKind::Http, PointKind::Http.as_str());
    let reach = lockgate_decode::Reach { grants, usage: &usage, now_ms: live.gate.now_us() / 1000 };
    let schemas = live.session.book.schemas();
    check_content(&content, formats, &ready.grant().point().to_string(), schemas, &reach, Way::In)?;
    if let Value::Bytes(bytes) = content {
        response.body = Some(BodyStream::whole(Bytes::from(bytes)));
    }
    Ok(())
}

async fn collect(body: &mut BodyStream, most: u64) -> Result<Vec<u8>, EffectError> {
    let mut bytes = Vec::new();
    while let Some(part) = body.next_chunk(BODY_PART).await? {
        if (bytes.len() + part.len()) as u64 > most {
            let message = format!("the response is larger than the {most} bytes that can be kept");
            return Err(EffectError::new(ReasonCode::TooLarge, message));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

type Head = (u16, String, lockgate_authority::CanonicalUrl, Vec<(String, String)>);

fn answer((status, status_text, url, headers): Head, body: Value) -> Value {
    let headers = headers.into_iter().map(|(name, value)| Value::List(vec![Value::Text(name), Value::Text(value)]));
    Value::map([
        ("status", Value::Int(i64::from(status))),
        ("status_text", Value::Text(status_text)),
        ("url", Value::text(url.as_str())),
        ("headers", Value::List(headers.collect())),
        ("body", body),
    ])
}

/// A response with its body, of at most `most` bytes: what is sealed cannot be asked for in parts.
async fn whole(response: HttpResponse, most: u64) -> Result<Value, EffectError> {
    let bytes = match response.body {
        Some(mut body) => collect(&mut body, most).await?,
        None => Vec::new(),
    };
    let head = (response.status, response.status_text, response.url, response.headers);
    Ok(answer(head, Value::Bytes(bytes)))
}

fn reach(private: bool) -> Reach {
    if private { Reach::PrivateToo } else { Reach::PublicOnly }
}

fn to_request(ready: &Ready, args: &Value) -> Result<HttpRequest, Failed> {
    let malformed = |message: &str| Failed::new(ReasonCode::Malformed, message);
    let Target::Url { url, method } = ready.target() else { return Err(malformed("`url` is missing")) };
    let mut headers = Vec::new();
    for pair in args.get("headers").and_then(Value::as_list).unwrap_or_default() {
        let [Value::Text(name), Value::Text(value)] = pair.as_list().unwrap_or_default() else {
            return Err(malformed("a header is not a pair of texts"));
        };
        headers.push((name.clone(), value.clone()));
    }
    let body = match args.get("body") {
        None | Some(Value::Null | Value::Undefined) => Bytes::new(),
        Some(Value::Text(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(Value::Bytes(bytes)) => Bytes::copy_from_slice(bytes),
        Some(_) => return Err(malformed("`body` is neither text nor bytes")),
    };
    let reach = reach(ready.grant().allows_private());
    Ok(HttpRequest { method: method.clone(), url: (**url).clone(), headers, body, reach })
}

async fn body(live: &Arc<Live>, ready: Ready, number: u32) -> Outcome {
    let stream = live.lock().streams.get(&number).cloned();
    let Some(stream) = stream else {
        return ready.outcome(Err(Failed::new(ReasonCode::UnknownStream, "the cell has no such open stream")));
    };
    let most = BODY_PART.min(usize::try_from(ready.allowance()).unwrap_or(BODY_PART));
    let part = stream.lock().await.next_chunk(most).await;
    match part {
        Ok(Some(bytes)) => ready.outcome(Ok(Value::Bytes(bytes.to_vec()))),
        Ok(None) => {
            live.lock().streams.remove(&number);
            ready.outcome(Ok(Value::Null)).closing(number)
        }
        Err(error) => {
            live.lock().streams.remove(&number);
            ready.outcome(Err(failed(error))).closing(number)
        }
    }
}
