use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test]
async fn the_socket_is_for_the_owner_and_the_group() {
    let rig = Rig::start();
    let mode = std::fs::metadata(&rig.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let names: Vec<_> = std::fs::read_dir(rig.socket.parent().unwrap()).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), 1, "nothing unfinished stays: {names:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at_is_replaced() {
    let folder = Folder::new();
    let path = folder.0.join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale socket");
    let unix = listen::Unix::bind(&path).unwrap();
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    drop(unix);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_second_box_is_turned_away_and_leaves_the_first_one_its_socket() {
    let rig = Rig::start();
    let error = listen::Unix::bind(&rig.socket).err().expect("the socket is in use");
    assert!(matches!(error, ConsoleError::InUse { .. }), "{error}");
    assert_eq!(rig.call("GET", "/api/v1/status", b"").await.status, 200);
}

#[tokio::test]
async fn what_is_in_the_way_is_named() {
    let folder = Folder::new();
    let file = folder.0.join("file");
    std::fs::write(&file, "precious").unwrap();
    let table = [
        (file.clone(), "is no socket"),
        (file.join("control.sock"), "cannot create the folder"),
        (folder.0.join("x".repeat(120)), "too long"),
    ];
    for (path, why) in table {
        let error = listen::Unix::bind(&path).err().expect("cannot be bound");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn tcp_serves_the_same_to_this_machine_alone() {
    let rig = Rig::start_with(Some("127.0.0.1:0"), Patience::default());
    let address = timeout(BOUND, rig.console.tcp_address()).await.unwrap().unwrap();
    for (host, status) in [(address.to_string(), 200), ("evil.example".to_owned(), 403)] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET /api/v1/status HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        timeout(BOUND, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {reply}");
    }
}

#[tokio::test]
async fn a_tcp_port_that_is_taken_does_not_stop_the_box() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rig = Rig::start_with(Some(&taken.local_addr().unwrap().to_string()), Patience::default());
    assert_eq!(rig.call("GET", "/api/v1/status", b"").await.status, 200);
}

#[tokio::test]
async fn a_dropped_console_frees_its_socket() {
    let Rig { console, socket, _folder, .. } = Rig::start();
    drop(console);
    timeout(BOUND, async {
        while socket.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the socket's file goes with the console");
}

#[tokio::test]
async fn a_console_that_broke_can_be_started_again_at_the_same_sockets() {
    let Rig { console, config, deps, socket, _folder, .. } = Rig::start();
    drop(console);
    timeout(BOUND, async {
        while socket.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let mut fragile = Console::start(&config, Deps { clock: fragile_clock, ..deps.clone() }).unwrap();
    BREAK.store(true, Ordering::Relaxed);
    let error = timeout(BOUND, fragile.broken()).await.expect("the panic is told");
    assert!(error.is_panic());
    let _again = Console::start(&config, deps).expect("its sockets are free");
    let mut peer = Peer::connect(&socket).await;
    peer.request("GET", "/api/v1/status", b"").await;
    assert_eq!(peer.reply().await.status, 200);
}
