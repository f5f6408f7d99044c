//! The calls of the surface, and what each answers. Every answer that is not a picture is JSON; an error says why in
//! plain words.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cuebox_core::command::wire::{self, WireError};
use cuebox_core::command::{Answer, Envelope, Origin};
use cuebox_core::ids::{CommandId, ShowId, SlotId, Track};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use uuid::Uuid;

use super::limits::{CommandRate, MAX_BODY, MAX_DISCARDED, MAX_EVENT_STREAMS};
use super::{Hub, SubmitError, events, guard};

/// Readers of shows at a time: they take the vault's files and a thread each.
const SHOW_READERS: usize = 2;
/// Bytes that an event stream may send us in one message; nothing is expected of it.
const MAX_EVENT_MESSAGE: usize = 4 * 1024;

/// One of the two ways in, with the bounds that count for it alone: a flood on one leaves the other usable.
pub(super) struct Surface {
    hub: Arc<Hub>,
    origin: Origin,
    rate: CommandRate,
    event_streams: Arc<Semaphore>,
    show_readers: Semaphore,
    stopping: watch::Receiver<bool>,
}

pub(super) fn surface(hub: &Arc<Hub>, origin: Origin, stopping: watch::Receiver<bool>) -> Router {
    let surface = Arc::new(Surface {
        hub: Arc::clone(hub),
        origin,
        rate: CommandRate::new(hub.now()),
        event_streams: Arc::new(Semaphore::new(MAX_EVENT_STREAMS)),
        show_readers: Semaphore::new(SHOW_READERS),
        stopping,
    });
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/commands", post(command))
        .route("/api/v1/events", get(event_stream))
        .route("/api/v1/program/snapshot.jpg", get(program_picture))
        .route("/api/v1/slots/{slot}/snapshot.jpg", get(slot_picture))
        .route("/api/v1/shows", get(shows))
        .route("/api/v1/shows/{id}", get(show))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such call"))
        .method_not_allowed_fallback(async || problem(StatusCode::METHOD_NOT_ALLOWED, "another method belongs here"))
        .layer(middleware::from_fn_with_state(Arc::clone(&surface), admit))
        .with_state(surface)
}

type In = State<Arc<Surface>>;

async fn admit(State(surface): In, request: Request, next: Next) -> Response {
    if surface.origin == Origin::Http
        && let Err(why) = guard::admit(request.headers())
    {
        return problem(StatusCode::FORBIDDEN, why);
    }
    next.run(request).await
}

async fn status(State(surface): In) -> Response {
    fresh(axum::Json(surface.hub.document()).into_response())
}

async fn command(State(surface): In, body: Body) -> Response {
    if let Err(wait) = surface.rate.take(surface.hub.now()) {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        return retry_after(problem(StatusCode::TOO_MANY_REQUESTS, "too many commands"), seconds);
    }
    let body = match timeout(surface.hub.patience.body, read_body(body)).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("a command has at most {MAX_BODY} bytes"));
        }
        Ok(Err(error)) => return problem(StatusCode::BAD_REQUEST, &format!("the body did not arrive: {error}")),
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    match wire::parse_request(&body) {
        Ok(request) => {
            let id = request.id.unwrap_or_else(new_id);
            carry_out(&surface, Envelope { id, origin: surface.origin, command: request.command }).await
        }
        Err(error) => not_understood(&body, &error),
    }
}

/// `None`: longer than a command may be. What is too long is read on, up to a bound, and thrown away.
async fn read_body(mut body: Body) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut kept = Vec::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        total += data.len();
        if total <= MAX_BODY {
            kept.extend_from_slice(&data);
        } else if total > MAX_DISCARDED {
            return Ok(None);
        }
    }
    Ok((total <= MAX_BODY).then_some(kept))
}

async fn carry_out(surface: &Surface, envelope: Envelope) -> Response {
    let deps = &surface.hub.deps;
    let id = envelope.id.clone();
    let answered = timeout(surface.hub.patience.answer, async {
        let expected = deps.answers.expect(&id).await;
        (deps.submit)(envelope)?;
        expected.answer().await.ok_or(SubmitError::Stopping)
    });
    match answered.await {
        Ok(Ok(answer)) => (status_of(&answer), axum::Json(answer.to_json(&id))).into_response(),
        Ok(Err(SubmitError::Busy)) => {
            retry_after(problem(StatusCode::TOO_MANY_REQUESTS, "too many commands are waiting"), 1.0)
        }
        Ok(Err(SubmitError::Stopping)) => problem(StatusCode::SERVICE_UNAVAILABLE, "the box is stopping"),
        Err(_) => {
            let why = "no answer in time; send it again with the same id to learn what it came to";
            (StatusCode::GATEWAY_TIMEOUT, axum::Json(json!({ "id": id, "result": "unknown", "why": why })))
                .into_response()
        }
    }
}

