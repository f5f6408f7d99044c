//! Tokens are renewed before they end, and hold when the service is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::post;
use cuebox_core::config::{Secret, TokenSource};
use cuebox_core::credentials::{CredentialError, CredentialSource as _};
use serde_json::json;

use super::bench::{KEY, Stage, asking, eventually, livekit_leg, log, now_s, token};

/// Gives a new token of `life_s` at each call while it is well; counts the calls.
fn tokens(life_s: i64) -> (Router, Arc<AtomicU64>, Arc<AtomicBool>) {
    let (calls, well) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
    let (count, is_well) = (calls.clone(), well.clone());
    let create = post(move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        if !is_well.load(Ordering::Relaxed) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        axum::Json(json!({"token": token(life_s), "server_url": "wss://sfu.example"})).into_response()
    });
    (Router::new().route("/v1/tokens/create", create), calls, well)
}

#[test]
fn a_token_is_renewed_before_it_ends_while_nobody_asks() {
    let stage = Stage::new();
    let (router, calls, _) = tokens(5);
    let leg = asking(&format!("http://{}", stage.serve(router)));
    let first = stage.ask(&leg).unwrap();
    eventually("it is renewed twice", || calls.load(Ordering::Relaxed) >= 3);
    let newest = stage.ask(&leg).unwrap();
    assert!(newest.expires_unix_s > first.expires_unix_s, "{newest:?} {first:?}");
    assert!(!log().contains(KEY) && !log().contains(newest.secret.reveal()), "a secret was logged");
}

#[test]
fn the_last_token_holds_while_the_service_is_down_until_it_ends() {
    let stage = Stage::new();
    let (router, _, well) = tokens(6);
    let leg = asking(&format!("http://{}", stage.serve(router)));
    let first = stage.ask(&leg).unwrap();
    well.store(false, Ordering::Relaxed);
    let end = first.expires_unix_s.unwrap();
    let mut held = 0;
    let (gate, wake) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
    let ended = loop {
        let before = now_s();
        match stage.ask(&leg) {
            Ok(credentials) => {
                assert!(before < end, "given after its end");
                assert_eq!(credentials, first);
                held += u32::from(before + 1 >= end);
            }
            Err(error) => break error,
        }
        let _ = wake.wait_timeout(gate.lock().unwrap(), Duration::from_millis(100)).unwrap();
    };
    assert!(now_s() >= end && held > 0, "given up before its end");
    assert!(matches!(ended, CredentialError::Unavailable(_)), "{ended}");
    assert!(ended.to_string().contains("it fails (503)"), "{ended}");
    well.store(true, Ordering::Relaxed);
    assert!(stage.ask(&leg).is_ok());
}

#[test]
fn a_rejected_token_is_never_given_again() {
    let stage = Stage::new();
    let (router, calls, well) = tokens(3600);
    let leg = asking(&format!("http://{}", stage.serve(router)));
    stage.ask(&leg).unwrap();
    stage.platform.refreshed(&leg, Secret::new(token(600)));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    stage.platform.rejected(&leg);
    well.store(false, Ordering::Relaxed);
    assert!(stage.ask(&leg).is_err(), "there is none that was not rejected");
    well.store(true, Ordering::Relaxed);
    assert!(stage.ask(&leg).is_ok());
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn another_configuration_of_a_leg_begins_with_nothing() {
    let stage = Stage::new();
    let (router, calls, _) = tokens(3600);
    let mut leg = asking(&format!("http://{}", stage.serve(router)));
    stage.ask(&leg).unwrap();
    leg.uplink = Some(2);
    stage.ask(&leg).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_token_of_the_servers_own_is_given_while_it_lasts() {
    let stage = Stage::new();
    let source = TokenSource::Fixed(Secret::new(token(3600)));
    let mut leg = livekit_leg("fixed", source);
    let cuebox_core::config::LegTarget::Livekit(target) = &mut leg.target else { panic!("a LiveKit leg") };
    target.url = Some(cuebox_core::config::Url::new("wss://sfu.example"));
    let own = token(600);
    stage.platform.refreshed(&leg, Secret::new(own.clone()));
    assert_eq!(stage.ask(&leg).unwrap().secret.reveal(), own);
    stage.platform.refreshed(&leg, Secret::new(token(5)));
    assert_ne!(stage.ask(&leg).unwrap().secret.reveal(), own, "too little is left of it");
}
