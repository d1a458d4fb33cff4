//! The same tests as an ordinary user.

use std::os::unix::process::CommandExt;
use std::process::Command;

use libtest_mimic::Failed;

use crate::jail::readable_exe;
use crate::session::root;

crate::cases![w01_the_walls_hold_for_an_ordinary_user];

/// The user id that traditionally owns nothing.
const NOBODY: u32 = 65_534;

fn w01_the_walls_hold_for_an_ordinary_user() -> Result<(), Failed> {
    if !root() {
        println!("this run is an ordinary user's already");
        return Ok(());
    }
    let (_directory, exe) = readable_exe()?;
    let output = Command::new(exe)
        .args(["--skip", "w01_the_walls_hold_for_an_ordinary_user", "--test-threads", "2"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok"), "{said}");
    Ok(())
}
