//! Packed 4:2:2 pictures (YUYV, UYVY), as most raw cameras deliver them, → the show's NV12.
//!
//! Done here rather than by `videoconvertscale`, which has no direct way from one to the other and goes through wider
//! pixels: on an emulated processor that took as long as encoding the picture. In both formats luma and chroma
//! alternate byte by byte, and chroma already lies in NV12's order, so a picture is two sieves and an average of
//! neighbouring lines.

use cuebox_core::device::PixelFormat;
use gst_video::{VideoColorMatrix, VideoColorRange, VideoFrameExt as _, VideoFrameRef, VideoInfo};

use crate::media::picture::Kept;
use crate::media::timing::ShowFormat;

/// Converts the pictures of one camera.
pub struct Packer {
    show: VideoInfo,
    source: Option<Source>,
    kept: Kept<()>,
}

/// What is known of the source's pictures until their caps change.
struct Source {
    caps: gst::Caps,
    info: VideoInfo,
    luma_first: bool,
    recolour: Option<Recolour>,
}

/// Whether pictures of this format are this module's business.
pub const fn is_packed(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Yuyv | PixelFormat::Uyvy)
}

impl Packer {
    pub fn new(format: &ShowFormat) -> Result<Self, gst::glib::BoolError> {
        let show = VideoInfo::from_caps(&format.picture_caps())?;
        let kept = Kept::of_size(show.size());
        Ok(Self { show, source: None, kept })
    }

    /// The picture of a sample, which has the show's size, in the show's format and with its own times.
    pub fn pack(&mut self, sample: &gst::Sample) -> Option<gst::Buffer> {
        let (picture, caps) = (sample.buffer()?, sample.caps()?);
        if self.source.as_ref().is_none_or(|source| source.caps.as_ref() != caps) {
            self.source = Some(Source::new(caps, &self.show)?);
        }
        let source = self.source.as_ref()?;
        let from = VideoFrameRef::from_buffer_ref_readable(picture, &source.info).ok()?;
        let same_size = (from.width(), from.height()) == (self.show.width(), self.show.height());
        let (from_stride, from) = (usize::try_from(*from.plane_stride().first()?).ok()?, from.plane_data(0).ok()?);
        if !same_size {
            return None;
        }
        let blank = || gst::Buffer::from_mut_slice(vec![0_u8; self.show.size()]);
        self.kept.paint(blank, |buffer, ()| {
            let mut map = buffer.map_writable().ok()?;
            source.convert(from, from_stride, Target::new(&self.show, &mut map)?);
            Some(())
        })
    }
}

/// The planes of an NV12 picture.
struct Target<'a> {
    luma: &'a mut [u8],
    luma_stride: usize,
    chroma: &'a mut [u8],
    chroma_stride: usize,
    width: usize,
    height: usize,
}

impl<'a> Target<'a> {
    fn new(info: &VideoInfo, data: &'a mut [u8]) -> Option<Self> {
        let [luma_stride, chroma_stride] = *info.stride() else { return None };
        let (luma, chroma) = data.split_at_mut_checked(*info.offset().get(1)?)?;
        Some(Self {
            luma,
            luma_stride: usize::try_from(luma_stride).ok()?,
            chroma,
            chroma_stride: usize::try_from(chroma_stride).ok()?,
            width: info.width() as usize & !1,
            height: info.height() as usize,
        })
    }
}

impl Source {
    fn new(caps: &gst::CapsRef, show: &VideoInfo) -> Option<Self> {
        let info = VideoInfo::from_caps(caps).ok()?;
        let luma_first = info.format() == gst_video::VideoFormat::Yuy2;
        let recolour = Recolour::between(&info, show);
        Some(Self { caps: caps.to_owned(), info, luma_first, recolour })
    }

    fn convert(&self, from: &[u8], from_stride: usize, to: Target<'_>) {
        let (luma, chroma) = if self.luma_first { (0, 1) } else { (1, 0) };
        let bytes = 2 * to.width;
        let mut rows = from.chunks(from_stride.max(1)).take(to.height).map(|row| row.get(..bytes).unwrap_or(&[]));
        let mut lumas = to.luma.chunks_mut(to.luma_stride.max(1));
        for chroma_row in to.chroma.chunks_mut(to.chroma_stride.max(1)) {
            let Some(upper) = rows.next() else { return };
            // The last of an odd number of lines has its chroma for itself.
            let lower = rows.next();
            for row in [Some(upper), lower].into_iter().flatten() {
                let Some(out) = lumas.next().and_then(|line| line.get_mut(..to.width)) else { return };
                sieve(row, luma, out);
                if let Some(recolour) = &self.recolour {
                    recolour.luma(out, row, chroma);
                }
            }
            let Some(out) = chroma_row.get_mut(..to.width) else { return };
            average(upper, lower.unwrap_or(upper), chroma, out);
            if let Some(recolour) = &self.recolour {
                recolour.chroma(out);
            }
        }
    }
}

