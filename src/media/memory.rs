//! The memory of a process whose threads come and go with every pipeline.
//!
//! The C library deals its threads out over eight arenas a processor, and what is freed in one stays there in holes that
//! threads of another cannot use. Memory then grows with each pipeline that was built, towards a bound far above what is
//! in use. Resident after 0 and 40 losses of a network source, beside four test cameras at 640×360 that are recorded:
//!
//! | arenas | blocks of 128 KiB and more | at first | after 40 losses |
//! |---|---|---|---|
//! | 16 | in an arena, once one was freed | 136 MB | 212 MB |
//! | 2 | the same | 140 MB | 165 MB |
//! | 2 | pages of their own, which go back when they are freed | 137 MB | 147 MB |

#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "two calls of the C library that no crate wraps"))]

/// Few enough to leave few holes; with one, its threads would wait for each other.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;
/// Bytes from which on a block has pages of its own. To name the default keeps it from growing with what is freed.
#[cfg(target_env = "gnu")]
const OWN_PAGES: libc::c_int = 128 * 1024;

/// Keeps the allocator from holding more and more. To be called before there are threads.
pub fn bound() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_ARENA_MAX, ARENAS), (libc::M_MMAP_THRESHOLD, OWN_PAGES)] {
        // SAFETY: it takes no pointer, and may be called at any time from any thread.
        if unsafe { libc::mallopt(option, value) } == 0 {
            tracing::debug!(option, value, "the allocator does not take this option");
        }
    }
}

/// Gives free pages back to the machine. Takes milliseconds, in which whoever allocates may wait.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        let began = std::time::Instant::now();
        // SAFETY: it takes no pointer, and may be called at any time from any thread.
        unsafe {
            libc::malloc_trim(0);
        }
        tracing::debug!(took = ?began.elapsed(), "free memory was given back");
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::bound;

    const MB: usize = 1 << 20;

    /// Bytes in blocks with pages of their own.
    fn own_pages() -> usize {
        // SAFETY: it takes no pointer, and may be called at any time from any thread.
        unsafe { libc::mallinfo2() }.hblkhd
    }

    #[test]
    fn a_large_block_has_pages_of_its_own_whatever_was_freed_before() {
        bound();
        drop(Vec::<u8>::with_capacity(16 * MB));
        let before = own_pages();
        let blocks: Vec<Vec<u8>> = (0..128).map(|_| Vec::with_capacity(MB)).collect();
        let more = own_pages().saturating_sub(before);
        assert!(more >= 64 * MB, "{} MB of {} MB lie in pages of their own", more / MB, blocks.len());
    }
}
