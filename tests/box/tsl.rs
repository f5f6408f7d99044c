//! Tally over the network, read by a receiver that knows the published format and none of our code.

use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use super::harness::{CueBox, Folder, alone, five_cameras, live_slots};

/// One display as a receiver of version 3.1 understands it: address, tally 1 to 4, text.
fn read_31(packet: &[u8]) -> (u8, [bool; 4], String) {
    assert_eq!(packet.len(), 18, "{packet:?}");
    assert!(packet[0] & 0x80 != 0 && packet[1] & 0xC0 == 0, "{packet:?}");
    let tally = std::array::from_fn(|bit| packet[1] >> bit & 1 == 1);
    (packet[0] & 0x7F, tally, String::from_utf8_lossy(&packet[2..]).trim_end().to_owned())
}

/// The displays of a packet of version 5.0: index, colours of the right lamp, the text and the left lamp, text.
fn read_50(packet: &[u8]) -> Vec<(u16, [u8; 3], String)> {
    let word = |at: usize| u16::from_le_bytes([packet[at], packet[at + 1]]);
    assert_eq!(usize::from(word(0)), packet.len() - 2, "{packet:?}");
    assert_eq!(packet[2], 0, "version");
    let mut displays = Vec::new();
    let mut at = 6;
    while at < packet.len() {
        let (index, control, length) = (word(at), packet[at + 2], usize::from(word(at + 4)));
        let text = String::from_utf8_lossy(&packet[at + 6..at + 6 + length]).into_owned();
        displays.push((index, [control & 3, control >> 2 & 3, control >> 4 & 3], text));
        at += 6 + length;
    }
    displays
}

/// Takes the framing of TCP away: packets that are whole, and what is left.
fn unframe(bytes: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while bytes.len() > 4 {
        assert_eq!(bytes[..2], [0xFE, 0x02], "a packet begins");
        let (mut packet, mut at) = (Vec::new(), 2);
        while at < bytes.len()
            && (packet.len() < 2 || packet.len() < usize::from(u16::from_le_bytes([packet[0], packet[1]])) + 2)
        {
            packet.push(bytes[at]);
            at += if bytes[at] == 0xFE { 2 } else { 1 };
        }
        if packet.len() < 2 || packet.len() < usize::from(u16::from_le_bytes([packet[0], packet[1]])) + 2 {
            break;
        }
        bytes.drain(..at);
        packets.push(packet);
    }
    packets
}

#[test]
fn other_peoples_lamps_show_what_is_on_air() {
    let _alone = alone();
    let folder = Folder::new("tsl");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let extra = format!(
        "[record]\nprogram = false\nslots = false\n[[panel.tsl]]\naddress = \"{}\"\nfirst = 10\n\
         [[panel.tsl]]\naddress = \"{}\"\nversion = \"5.0 tcp\"\nfirst = 250\nscreen = 2\n",
        udp.local_addr().unwrap(),
        tcp.local_addr().unwrap()
    );
    let cuebox = CueBox::start(&folder, &five_cameras(&extra));
    cuebox.wait("every slot is live", 40, |status| live_slots(status) == 5 && status["program"]["on_air"] == 1);
    cuebox.done(&["preview", "2"]);
    cuebox.done(&["cut", "4"]);

    let mut packet = [0; 64];
    let begun = Instant::now();
    let mut seen = std::collections::BTreeMap::new();
    let wanted = |number: u8| [number == 2, number == 4, false, false];
    while (1..=5).any(|number| seen.get(&(9 + number)).map(|(tally, _)| *tally) != Some(wanted(number))) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{seen:?}");
        if let Ok(count) = udp.recv(&mut packet) {
            let (address, tally, text) = read_31(&packet[..count]);
            seen.insert(address, (tally, text));
        }
    }
    assert_eq!(seen[&13].1, "Camera 4");

    let (mut stream, _) = tcp.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut bytes, mut lamps) = (Vec::new(), std::collections::BTreeMap::new());
    let begun = Instant::now();
    // Index 254 has a byte that the framing doubles.
    while lamps.get(&253) != Some(&[1, 1, 1]) || lamps.get(&251) != Some(&[2, 2, 2]) || lamps.get(&254) != Some(&[0; 3])
    {
        assert!(begun.elapsed() < Duration::from_secs(10), "{lamps:?}");
        let count = stream.read(&mut packet).unwrap();
        assert!(count > 0, "the box went away");
        bytes.extend(&packet[..count]);
        for packet in unframe(&mut bytes) {
            assert_eq!(u16::from_le_bytes([packet[4], packet[5]]), 2, "the screen");
            lamps.extend(read_50(&packet).into_iter().map(|(index, lamp, _)| (index, lamp)));
        }
    }

    // A receiver that goes is told of, and found again.
    drop(stream);
    drop(tcp);
    cuebox.wait("it is lost", 15, |status| {
        let panels = status["panel"].as_array().unwrap();
        panels.iter().any(|panel| panel["kind"] == "tsl" && panel["state"] == "lost")
    });
    cuebox.stop();
}
