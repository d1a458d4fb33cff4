//! A Landlock domain that handles everything the kernel can handle and allows none of it.

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

use crate::wall::{State, Wall, Walls};

/// The newest Landlock version whose rights are asked for. Tested up to version 7; what is newer
/// adds rights that are refused in the same way, and older kernels get what they know.
const NEWEST: ABI = ABI::V10;

pub(super) fn restrict(minimum_abi: u32, walls: &mut Walls) {
    match restrict_everything() {
        Ok(status) => record(status, minimum_abi, walls),
        Err(error) => walls.record(
            Wall::Landlock,
            State::Refused { step: "restrict with Landlock".into(), errno: *landlock::Errno::from(error) },
            "",
        ),
    }
}

fn restrict_everything() -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()
}

fn record(status: RestrictionStatus, minimum_abi: u32, walls: &mut Walls) {
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
        LandlockStatus::NotEnabled => {
            walls.record_absent(Wall::Landlock, "built into the kernel, but not enabled at boot");
            return;
        }
        LandlockStatus::NotImplemented => {
            walls.record_absent(Wall::Landlock, "the kernel has no Landlock, or a filter hides it");
            return;
        }
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        walls.record_absent(Wall::Landlock, "the kernel did not enforce the ruleset");
    } else if abi < minimum_abi {
        walls.record_absent(
            Wall::Landlock,
            &format!("the kernel has version {abi}, the minimum asks for {minimum_abi}"),
        );
    } else {
        walls.set_landlock_abi(abi);
        walls.record(Wall::Landlock, State::Up, format!("abi {abi}"));
    }
}