/// Every second byte of a row, from the first or the second on.
fn sieve(row: &[u8], first: usize, out: &mut [u8]) {
    for (out, [even, odd]) in out.iter_mut().zip(row.as_chunks::<2>().0) {
        *out = if first == 0 { *even } else { *odd };
    }
}

/// The same of two rows, averaged.
fn average(upper: &[u8], lower: &[u8], first: usize, out: &mut [u8]) {
    let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
    for (out, (upper, lower)) in out.iter_mut().zip(pairs) {
        let (one, other) = if first == 0 { (upper[0], lower[0]) } else { (upper[1], lower[1]) };
        *out = (u16::from(one) + u16::from(other)).div_ceil(2) as u8;
    }
}

/// From one matrix and range to another, in steps of 1/16384.
///
/// Grey stays grey, so chroma depends on chroma alone; luma on all three.
struct Recolour {
    /// Of luma, blue difference and red difference, and what is added.
    luma: [i32; 4],
    blue: [i32; 2],
    red: [i32; 2],
}

const UNIT: f64 = 16_384.0;
const HALF: i32 = 8_192;
const SHIFT: u32 = 14;

impl Recolour {
    /// `None` when the two agree, or when the source does not say what its colours are.
    fn between(from: &VideoInfo, to: &VideoInfo) -> Option<Self> {
        let (from, to) = (from.colorimetry(), to.colorimetry());
        let (from_full, to_full) =
            (from.range() == VideoColorRange::Range0_255, to.range() == VideoColorRange::Range0_255);
        let (source, target) = (weights(from.matrix())?, weights(to.matrix())?);
        ((from_full, source) != (to_full, target)).then(|| Self::new((from_full, source), (to_full, target)))
    }

    /// With the weights (red, blue) of both luma equations, and whether a range is full.
    fn new((from_full, (kr, kb)): (bool, Weights), (to_full, (lr, lb)): (bool, Weights)) -> Self {
        // Red, green and blue by what luma and the two differences add to them.
        let (kg, lg) = (1.0 - kr - kb, 1.0 - lr - lb);
        let red = [0.0, 2.0 * (1.0 - kr)];
        let blue = [2.0 * (1.0 - kb), 0.0];
        let green = [-2.0 * kb * (1.0 - kb) / kg, -2.0 * kr * (1.0 - kr) / kg];
        let luma = |side: usize| lr * red[side] + lg * green[side] + lb * blue[side];
        let blue_out = |side: usize| (blue[side] - luma(side)) / (2.0 * (1.0 - lb));
        let red_out = |side: usize| (red[side] - luma(side)) / (2.0 * (1.0 - lr));
        let span = |full: bool| if full { (255.0, 255.0, 0.0) } else { (219.0, 224.0, 16.0) };
        let ((from_y, from_c, from_zero), (to_y, to_c, to_zero)) = (span(from_full), span(to_full));
        let fixed = |value: f64| (value * UNIT).round() as i32;
        let (y, c_to_y, c) = (to_y / from_y, to_y / from_c, to_c / from_c);
        Self {
            luma: [fixed(y), fixed(luma(0) * c_to_y), fixed(luma(1) * c_to_y), fixed(to_zero - from_zero * y) + HALF],
            blue: [fixed(blue_out(0) * c), fixed(blue_out(1) * c)],
            red: [fixed(red_out(0) * c), fixed(red_out(1) * c)],
        }
    }

    /// `row` is the packed line that `line` was taken from.
    fn luma(&self, line: &mut [u8], row: &[u8], chroma: usize) {
        let [y, b, r, add] = self.luma;
        for (pair, packed) in line.as_chunks_mut::<2>().0.iter_mut().zip(row.as_chunks::<4>().0) {
            let (blue, red) = if chroma == 1 { (packed[1], packed[3]) } else { (packed[0], packed[2]) };
            let colour = b * centred(blue) + r * centred(red) + add;
            for luma in pair {
                *luma = clamp(y * i32::from(*luma) + colour);
            }
        }
    }

    fn chroma(&self, line: &mut [u8]) {
        for [blue, red] in line.as_chunks_mut::<2>().0 {
            let (b, r) = (centred(*blue), centred(*red));
            let out = |weights: [i32; 2]| clamp(weights[0] * b + weights[1] * r + (128 << SHIFT) + HALF);
            (*blue, *red) = (out(self.blue), out(self.red));
        }
    }
}

fn centred(difference: u8) -> i32 {
    i32::from(difference) - 128
}

fn clamp(scaled: i32) -> u8 {
    (scaled >> SHIFT).clamp(0, 255) as u8
}

/// Shares of red and of blue in luma.
type Weights = (f64, f64);

