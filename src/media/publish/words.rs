//! What a server says of a refusal, as it may be shown: one line, short, and nothing that lets anybody in.

/// Characters that are shown.
const SHOWN: usize = 200;
/// Shorter parts of a secret give nothing away, and are found in any text.
const TELLING: usize = 6;

/// Nothing, where the words hold a part of `secret`: a token's parts, a stream key with its query.
pub fn of_server(text: &str, secret: &str) -> String {
    let line: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(SHOWN).collect();
    let mut parts = secret.trim().split(|it: char| !it.is_alphanumeric() && it != '-' && it != '_');
    let leaks = parts.any(|part| part.len() >= TELLING && line.contains(part));
    if leaks { String::new() } else { line.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_short_line_without_any_part_of_the_secret() {
        let table = [
            ("room is\nfull", "header01.payload1.signature", "room is full"),
            ("you sent payload1, which is bad", "header01.payload1.signature", ""),
            ("Stream key live_8Yx3 is unknown", "live_8Yx3?user=venue", ""),
            ("NetStream.Publish.BadName", "live_8Yx3?user=venue", "NetStream.Publish.BadName"),
            ("no", "", "no"),
        ];
        for (text, secret, expected) in table {
            assert_eq!(of_server(text, secret), expected, "{text}");
        }
        assert_eq!(of_server(&"x".repeat(100_000), "").len(), SHOWN);
    }
}
