//! What is said of each mistake in a `[[leg]]`.

use super::legs::leg;
use super::problems;

/// What follows the kind of a leg → what is said. The kind is in line 3.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("hls", "", &["3: leg.kind: is \"hls\" (allowed: \"livekit\", \"rtmp\", \"srt\", \"whip\")"]),
    // LiveKit
    ("livekit", "url = \"wss://h\"", &["1: leg.token: is missing (allowed: TOKEN)"]),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = \"x\"",
        &["5: leg.token: is text (allowed: one table, written [leg.token])"],
    ),
    ("livekit", "url = \"wss://h\"\ntoken = {}", &["5: leg.token: gives no token (allowed: TOKEN)"]),
    ("livekit", "token = { file = \"key\" }", &["1: leg.url: is missing (allowed: \"wss://…\", \"ws://…\")"]),
    (
        "livekit",
        "url = \"https://h\"\ntoken = { file = \"key\" }",
        &["4: leg.url: begins with \"https\" (allowed: \"wss://HOST[:PORT]/…\", \"ws://HOST[:PORT]/…\")"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"key\" }\npublish = \"slots\"",
        &["6: leg.publish: is \"slots\" (allowed: \"program\", \"program+slots\")"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"key\" }\nstream_key = \"k\"",
        &[
            "6: leg.stream_key: is unknown (allowed: ca_file, ice_servers, identity, kind, name, proves_s, publish, room, token, uplink, url)",
        ],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { key = \"k\", secret_file = \"key\" }",
        &["1: leg.room: is missing (allowed: the room that the token is made for)"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\nroom = \"\"\ntoken = { key = \"k\", secret_file = \"key\" }",
        &["5: leg.room: is empty (allowed: 1–128 characters of text)"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\nroom = \"r\"\ntoken = { key = \"k\" }",
        &["6: leg.token.secret_file: is missing (allowed: a file with the secret of that API key)"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\nroom = \"r\"\ntoken = { secret_file = \"key\" }",
        &["6: leg.token.key: is missing (allowed: the name of the server's API key)"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\nroom = \"r\"\ntoken = { key = \"k\", secret_file = \"key\", file = \"key\" }",
        &["6: leg.token.file: is given beside key: a token is given or made, not both"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"gone\" }",
        &["5: leg.token.file: cannot be read: no such file (allowed: a readable file, or the name of a credential)"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"key\", value = \"x\" }",
        &["5: leg.token.value: is given beside file (allowed: one of the two)"],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"key\" }\nice_servers = [\"http://s\"]",
        &[
            "6: leg.ice_servers: begins with \"http\" (allowed: \"stun://HOST:PORT\", \"turn://USER:PASSWORD@HOST:PORT\", \"turns://…\")",
        ],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"key\" }\nice_servers = [\"turn://t:3478\"]",
        &[
            "6: leg.ice_servers: has a relay without user name and password (allowed: \"stun://HOST:PORT\", \"turn://USER:PASSWORD@HOST:PORT\", \"turns://…\")",
        ],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { file = \"key\" }\nice_servers = [1]",
        &["6: leg.ice_servers: holds something that is not text (allowed: a list of texts: [\"a\", \"b\"])"],
    ),
    // Services
    (
        "livekit",
        "token = { service = \"https://h/t\" }",
        &["1: leg.room: is missing (allowed: the room that the service is asked about)"],
    ),
    (
        "livekit",
        "room = \"r\"\ntoken = { service = \"http://h/t\" }",
        &[
            "5: leg.token.service: would send the key unencrypted over the network (allowed: \"https://…\", or http:// to this machine)",
        ],
    ),
    (
        "livekit",
        "room = \"r\"\ntoken = { service = \"https://h/t\", file = \"key\" }",
        &["5: leg.token.file: is given beside service, which tells the token"],
    ),
    (
        "livekit",
        "room = \"r\"\ntoken = { service = \"https://h/t\", header = \"X Key\", key_file = \"key\" }",
        &["5: leg.token.header: is \"X Key\" (allowed: 1–64 of A–Z, a–z, 0–9 and -)"],
    ),
    (
        "livekit",
        "room = \"r\"\ntoken = { service = \"https://h/t\", shape = \"soap\" }",
        &["5: leg.token.shape: is \"soap\" (allowed: \"pulse\", \"creator\", \"custom\")"],
    ),
    (
        "livekit",
        "room = \"r\"\ntoken = { service = \"https://h/t\", body = \"{}\" }",
        &["5: leg.token.body: goes with shape = \"custom\" only"],
    ),
    (
        "livekit",
        "room = \"r\"\ntoken = { service = \"https://h/t\", shape = \"custom\", url_at = \"/u\" }",
        &[
            "5: leg.token.body: is missing (allowed: the request as JSON text)",
            "5: leg.token.token_at: is missing (allowed: a JSON pointer like \"/data/token\")",
        ],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { service = \"https://h/t\", shape = \"custom\", body = \"{r\", token_at = \"t\" }",
        &[
            "5: leg.token.body: is not JSON (allowed: JSON in which {room}, {identity} and {name} are filled in)",
            "5: leg.token.token_at: is \"t\" (allowed: a JSON pointer like \"/data/token\")",
        ],
    ),
    (
        "livekit",
        "url = \"wss://h\"\ntoken = { service = \"https://h/t\", shape = \"custom\", body = '{\"a\":\"{user}\"}', token_at = \"/t~2\" }",
        &[
            "5: leg.token.body: holds {user}, which nothing is filled into (allowed: JSON in which {room}, {identity} and {name} are filled in)",
            "5: leg.token.token_at: is \"/t~2\" (allowed: a JSON pointer like \"/data/token\")",
        ],
    ),
    (
        "livekit",
        "token = { service = \"https://h/t\", shape = \"custom\", body = '{\"a\":\"{room}\"}', token_at = \"/t\" }",
        &[
            "1: leg.room: is missing (allowed: the room that the service is asked about)",
            "1: leg.url: is missing (allowed: \"wss://…\", \"ws://…\")",
        ],
    ),
    // RTMP
    ("rtmp", "", &["1: leg.url: is missing (allowed: \"rtmp://…\", \"rtmps://…\", or an ingress in its place)"]),
    (
        "rtmp",
        "url = \"rtmp://h/l/k\"\nroom = \"r\"\nidentity = \"i\"",
        &["5: leg.room: goes with ingress only", "6: leg.identity: goes with ingress only"],
    ),
    (
        "rtmp",
        "url = \"rtmp://h/l/k\"\nstream_key_file = \"key\"\nroom = \"r\"\ningress = { service = \"https://h/t\" }",
        &[
            "4: leg.url: is given beside ingress, which tells it",
            "5: leg.stream_key_file: is given beside ingress, which tells it",
        ],
    ),
    (
        "rtmp",
        "ingress = { service = \"https://h/t\" }",
        &["1: leg.room: is missing (allowed: the room that the service makes an ingress for)"],
    ),
    (
        "rtmp",
        "room = \"r\"\ningress = { service = \"https://h/t\", shape = \"creator\" }",
        &["5: leg.ingress.shape: is \"creator\" (allowed: \"pulse\", \"custom\")"],
    ),
    (
        "rtmp",
        "room = \"r\"\ningress = { service = \"https://h/t\", shape = \"custom\", body = \"{}\", token_at = \"/k\" }",
        &["5: leg.ingress.url_at: is missing (allowed: a JSON pointer like \"/data/token\")"],
    ),
    // SRT
    ("srt", "", &["1: leg.url: is missing (allowed: \"srt://HOST:PORT\")"]),
    ("srt", "url = \"srt://h\"", &["4: leg.url: has no port (allowed: \"srt://HOST:PORT\")"]),
    ("srt", "url = \"srt://:9000\"", &["4: leg.url: names no host (allowed: \"srt://HOST:PORT\")"]),
    (
        "srt",
        "mode = \"listener\"\nurl = \"srt://:\"",
        &["5: leg.url: has a port that is not 1–65535 (allowed: \"srt://:PORT\", \"srt://ADDRESS:PORT\")"],
    ),
    (
        "srt",
        "url = \"srt://h:9000?passphrase=hunter2hunter2\"",
        &[
            "4: leg.url: holds options: passphrase_file, stream_id, mode and latency_ms are keys of their own (allowed: \"srt://HOST:PORT\")",
        ],
    ),
    (
        "srt",
        "url = \"srt://h:9000\"\nmode = \"rendezvous\"",
        &["5: leg.mode: is \"rendezvous\" (allowed: \"caller\", \"listener\")"],
    ),
    (
        "srt",
        "url = \"srt://h:9000\"\npassphrase_file = \"key\"",
        &["5: leg.passphrase_file: has 6 bytes (allowed: 10–79 bytes)"],
    ),
    (
        "srt",
        "url = \"srt://h:9000\"\npassphrase_file = \"passphrase\"\npassphrase = \"x\"",
        &["6: leg.passphrase: is given beside passphrase_file (allowed: one of the two)"],
    ),
    ("srt", "url = \"srt://h:9000\"\nlatency_ms = 5", &["5: leg.latency_ms: is 5 (allowed: 20–8000 ms)"]),
    (
        "srt",
        "url = \"srt://h:9000\"\nstream_id = \"\"",
        &["5: leg.stream_id: is empty (allowed: 1–512 characters of text)"],
    ),
    (
        "srt",
        "url = \"srt://h:9000\"\nroom = \"r\"",
        &[
            "5: leg.room: is unknown (allowed: ca_file, kind, latency_ms, mode, name, passphrase, passphrase_file, proves_s, stream_id, uplink, url)",
        ],
    ),
    // WHIP
    ("whip", "", &["1: leg.url: is missing (allowed: \"https://…\", \"http://…\")"]),
    (
        "whip",
        "url = \"wss://h\"",
        &["4: leg.url: begins with \"wss\" (allowed: \"https://HOST[:PORT]/…\", \"http://HOST[:PORT]/…\")"],
    ),
    (
        "whip",
        "url = \"https://h/w\"\ntoken = { key = \"k\", secret_file = \"key\" }",
        &["1: leg.room: is missing (allowed: the room that the token is made for)"],
    ),
    (
        "whip",
        "url = \"https://h/w\"\npublish = \"program\"",
        &[
            "5: leg.publish: is unknown (allowed: ca_file, ice_servers, identity, kind, name, proves_s, room, token, uplink, url)",
        ],
    ),
];

const TOKEN: &str =
    "{ key = \"…\", secret_file = \"…\" }, { file = \"…\" }, { service = \"https://…\", key_file = \"…\" }";

#[test]
fn each_mistake_in_a_leg_is_told_with_its_line_its_key_and_what_is_allowed() {
    for (kind, lines, expected) in MISTAKES {
        let text = leg(kind, lines);
        let expected: Vec<_> = expected.iter().map(|line| line.replace("TOKEN", TOKEN)).collect();
        assert_eq!(problems(&text), expected, "{text}");
    }
    for (text, line) in WHOLE_FILES {
        assert_eq!(problems(text), [*line], "{text}");
    }
}

/// Mistakes that need more than one leg, or another place than after its kind.
const WHOLE_FILES: &[(&str, &str)] = &[
    ("[[leg]]\nname = \"a\"", "1: leg.kind: is missing (allowed: \"livekit\", \"rtmp\", \"srt\", \"whip\")"),
    (
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h\"",
        "4: leg.url: names no application (allowed: \"rtmp://HOST/APP\" with the stream key in stream_key_file)",
    ),
    (
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/live\"\nstream_key_file = \"gone\"",
        "5: leg.stream_key_file: cannot be read: no such file (allowed: a readable file, or the name of a credential)",
    ),
    (
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/live\"\nstream_key_file = \"empty\"",
        "5: leg.stream_key_file: holds nothing (allowed: one line of text)",
    ),
    (
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/live\"\nstream_key_file = \"two-lines\"",
        "5: leg.stream_key_file: holds more than one line, or a control character (allowed: one line of text)",
    ),
    (
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/live\"\nstream_key_file = \"key\"\nstream_key = \"k\"",
        "6: leg.stream_key: is given beside stream_key_file (allowed: one of the two)",
    ),
    (
        "[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/l/k\"\n[[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://h/l/k\"",
        "6: leg.name: \"a\" is given to two legs",
    ),
    (
        "[[leg]]\nname = \"a\"\nuplink = 1\nkind = \"rtmp\"\nurl = \"rtmp://h/l/k\"\n[[leg]]\nname = \"b\"\nuplink = 1\nkind = \"rtmp\"\nurl = \"rtmp://h/l/k\"",
        "8: leg.uplink: rank 1 is leg \"a\"'s already (allowed: each rank once)",
    ),
    (
        "[[leg]]\nname = \"a\"\nkind = \"livekit\"\nurl = \"wss://h\"\nroom = \"r\"\ntoken = { key = \"k\", secret_file = \"key\" }\n[[leg]]\nname = \"b\"\nkind = \"livekit\"\nurl = \"wss://h\"\nroom = \"r\"\ntoken = { key = \"k\", secret_file = \"key\" }",
        "7: leg.identity: leg \"a\" joins the same room as \"cuebox\": the server lets only one of them stay (allowed: another identity for each leg)",
    ),
];
