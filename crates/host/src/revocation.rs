//! Revocations that reach the grants of an open session.

use crate::entries;
use crate::session::SessionInner;
use lockgate_authority::GrantId;
use lockgate_control::{ControlError, Revocation, Revoked};
use lockgate_journal::Kind;
use lockgate_token::BlockId;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long a session goes on with its grants although nobody can tell it that they were revoked.
const UNHEARD: Duration = Duration::from_millis(500);

/// A revocation and the grant of this session that it reaches first, with all below it.
struct Reached {
    revocation: Revocation,
    grant: GrantId,
    block: Option<BlockId>,
}

impl SessionInner {
    /// Revokes what the operator revoked since this was asked last, and records each. Where that cannot be read for
    /// longer than half a second, everything is revoked: a grant nobody can take back is not to be used. False where it
    /// could not be read.
    ///
    /// An effect that began before is finished and its result handed over; the next part of a stream is refused.
    pub(crate) fn apply_revocations(&self) -> bool {
        let heard = self.hear_revocations();
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard {
            Ok(()) => {
                *unheard = None;
                true
            }
            Err(error) => {
                if unheard.get_or_insert_with(Instant::now).elapsed() >= UNHEARD {
                    self.revoke_all(&error);
                }
                false
            }
        }
    }

    /// Revokes what the operator revoked since this was asked last.
    pub(crate) fn hear_revocations(&self) -> Result<(), ControlError> {
        self.reached()?.iter().for_each(|reached| self.revoke(reached));
        Ok(())
    }

    fn reached(&self) -> Result<Vec<Reached>, ControlError> {
        let control = &self.gate.control;
        let of_session = control.revocations_of(*self.id.as_bytes())?.into_iter().filter_map(|revocation| {
            let Revoked::Grant { grant, .. } = revocation.what else { return None };
            Some(Reached { revocation, grant: GrantId::recorded(grant), block: None })
        });
        let mut found: Vec<Reached> = of_session.collect();
        for (block, grant) in self.opened.iter().flat_map(|opened| opened.layers()) {
            if let Some(revocation) = control.revocation(Revoked::Block(*block.as_bytes()))? {
                found.push(Reached { revocation, grant, block: Some(block) });
            }
        }
        Ok(found)
    }

    /// The grant is refused from here on; then that is recorded. Where it cannot be recorded it holds all the same.
    fn revoke(&self, reached: &Reached) {
        let mut usage = self.book.usage();
        if usage.is_revoked_itself(reached.grant) {
            return;
        }
        usage.revoke(reached.grant);
        drop(usage);
        let Revocation { by, time_ms, .. } = &reached.revocation;
        let body =
            entries::revoked(reached.grant, self.point_of(reached.grant).as_deref(), by, *time_ms, reached.block);
        let gate = &self.gate;
        let _ = gate.recorder().append(self.book.key(), Kind::Revocation, 0, gate.now_us(), &body);
    }

    fn revoke_all(&self, error: &ControlError) {
        let by = format!("the gate: {error}");
        for root in self.held.all().iter().filter_map(|grant| grant.chain().next()) {
            let what = Revoked::Grant { session: *self.id.as_bytes(), grant: root.get() };
            let revocation = Revocation { what, by: by.clone(), time_ms: self.gate.now_us() / 1000 };
            self.revoke(&Reached { revocation, grant: root, block: None });
        }
    }

    /// The point of a grant that the session began with.
    fn point_of(&self, grant: GrantId) -> Option<String> {
        let held = self.held.all().iter().find(|held| held.descends_from(grant))?;
        Some(held.point().to_string())
    }
}
