use std::process::ExitCode;

fn main() -> ExitCode {
    cuebox::supervise::logging::init();
    cuebox::cli::main()
}