fn weights(matrix: VideoColorMatrix) -> Option<Weights> {
    matrix.kr_kb().ok()
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;
    use cuebox_core::grid::Grid;

    const SIDE: usize = 64;

    /// Every colour, changing smoothly, so that what is compared is the arithmetic and not how chroma is sited.
    fn picture(format: &str) -> Vec<u8> {
        let pixel = |x: usize, y: usize| ((16 + 3 * x) as u8, (40 + 2 * x + y) as u8, (220 - 2 * y) as u8);
        let packed = (0..SIDE * SIDE / 2).flat_map(|n| {
            let (x, y) = (2 * n % SIDE, 2 * n / SIDE);
            let ((first, blue, red), (second, ..)) = (pixel(x, y), pixel(x + 1, y));
            if format == "YUY2" { [first, blue, second, red] } else { [blue, first, red, second] }
        });
        packed.collect()
    }

    fn caps(format: &str, colorimetry: &str) -> gst::Caps {
        gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("width", SIDE as i32)
            .field("height", SIDE as i32)
            .field("framerate", gst::Fraction::new(30, 1))
            .field("colorimetry", colorimetry)
            .build()
    }

    /// The same picture by GStreamer's own converter.
    fn reference(data: &[u8], from: &gst::Caps, to: &gst::Caps) -> Vec<u8> {
        let source = gst_app::AppSrc::builder().caps(from).format(gst::Format::Time).build();
        let convert = gst::ElementFactory::make("videoconvert").property_from_str("dither", "none").build().unwrap();
        let sink = gst_app::AppSink::builder().caps(to).sync(false).build();
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([source.upcast_ref::<gst::Element>(), &convert, sink.upcast_ref()]).unwrap();
        gst::Element::link_many([source.upcast_ref::<gst::Element>(), &convert, sink.upcast_ref()]).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        source.push_buffer(gst::Buffer::from_mut_slice(data.to_vec())).unwrap();
        let converted = sink.pull_sample().unwrap();
        pipeline.set_state(gst::State::Null).unwrap();
        converted.buffer().unwrap().map_readable().unwrap().to_vec()
    }

    #[test]
    fn packed_pictures_become_what_the_converter_of_gstreamer_makes_of_them() {
        gst::init().unwrap();
        let show = ShowFormat { width: SIDE as u32, height: SIDE as u32, grid: Grid::new(30) };
        for format in ["YUY2", "UYVY"] {
            // BT.601 as the show, as UVC cameras say it, and matrices that are not the show's. A range is not among them:
            // the converter leaves it as it is when the matrix is the same.
            for colours in ["bt601", "2:4:7:1", "bt709", "smpte240m"] {
                let (data, from) = (picture(format), caps(format, colours));
                let expected = reference(&data, &from, &show.picture_caps());
                let sample = gst::Sample::builder().buffer(&gst::Buffer::from_slice(data)).caps(&from).build();
                let packed = Packer::new(&show).unwrap().pack(&sample).unwrap();
                let worst = packed.map_readable().unwrap().iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst.unwrap() <= 2, "{format} {colours}: {worst:?}");
                assert_eq!(packed.size(), expected.len());
            }
        }
    }

    #[test]
    fn full_range_becomes_limited_range() {
        gst::init().unwrap();
        let show = ShowFormat { width: SIDE as u32, height: SIDE as u32, grid: Grid::new(30) };
        let from = caps("YUY2", "1:4:0:0");
        for (packed, luma, chroma) in [([0, 0, 0, 255], 16, [16, 240]), ([255, 128, 255, 128], 235, [128, 128])] {
            let data = packed.repeat(SIDE * SIDE / 2);
            let sample = gst::Sample::builder().buffer(&gst::Buffer::from_slice(data)).caps(&from).build();
            let made = Packer::new(&show).unwrap().pack(&sample).unwrap();
            let made = made.map_readable().unwrap();
            assert_eq!((made[0], &made[SIDE * SIDE..SIDE * SIDE + 2]), (luma, &chroma[..]));
        }
    }

    #[test]
    fn a_picture_is_taken_again_only_when_nobody_reads_it_or_its_copy() {
        gst::init().unwrap();
        let show = ShowFormat { width: SIDE as u32, height: SIDE as u32, grid: Grid::new(30) };
        let mut packer = Packer::new(&show).unwrap();
        let from = caps("YUY2", "bt601");
        let sample = |luma: u8| {
            let data = [luma, 128].repeat(SIDE * SIDE);
            gst::Sample::builder().buffer(&gst::Buffer::from_slice(data)).caps(&from).build()
        };
        let held = packer.pack(&sample(20)).unwrap();
        // As it travels: stamped, so with times of its own over the same memory.
        let copied = packer.pack(&sample(25)).unwrap().copy();
        for luma in 30..60 {
            packer.pack(&sample(luma)).unwrap();
        }
        assert_eq!(held.map_readable().unwrap()[0], 20);
        assert_eq!(copied.map_readable().unwrap()[0], 25);
        let memories = (0..9).map(|_| packer.pack(&sample(70)).unwrap().peek_memory(0).as_ptr());
        assert_eq!(
            memories.collect::<std::collections::BTreeSet<_>>().len(),
            1,
            "one goes round beside the two that are held"
        );
    }
}