const fn status_of(answer: &Answer) -> StatusCode {
    match answer {
        Answer::Done | Answer::Report { .. } | Answer::Duplicate { .. } => StatusCode::OK,
        Answer::Refused { .. } | Answer::Conflict { .. } => StatusCode::CONFLICT,
    }
}

/// A body that is no command. Its id is given back if it has one that can be read.
fn not_understood(body: &[u8], error: &WireError) -> Response {
    let given = serde_json::from_slice::<Value>(body).ok().and_then(|body| {
        let id = body.get("id")?.as_str()?;
        (id.chars().count() <= wire::MAX_ID_CHARS).then(|| CommandId::new(id))
    });
    let (status, result, id) = if error.is_refusal() {
        (StatusCode::CONFLICT, "refused", Some(given.unwrap_or_else(new_id)))
    } else {
        (StatusCode::BAD_REQUEST, "malformed", given)
    };
    (status, axum::Json(json!({ "id": id, "result": result, "why": error.to_string() }))).into_response()
}

fn new_id() -> CommandId {
    CommandId::new(Uuid::now_v7().to_string())
}

async fn event_stream(State(surface): In, upgrade: WebSocketUpgrade) -> Response {
    let Ok(permit) = Arc::clone(&surface.event_streams).try_acquire_owned() else {
        let why = format!("there are {MAX_EVENT_STREAMS} event streams already");
        return retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, &why), 5.0);
    };
    upgrade
        .max_message_size(MAX_EVENT_MESSAGE)
        .max_frame_size(MAX_EVENT_MESSAGE)
        // Every event is flushed at once, so nothing but the one that is being sent is ever in here.
        .write_buffer_size(0)
        .on_upgrade(async move |socket| {
            events::serve(socket, &surface.hub, surface.stopping.clone()).await;
            drop(permit);
        })
}

async fn program_picture(State(surface): In) -> Response {
    picture(&surface, Some(Track::Program)).await
}

async fn slot_picture(State(surface): In, Path(slot): Path<String>) -> Response {
    picture(&surface, slot.parse().ok().and_then(SlotId::new).map(Track::Slot)).await
}

/// It may have to be made first, which takes milliseconds at best.
async fn picture(surface: &Surface, track: Option<Track>) -> Response {
    let make = surface.hub.deps.picture.clone();
    let made = tokio::task::spawn_blocking(move || track.and_then(|track| make(track))).await;
    match made.ok().flatten() {
        Some(jpeg) => fresh(([(header::CONTENT_TYPE, "image/jpeg")], Bytes::from_owner(jpeg)).into_response()),
        None => problem(StatusCode::NOT_FOUND, "there is no picture of it"),
    }
}

async fn shows(State(surface): In) -> Response {
    match read_shows(&surface, |shows| shows.list()).await {
        Ok(list) => fresh(axum::Json(list).into_response()),
        Err(response) => response,
    }
}

async fn show(State(surface): In, Path(id): Path<String>) -> Response {
    // An id is a folder's name; what cannot be one is not looked for.
    if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return problem(StatusCode::NOT_FOUND, "no such show");
    }
    match read_shows(&surface, move |shows| shows.show(&ShowId::new(id))).await {
        Ok(Some(show)) => fresh(axum::Json(show).into_response()),
        Ok(None) => problem(StatusCode::NOT_FOUND, "no such show"),
        Err(response) => response,
    }
}

async fn read_shows<T: Send + 'static>(
    surface: &Surface,
    read: impl FnOnce(&dyn super::Shows) -> Result<T, String> + Send + 'static,
) -> Result<T, Response> {
    let _place = surface.show_readers.acquire().await;
    let shows = Arc::clone(&surface.hub.deps.shows);
    match tokio::task::spawn_blocking(move || read(&*shows)).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(why)) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, &why)),
        Err(error) => {
            tracing::error!(%error, "reading shows failed");
            Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "reading shows failed"))
        }
    }
}

fn problem(status: StatusCode, why: &str) -> Response {
    (status, axum::Json(json!({ "error": why }))).into_response()
}

fn retry_after(mut response: Response, seconds: f64) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// What is shown is of this moment: no cache may keep it.
fn fresh(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
