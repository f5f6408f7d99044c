//! Full range → limited range, in place.
//!
//! The converter of GStreamer 1.22 hands pictures on with their levels as they are when nothing but the range differs
//! (seen from every YUV format to NV12; with another matrix it does convert them), and every MJPEG camera delivers full
//! range.

use crate::media::part::Failure;

/// Brings an NV12 picture from full to limited range.
pub fn to_limited(picture: &mut gst::Buffer, info: &gst_video::VideoInfo) -> Result<(), Failure> {
    let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(picture.make_mut(), info)?;
    frame.plane_data_mut(0).map_err(Failure::internal)?.iter_mut().for_each(|level| *level = luma(*level));
    frame.plane_data_mut(1).map_err(Failure::internal)?.iter_mut().for_each(|level| *level = chroma(*level));
    Ok(())
}

/// 0–255 → 16–235: × 219 / 255, in 1/65,536.
fn luma(full: u8) -> u8 {
    ((u32::from(full) * 56_284 + (16 << 16) + (1 << 15)) >> 16) as u8
}

/// 0–255 → 16–240 around 128: × 224 / 255, in 1/65,536.
fn chroma(full: u8) -> u8 {
    ((u32::from(full) * 57_569 + (128 << 16) - 128 * 57_569 + (1 << 15)) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_the_nearest() {
        for full in 0..=255u8 {
            let exact = f64::from(full) * 219.0 / 255.0 + 16.0;
            assert!((f64::from(luma(full)) - exact).abs() < 0.51, "{full}");
            let exact = (f64::from(full) - 128.0) * 224.0 / 255.0 + 128.0;
            assert!((f64::from(chroma(full)) - exact).abs() < 0.51, "{full}");
        }
        assert_eq!((luma(0), luma(255), chroma(0), chroma(128), chroma(255)), (16, 235, 16, 128, 240));
    }
}
