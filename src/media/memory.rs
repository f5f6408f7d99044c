//! Memory of pipelines that have ended.
//!
//! Each thread allocates in one of several arenas, and what a leg's dozen threads free stays there in holes: over 100
//! joins of a LiveKit leg 40 MB, all of which the machine gets back when the allocator is asked to look for whole pages.

#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "a call of the C library that no crate wraps"))]

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
