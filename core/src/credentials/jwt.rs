//! LiveKit's access tokens: signing one, and reading when one ends.
//!
//! A token is a JSON Web Token (RFC 7519), HS256, with the room's rights under `video`. "Not before" is left out: a box
//! whose clock is a minute ahead would be turned away for it, and it protects nothing here.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::config::Secret;

/// How long a token that is made here may be used to join, seconds. A session goes on after it.
const LIFE_S: u64 = 6 * 3600;
/// End of a token that is made while nobody knows the time: 2100-01-01. A box without a clock would otherwise sign
/// tokens that ended in 1970.
const FAR_UNIX_S: u64 = 4_102_444_800;
/// No token that ends somewhere is longer; what is, is not read.
const MAX_BYTES: usize = 64 * 1024;

/// Who may enter which room.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    pub room: &'a str,
    pub identity: &'a str,
    /// What people see.
    pub name: &'a str,
}

/// Signs a pass: join, publish, send data, change one's own attributes. `now_unix_s`: `None` when the clock is not to
/// be believed.
///
/// Returns the token and its end, seconds since 1970; `None` when the secret cannot be a key.
pub fn mint(key: &str, secret: &Secret, pass: &Pass<'_>, now_unix_s: Option<u64>) -> Option<(Secret, u64)> {
    let expires = now_unix_s.map_or(FAR_UNIX_S, |now| now.saturating_add(LIFE_S));
    let claims = json!({
        "iss": key,
        "sub": pass.identity,
        "name": pass.name,
        "exp": expires,
        "video": {
            "roomJoin": true,
            "room": pass.room,
            "canPublish": true,
            "canPublishData": true,
            // Whoever may subscribe is offered a second connection, which nobody needs here.
            "canSubscribe": false,
            "canUpdateOwnMetadata": true,
        },
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
    let signature = sign(secret.reveal().as_bytes(), &signed)?;
    Some((Secret::new(format!("{signed}.{signature}")), expires))
}

fn sign(key: &[u8], signed: &str) -> Option<String> {
    let mut signature = Hmac::<Sha256>::new_from_slice(key).ok()?;
    signature.update(signed.as_bytes());
    Some(BASE64_URL_SAFE_NO_PAD.encode(signature.finalize().into_bytes()))
}

/// When a token ends, seconds since 1970. It is not verified, which is the server's to do. `None`: it does not say so,
/// or it is no such token.
pub fn expiry(token: &Secret) -> Option<u64> {
    let token = token.reveal();
    if token.len() > MAX_BYTES {
        return None;
    }
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let exp = claims.get("exp")?;
    // RFC 7519 allows a number with a fraction; a cast of one holds at the ends of the range.
    exp.as_u64().or_else(|| exp.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Secret {
        Secret::new(format!("e30.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn what_is_signed_says_who_may_do_what_until_when() {
        let pass = Pass { room: "wedding-42", identity: "hall-1", name: "Hall 1" };
        let (token, expires) = mint("devkey", &Secret::new("secret"), &pass, Some(1_000_000)).unwrap();
        assert_eq!(expires, 1_000_000 + LIFE_S);
        assert_eq!(expiry(&token), Some(expires));
        let claims = token.reveal().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(claims["iss"], "devkey");
        assert_eq!(claims["sub"], "hall-1");
        assert_eq!(claims["video"]["room"], "wedding-42");
        assert_eq!(claims["video"]["canUpdateOwnMetadata"], true);
        assert!(claims.get("nbf").is_none());
    }

    #[test]
    fn the_signature_is_that_of_rfc_7515_appendix_a_1() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                      Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let key = BASE64_URL_SAFE_NO_PAD.decode(key).unwrap();
        assert_eq!(sign(&key, signed).unwrap(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn without_a_clock_a_token_lasts() {
        let pass = Pass { room: "r", identity: "i", name: "n" };
        let (token, expires) = mint("k", &Secret::new("s"), &pass, None).unwrap();
        assert_eq!(expires, FAR_UNIX_S);
        assert_eq!(expiry(&token), Some(FAR_UNIX_S));
    }

    #[test]
    fn an_end_is_read_where_there_is_one() {
        assert_eq!(expiry(&token(r#"{"exp":1700000000}"#)), Some(1_700_000_000));
        assert_eq!(expiry(&token(r#"{"exp":1700000000.5}"#)), Some(1_700_000_000));
        for none in [r#"{"exp":"1700000000"}"#, r#"{"exp":-1}"#, r#"{"iat":1}"#, "[]", "{", ""] {
            assert_eq!(expiry(&token(none)), None, "{none}");
        }
        for none in ["", "opaque", "a.b", "a.b.c", "..", "a.!!!.c", "a.b.c.d", "ü.ü.ü"] {
            assert_eq!(expiry(&Secret::new(none)), None, "{none}");
        }
        assert_eq!(expiry(&Secret::new(format!("a.{}.c", "A".repeat(MAX_BYTES)))), None);
    }
}
