//! A worker below the minimum does not serve, and everyone is told why.

use std::process::Command;

use libtest_mimic::Failed;
use lockgate_wall::{ForkError, JailSpec, State, Wall, WallSet};

use crate::gates;
use crate::session::{Session, root, zygote};

crate::cases![
    w01_a_wall_not_raised_is_missed,
    w01_a_landlock_too_old_is_missed,
    w01_what_the_kernel_refuses_is_named_with_its_error_and_remedy,
    w01_root_needs_no_user_namespace_for_the_others,
    w01_an_unknown_wall_is_an_error,
];

fn w01_a_wall_not_raised_is_missed() -> Result<(), Failed> {
    let zygote = zygote();
    for wall in Wall::ALL {
        let spec = JailSpec {
            raise: WallSet::all().without(wall),
            minimum: WallSet::none().with(wall),
            ..JailSpec::default()
        };
        let error = zygote.fork(&spec).err().ok_or_else(|| format!("served without {wall}"))?;
        let ForkError::BelowMinimum { missing, walls } = &error else {
            return Err(error.into());
        };
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].wall, wall);
        assert!(matches!(missing[0].state, State::Absent { .. }), "{:?}", missing[0]);
        assert!(!walls.is_up(wall));
        assert_eq!(
            error.to_string(),
            format!("the worker's walls are below the minimum: `{wall}` is absent: not asked for")
        );
    }
    Ok(())
}

fn w01_a_landlock_too_old_is_missed() -> Result<(), Failed> {
    let zygote = zygote();
    let spec = JailSpec { minimum_landlock_abi: 1000, ..JailSpec::default() };
    let error = zygote.fork(&spec).err().ok_or("served with an older Landlock")?;
    assert!(error.to_string().contains("`landlock` is absent: "), "{error}");
    assert!(error.hint().starts_with("landlock: use Linux 5.13 or later"), "{}", error.hint());
    Ok(())
}

fn w01_what_the_kernel_refuses_is_named_with_its_error_and_remedy() -> Result<(), Failed> {
    let output = Command::new(std::env::current_exe()?).arg(gates::CRIPPLED).output()?;
    let said = String::from_utf8(output.stdout)?;
    let failure = String::from_utf8_lossy(&output.stderr);
    let (refusal, lower) = said.split_once("--\n").ok_or_else(|| format!("{said}{failure}"))?;
    assert_eq!(
        refusal.lines().next(),
        Some(
            "the worker's walls are below the minimum: \
             `landlock` is absent: the kernel has no Landlock, or a filter hides it"
        )
    );
    assert!(refusal.contains("landlock: use Linux 5.13 or later"), "{refusal}");
    // With less insisted on it serves, and still names all that is missing.
    let lower: Vec<&str> = lower.lines().collect();
    assert_eq!(lower.first(), Some(&"hello"));
    for wall in WallSet::namespaces().without(Wall::EmptyRoot).iter() {
        let line = lower.iter().find(|line| line.starts_with(wall.name())).ok_or("unreported")?;
        assert!(line.contains(" refused: unshare"), "{line}");
        assert!(line.ends_with("Operation not permitted (os error 1)"), "{line}");
    }
    assert!(lower.contains(&"empty_root absent: it needs `mount_ns`, which is not up"), "{lower:?}");
    assert!(lower.contains(&"seccomp up"));
    Ok(())
}

fn w01_root_needs_no_user_namespace_for_the_others() -> Result<(), Failed> {
    let output = Command::new(std::env::current_exe()?).arg(gates::NO_USER_NAMESPACE).output()?;
    let said = String::from_utf8(output.stdout)?;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.first(), Some(&"hello"), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("user_ns refused: unshare: Operation not permitted"), "{said}");
    for wall in WallSet::namespaces().without(Wall::UserNamespace).iter() {
        let up = lines.contains(&format!("{wall} up").as_str());
        assert_eq!(up, root(), "{wall}: {said}");
    }
    assert!(lines.contains(&"capabilities up"), "{said}");
    Ok(())
}

fn w01_an_unknown_wall_is_an_error() -> Result<(), Failed> {
    let error = "moat".parse::<Wall>().err().ok_or("a moat is no wall")?;
    assert_eq!(error.to_string(), "`moat` is not the name of a wall");
    for wall in Wall::ALL {
        assert!(error.hint().contains(wall.name()));
        assert_eq!(wall.name().parse::<Wall>()?, wall);
    }
    if !root() {
        // An ordinary user's gate that insists on `uid` is told so by its workers.
        let spec = JailSpec { minimum: WallSet::all(), ..JailSpec::default() };
        let error = zygote().fork(&spec).err().ok_or("served without `uid`")?;
        assert!(error.to_string().contains("`uid` is absent: the gate is not root"), "{error}");
    } else {
        Session::open(&zygote(), &JailSpec { minimum: WallSet::none().with(Wall::Uid), ..JailSpec::default() });
    }
    Ok(())
}
