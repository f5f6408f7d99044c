//! Coloured text in lines and columns, cut to a terminal's width.

/// What a span means; the terminal's colours follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Paint {
    #[default]
    Plain,
    /// Headings and what matters less.
    Dim,
    Strong,
    Good,
    Warning,
    Bad,
    /// On air.
    Live,
    /// Cannot be overlooked.
    Alarm,
}

impl Paint {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
            Self::Live => Some("1;97;41"),
            Self::Alarm => Some("1;30;43"),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    text: String,
    paint: Paint,
}

impl Span {
    /// Text from outside is blanked where it could steer the terminal.
    pub(super) fn new(paint: Paint, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { text, paint }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

pub(super) fn plain(text: impl AsRef<str>) -> Span {
    Span::new(Paint::Plain, text)
}

pub(super) fn dim(text: impl AsRef<str>) -> Span {
    Span::new(Paint::Dim, text)
}

/// A line: spans one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(pub(super) Vec<Span>);

impl Line {
    /// The line's text, at most `width` characters of it, a cut marked by `…`.
    pub(super) fn print(&self, width: Option<usize>, coloured: bool) -> String {
        let total: usize = self.0.iter().map(Span::width).sum();
        let mut left = match width {
            Some(width) if total > width => width.saturating_sub(1),
            _ => total,
        };
        let cut = left < total && width != Some(0);
        let mut line = String::new();
        for span in &self.0 {
            let text: String = span.text.chars().take(left).collect();
            left -= text.chars().count();
            match span.paint.code().filter(|_| coloured && !text.is_empty()) {
                Some(code) => line.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
                None => line.push_str(&text),
            }
        }
        if cut {
            line.push('…');
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

/// Rows in columns as wide as their widest cell. The first row is the heading.
pub(super) fn columns(rows: Vec<Vec<Span>>) -> Vec<Line> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(Span::width).max().unwrap_or_default();
    let widths: Vec<_> = (0..count).map(width).collect();
    let line = |row: Vec<Span>| {
        // Cells at the end of a row that say nothing take no room.
        let end = row.iter().rposition(|cell| cell.width() > 0).map_or(0, |last| last + 1);
        let mut spans = Vec::new();
        for (column, (cell, width)) in row.into_iter().zip(&widths).take(end).enumerate() {
            let gap = if column + 1 < end { width - cell.width() + 2 } else { 0 };
            spans.push(cell);
            spans.push(plain(" ".repeat(gap)));
        }
        Line(spans)
    };
    rows.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_width_and_say_so() {
        let line = Line(vec![Span::new(Paint::Good, "live"), plain("  Altar")]);
        assert_eq!(line.print(None, false), "live  Altar");
        assert_eq!(line.print(Some(11), false), "live  Altar");
        assert_eq!(line.print(Some(8), false), "live  A…");
        assert_eq!(line.print(Some(3), true), "\x1b[32mli\x1b[0m…");
        assert_eq!(line.print(Some(0), false), "");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec![dim("A"), dim("B")], vec![plain("läng"), plain("x")]];
        let lines: Vec<_> = columns(rows).iter().map(|line| line.print(None, false)).collect();
        assert_eq!(lines, ["A     B", "läng  x"]);
    }

    #[test]
    fn names_from_outside_cannot_steer_the_terminal() {
        assert_eq!(Line(vec![plain("a\x1b[2Jb\n")]).print(None, false), "a [2Jb");
    }
}
