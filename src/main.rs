use std::process::ExitCode;

fn main() -> ExitCode {
    cuebox::supervise::logging::init();
    // Should a dependency bring a second one some day, this still is the one for all TLS of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cuebox::cli::main()
}
