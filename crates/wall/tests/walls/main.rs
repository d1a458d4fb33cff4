//! The walls, against the real kernel.
//!
//! This binary is both the tests and the program whose workers they look at, so it has its own
//! `main`.

mod jail;
mod program;
mod session;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name and what it does.
pub type Case = (&'static str, fn() -> Result<(), Failed>);

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(program::ZYGOTE) {
        return program::zygote();
    }
    let trials = jail::CASES.iter().map(|(name, case)| Trial::test(*name, case)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Names each function as the test it is.
#[macro_export]
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[$crate::Case] = &[$((stringify!($case), $case)),*];
    };
}
