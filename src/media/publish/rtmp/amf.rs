//! AMF0, the little of it that publishing needs: numbers, strings, booleans, null, and objects as lists of properties.
//! Adobe's "Action Message Format -- AMF 0" (2007). What comes from a server is read with bounds.

/// Nested objects deeper than this are nobody's honest answer.
const DEPTH: usize = 8;
/// Values in one message.
const MOST: usize = 256;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(f64),
    Bool(bool),
    Text(String),
    Object(Vec<(String, Value)>),
    Null,
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A property of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(properties) = self else { return None };
        properties.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub const fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

pub fn write(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| write_one(&mut out, value));
    out
}

fn write_one(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            out.push(0);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Bool(on) => out.extend_from_slice(&[1, u8::from(*on)]),
        Value::Text(text) => {
            out.push(2);
            write_text(out, text);
        }
        Value::Object(properties) => {
            out.push(3);
            for (name, value) in properties {
                write_text(out, name);
                write_one(out, value);
            }
            out.extend_from_slice(&[0, 0, 9]);
        }
        Value::Null => out.push(5),
    }
}

/// Texts have at most 65,535 bytes; a longer one is cut, which no server accepts, and no configuration has.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes().get(..usize::from(length)).unwrap_or_default());
}

/// Reads values up to the end, or up to the first that is not understood.
pub fn read(bytes: &[u8]) -> Vec<Value> {
    let mut reader = Reader { bytes, left: MOST };
    std::iter::from_fn(|| reader.value(0)).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self, long: bool) -> Option<String> {
        let length =
            if long { u32::from_be_bytes(self.array()?) } else { u32::from(u16::from_be_bytes(self.array()?)) };
        let bytes = self.take(usize::try_from(length).ok()?)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if depth > DEPTH {
            return None;
        }
        match self.array::<1>()? {
            [0] => Some(Value::Number(f64::from_be_bytes(self.array()?))),
            [1] => Some(Value::Bool(self.array::<1>()? != [0])),
            [2] => self.text(false).map(Value::Text),
            [12] => self.text(true).map(Value::Text),
            [3] => self.properties(depth),
            // An associative array says its length first, and ends like an object all the same.
            [8] => {
                self.take(4)?;
                self.properties(depth)
            }
            [5 | 6] => Some(Value::Null),
            _ => None,
        }
    }

    fn properties(&mut self, depth: usize) -> Option<Value> {
        let mut properties = Vec::new();
        loop {
            let name = self.text(false)?;
            if name.is_empty() && self.bytes.first() == Some(&9) {
                self.take(1)?;
                return Some(Value::Object(properties));
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let values = vec![
            Value::text("connect"),
            Value::Number(1.0),
            Value::Object(vec![
                ("app".to_owned(), Value::text("live")),
                ("inner".to_owned(), Value::Object(vec![("on".to_owned(), Value::Bool(true))])),
            ]),
            Value::Null,
        ];
        assert_eq!(read(&write(&values)), values);
        assert_eq!(values[2].get("app").and_then(Value::as_text), Some("live"));
    }

    #[test]
    fn strangers_bytes_are_read_as_far_as_they_go() {
        let whole = write(&[Value::text("onStatus"), Value::Object(vec![("a".to_owned(), Value::Null)])]);
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).len() < 2);
        }
        let mut deep = [3, 0, 1, b'a'].repeat(10_000);
        deep.extend_from_slice(&[2, 255, 255]);
        assert!(read(&deep).is_empty());
        assert_eq!(read(&[5; 100_000]).len(), MOST);
    }
}
