//! Tokens that allow to listen: the server opens a connection to such a participant, and waits for it.

use super::*;

/// A server sends away after 60 s whoever has not taken its connection, and after 15 s more whose connection failed.
const BEYOND: Duration = Duration::from_secs(78);

#[test]
fn a_token_that_allows_to_listen_keeps_its_session() {
    let server = Server::start();
    let proxy = Proxy::start(server.port);
    let mut source = Source::new(&proxy.url(), &token(IDENTITY, ROOM, 600));
    let mut other = Source::new(&server.url(), &token("hall-2", ROOM, 600));
    let ((leg, _ended), (_other_leg, _other_ended)) = (source.start(), other.start());
    source.connected();
    other.connected();
    let began = Instant::now();
    let own = || server.participant(ROOM, IDENTITY).unwrap_or_default();
    assert!(eventually(LONG, || own()["state"] == "ACTIVE"), "{}", own());
    let before = own()["sid"].clone();
    // What somebody makes the server send here is declined.
    assert!(eventually(LONG, || server.tracks(ROOM, "hall-2").len() == 2));
    server.subscribe(ROOM, IDENTITY, "hall-2");
    assert!(eventually(LONG, || server.told().contains("failed to bind track")), "{}", server.told());
    // The server offers its connection anew on each new socket.
    let accepted = proxy.accepted();
    proxy.cut();
    assert!(eventually(LONG, || proxy.accepted() > accepted));
    let sockets = proxy.accepted();
    let (mut last, mut moved, mut longest) = (leg.reporter.total(), Instant::now(), Duration::ZERO);
    eventually(2 * BEYOND, || {
        if leg.reporter.total() != last {
            longest = longest.max(moved.elapsed());
            (last, moved) = (leg.reporter.total(), Instant::now());
        }
        began.elapsed() > BEYOND
    });
    longest = longest.max(moved.elapsed());
    assert!(longest < Duration::from_secs(3), "nothing acknowledged for {longest:?}");
    assert_eq!(own()["sid"], before, "the session is still the first: {}", server.told());
    assert_eq!(own()["state"], "ACTIVE");
    // It takes the socket of whoever is lost on its own connection.
    assert_eq!(proxy.accepted(), sockets, "{}", server.told());
    for stage in [&mut source.stage, &mut other.stage] {
        stage.listen();
        assert!(!stage.facts.iter().any(|(_, fact)| matches!(fact, Fact::Failed { .. })), "{:?}", stage.facts);
    }
    leg.stop();
}
