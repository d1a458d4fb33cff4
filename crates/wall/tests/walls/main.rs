//! The walls, against the real kernel.
//!
//! This binary is both the tests and every program they need: the zygote whose workers they look
//! at, and gates that can be killed or crippled. So it has its own `main`.

mod doctor;
mod gates;
mod jail;
mod life;
mod minimum;
mod program;
mod session;
mod steady;
mod user;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name and what it does.
pub type Case = (&'static str, fn() -> Result<(), Failed>);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = program::run(&arguments).or_else(|| gates::run(&arguments)) {
        return code;
    }
    let trials = [jail::CASES, life::CASES, minimum::CASES, steady::CASES, doctor::CASES, user::CASES]
        .into_iter()
        .flatten()
        .map(|(name, case)| Trial::test(*name, case))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Names each function as the test it is.
#[macro_export]
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[$crate::Case] = &[$((stringify!($case), $case)),*];
    };
}
