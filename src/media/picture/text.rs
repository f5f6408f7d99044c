//! Words → a grey mask, by the system's own text layout (Pango, through `textoverlay`), once per text.
//!
//! A box without the element or without fonts shows its pictures without words and says so in the log.

use gst::prelude::*;

/// Longest wait for one text; the first of a process reads the font cache.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(5);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    #[default]
    Regular,
    SemiBold,
    Bold,
}

#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    /// Height of the font's em square in pixels.
    pub size: u32,
    pub weight: Weight,
    /// A text that is wider is set smaller, down to half, then cut.
    pub max_width: u32,
}

/// Coverage per pixel, 0–255, cropped to the ink from left to right; top and bottom are the line's, so that texts of
/// one style share their baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    pub width: u32,
    pub height: u32,
    coverage: Vec<u8>,
}

impl Mask {
    /// Zero outside.
    pub fn at(&self, x: i32, y: i32) -> u8 {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return 0 };
        if x >= self.width || y >= self.height { 0 } else { self.coverage[(y * self.width + x) as usize] }
    }

    /// Without the empty lines above and below the ink.
    pub fn trimmed(self) -> Self {
        let inked = |y: &u32| (0..self.width as i32).any(|x| self.at(x, *y as i32) > 8);
        let Some(top) = (0..self.height).find(inked) else { return Self::default() };
        let bottom = (0..self.height).rfind(inked).unwrap_or(top) + 1;
        let coverage = self.coverage[(top * self.width) as usize..(bottom * self.width) as usize].to_vec();
        Self { width: self.width, height: bottom - top, coverage }
    }

    fn crop(grey: &[u8], stride: usize, width: usize, height: usize) -> Self {
        let inked = |x: &usize| (0..height).any(|y| grey[y * stride + x] > 8);
        let Some(left) = (0..width).find(inked) else { return Self::default() };
        let right = (0..width).rfind(inked).unwrap_or(left) + 1;
        let lines = grey.chunks(stride).take(height);
        let coverage: Vec<u8> = lines.flat_map(|line| line[left..right].iter().copied()).collect();
        Self { width: (right - left) as u32, height: height as u32, coverage }
    }
}

/// Sets one line of text. Empty when there is nothing to set or no way to set it.
pub fn render(text: &str, style: TextStyle) -> Mask {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.trim().is_empty() || style.size == 0 || style.max_width == 0 {
        return Mask::default();
    }
    // Room for every width that may come out, so that the size can be judged; then again, smaller, if it must be.
    let room = style.max_width.saturating_mul(2).max(16);
    let set = |size: u32| {
        draw(&line, size, style.weight, room).unwrap_or_else(|error| {
            tracing::warn!(%error, "texts cannot be drawn");
            Mask::default()
        })
    };
    let mask = set(style.size);
    if mask.width <= style.max_width {
        return mask;
    }
    let smaller = (style.size * style.max_width / mask.width).max(style.size / 2).max(1);
    let mask = set(smaller);
    mask.cut(style.max_width)
}

impl Mask {
    fn cut(self, width: u32) -> Self {
        if self.width <= width {
            return self;
        }
        let lines = self.coverage.chunks(self.width as usize);
        let coverage = lines.flat_map(|line| line[..width as usize].iter().copied()).collect();
        Self { width, height: self.height, coverage }
    }
}

#[derive(Debug, thiserror::Error)]
enum TextError {
    #[error("{0}")]
    Build(#[from] gst::glib::BoolError),
    #[error("{0}")]
    Play(#[from] gst::StateChangeError),
    #[error("{0}")]
    Push(#[from] gst::FlowError),
    #[error("the text was not set in time")]
    Late,
}

/// White text on a black grey-scale picture of one line's height.
fn draw(line: &str, size: u32, weight: Weight, width: u32) -> Result<Mask, TextError> {
    let height = (size * 3 / 2).max(4);
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, width, height).build()?;
    let source = gst_app::AppSrc::builder().caps(&info.to_caps()?).format(gst::Format::Time).build();
    let overlay = gst::ElementFactory::make("textoverlay")
        // The element reads Pango's markup.
        .property("text", gst::glib::markup_escape_text(line).as_str())
        .property("font-desc", font(size, weight))
        .property("auto-resize", false)
        .property("draw-shadow", false)
        .property("draw-outline", false)
        .property_from_str("wrap-mode", "none")
        .property_from_str("halignment", "left")
        .property_from_str("valignment", "center")
        .property("xpad", 4i32)
        .property("ypad", 0i32)
        .build()?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref(), &overlay, sink.upcast_ref()])?;
    gst::Element::link_many([source.upcast_ref(), &overlay, sink.upcast_ref()])?;
    let drawn = pull(&pipeline, &source, &sink, info.size());
    let _ = pipeline.set_state(gst::State::Null);
    let buffer = drawn?;
    let grey = buffer.map_readable()?;
    Ok(Mask::crop(&grey, info.stride()[0] as usize, width as usize, height as usize))
}

fn pull(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    sink: &gst_app::AppSink,
    size: usize,
) -> Result<gst::Buffer, TextError> {
    pipeline.set_state(gst::State::Playing)?;
    let mut black = gst::Buffer::from_mut_slice(vec![0u8; size]);
    if let Some(buffer) = black.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
        buffer.set_duration(gst::ClockTime::from_seconds(1));
    }
    source.push_buffer(black)?;
    source.end_of_stream()?;
    sink.try_pull_sample(PATIENCE).and_then(|sample| sample.buffer_owned()).ok_or(TextError::Late)
}

fn font(size: u32, weight: Weight) -> String {
    let weight = match weight {
        Weight::Regular => "",
        Weight::SemiBold => "Semi-Bold ",
        Weight::Bold => "Bold ",
    };
    format!("Inter,Sans {weight}{size}px")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(size: u32, max_width: u32) -> TextStyle {
        TextStyle { size, weight: Weight::Bold, max_width }
    }

    #[test]
    fn a_text_becomes_ink_of_its_size() {
        gst::init().unwrap();
        let small = render("Altar", style(24, 400));
        let large = render("Altar", style(48, 400));
        assert!(small.width > 30 && small.height == 36, "{}x{}", small.width, small.height);
        assert!((large.width as f32 / small.width as f32 - 2.0).abs() < 0.2, "{} {}", large.width, small.width);
        let inked =
            (0..large.width as i32).flat_map(|x| (0..72).map(move |y| (x, y))).filter(|(x, y)| large.at(*x, *y) > 128);
        assert!(inked.count() > 300);
    }

    #[test]
    fn a_long_text_is_set_smaller_and_then_cut() {
        gst::init().unwrap();
        let full = render("Dance floor, left of the band", style(40, 2_000));
        let fitted = render("Dance floor, left of the band", style(40, full.width * 3 / 4));
        assert!(fitted.width <= full.width * 3 / 4 && fitted.height < full.height);
        let cut = render("Dance floor, left of the band", style(40, full.width / 4));
        assert_eq!(cut.width, full.width / 4);
    }

    #[test]
    fn markup_and_control_characters_are_only_text() {
        gst::init().unwrap();
        assert_eq!(render("", style(24, 100)), Mask::default());
        assert_eq!(render("\n\t", style(24, 100)), Mask::default());
        assert!(render("a < b & c\nd", style(24, 400)).width > 60);
    }
}
