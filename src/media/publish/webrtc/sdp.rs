//! Reads what strangers send: session descriptions and candidates. Pure; whatever the bytes are, the answer is a value.

/// Longer descriptions are refused: a real one of twelve tracks has less than 40 kB.
const MAX_SDP_BYTES: usize = 256 * 1024;
const MAX_CANDIDATE_BYTES: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("a session description of {0} bytes")]
    Oversized(usize),
    #[error("a session description with characters that do not belong there")]
    Characters,
    #[error("an answer with {answered} media sections to an offer with {offered}")]
    Sections { offered: usize, answered: usize },
    #[error("an answer whose section {0} is of another kind than offered")]
    Kind(usize),
    #[error("a session description without {0}")]
    Missing(&'static str),
}

/// One media section of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section<'a> {
    kind: &'a str,
    refused: bool,
}

/// Whether a description can be read at all.
///
/// # Errors
/// Why not.
pub fn check(text: &str) -> Result<(), SdpError> {
    if text.len() > MAX_SDP_BYTES {
        return Err(SdpError::Oversized(text.len()));
    }
    if text.chars().any(|it| it.is_control() && it != '\r' && it != '\n' && it != '\t') {
        return Err(SdpError::Characters);
    }
    if !text.starts_with("v=0") {
        return Err(SdpError::Missing("its version line"));
    }
    let sections = sections(text);
    let needed = [
        ("a=ice-ufrag:", "ICE's user fragment"),
        ("a=ice-pwd:", "ICE's password"),
        ("a=fingerprint:", "a fingerprint"),
    ];
    for (line, what) in needed {
        let found = text.lines().filter_map(|it| it.strip_prefix(line)).any(|value| !value.trim().is_empty());
        if !found && sections.iter().any(|section| !section.refused) {
            return Err(SdpError::Missing(what));
        }
    }
    Ok(())
}

/// Whether an answer can be given to the connection at all. What it cannot judge, the connection refuses itself.
///
/// # Errors
/// Why not.
pub fn check_answer(offer: &str, answer: &str) -> Result<(), SdpError> {
    check(answer)?;
    let (offered, answered) = (sections(offer), sections(answer));
    if offered.len() != answered.len() {
        return Err(SdpError::Sections { offered: offered.len(), answered: answered.len() });
    }
    if let Some(at) = offered.iter().zip(&answered).position(|(ours, theirs)| ours.kind != theirs.kind) {
        return Err(SdpError::Kind(at));
    }
    Ok(())
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let media = text.lines().filter_map(|line| line.strip_prefix("m="));
    let section = |line: &'_ str| {
        let mut words = line.split_ascii_whitespace();
        (words.next().map_or(0, str::len), words.next() == Some("0"))
    };
    media
        .map(|line| {
            let (length, refused) = section(line);
            Section { kind: line.get(..length).unwrap_or_default(), refused }
        })
        .collect()
}

/// A candidate line that is well-formed enough to be given on, without `a=` in front; `None`: it is not.
pub fn candidate(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = text.strip_prefix("a=").unwrap_or(text);
    let body = text.strip_prefix("candidate:")?;
    // Foundation, component, transport, priority, address, port, "typ", type.
    let words: Vec<&str> = body.split_ascii_whitespace().take(8).collect();
    let [_, component, transport, priority, address, port, typ, _] = words.as_slice() else { return None };
    let numbers = component.parse::<u16>().is_ok() && priority.parse::<u32>().is_ok() && port.parse::<u16>().is_ok();
    let transport = transport.eq_ignore_ascii_case("udp") || transport.eq_ignore_ascii_case("tcp");
    let fits = text.len() <= MAX_CANDIDATE_BYTES && text.chars().all(|it| it.is_ascii_graphic() || it == ' ');
    (numbers && transport && fits && *typ == "typ" && address.parse::<std::net::IpAddr>().is_ok()).then_some(text)
}
