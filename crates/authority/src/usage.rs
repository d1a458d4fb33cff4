//! What was spent through each grant, and which grants were revoked.

use crate::caveat::{Caveat, Rate};
use crate::decide::Request;
use crate::grant::{Grant, GrantId, Layer};
use crate::label::Label;
use crate::reason::{Denial, ReasonCode};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::sync::Arc;

/// Largest result of one crossing where nothing smaller is set, in bytes. Larger things are read in parts.
const DEFAULT_RESULT: u64 = 8 << 20;

/// What one crossing spends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    /// Calls; one for each request, none for the continuation of an effect.
    pub calls: u64,
    /// Bytes, sent and received together.
    pub bytes: u64,
    /// Child cells started.
    pub children: u64,
}

impl Spend {
    /// One call that moves `bytes`.
    pub const fn call(bytes: u64) -> Self {
        Spend { calls: 1, bytes, children: 0 }
    }

    /// One call that starts a child and moves `bytes`.
    pub const fn spawn(bytes: u64) -> Self {
        Spend { calls: 1, bytes, children: 1 }
    }

    /// Bytes alone, of an effect that goes on.
    pub const fn bytes(bytes: u64) -> Self {
        Spend { calls: 0, bytes, children: 0 }
    }
}

/// What was spent through one layer of a grant and all grants derived from it.
#[derive(Clone, Debug, Default)]
struct Account {
    calls: u64,
    bytes: u64,
    children: u64,
    /// Times of the latest calls in milliseconds, as many as the layer's largest rate asks for, oldest first.
    recent: VecDeque<u64>,
}

/// Bytes set aside before an effect of unknown size; give it to [`Usage::settle`] afterwards.
///
/// One that is lost stays spent.
#[derive(Debug)]
#[must_use = "what is not settled stays spent"]
pub struct Reservation {
    layers: Arc<[Arc<Layer>]>,
    bytes: u64,
}

impl Reservation {
    /// The bytes set aside, which the effect must not exceed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The accounts of one session's grants and its revocations: the state that a decision depends on.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    accounts: FxHashMap<GrantId, Account>,
    revoked: FxHashSet<GrantId>,
    /// What the cells that can spend through a layer with a budget have read, where that is anything.
    shared: FxHashMap<GrantId, Label>,
}

impl Usage {
    /// Nothing spent, nothing revoked.
    pub fn new() -> Self {
        Usage::default()
    }

    /// Revokes a grant and with it every grant derived from it, existing or to come.
    pub fn revoke(&mut self, grant: GrantId) {
        self.revoked.insert(grant);
    }

    /// Whether the grant, or one that it was derived from, was revoked. Constant time while nothing is revoked.
    pub fn is_revoked(&self, grant: &Grant) -> bool {
        !self.revoked.is_empty() && grant.chain().any(|id| self.revoked.contains(&id))
    }

    /// Whether this very grant was revoked, not one above it.
    pub fn is_revoked_itself(&self, grant: GrantId) -> bool {
        self.revoked.contains(&grant)
    }

    /// Spends on the grant and on every grant that it was derived from, or, where one of them has too little left, on
    /// none. The bytes are set aside until [`Usage::settle`].
    pub fn reserve(&mut self, grant: &Grant, spend: Spend, now_ms: u64) -> Result<Reservation, Denial> {
        if self.is_revoked(grant) {
            return Err(Denial::new(ReasonCode::Revoked, "the grant was revoked"));
        }
        for layer in grant.layers() {
            let short = layer.caveats().iter().find(|caveat| !self.has_left(layer.id(), caveat, spend, now_ms));
            if let Some(caveat) = short {
                return Err(Denial::new(caveat.code(), short_of(caveat)));
            }
        }
        for layer in grant.layers().iter().filter(|layer| layer.has_budget()) {
            self.accounts.entry(layer.id()).or_default().spend(layer, spend, now_ms);
        }
        Ok(Reservation { layers: grant.layers_shared(), bytes: spend.bytes })
    }

    /// Spends what a request is known to spend and, where the grant's bytes are bounded, sets aside what its result may
    /// have; gives the reservation and that allowance, in bytes.
    pub fn set_aside(&mut self, grant: &Grant, request: &Request<'_>) -> Result<(Reservation, u64), Denial> {
        let most = grant.response_bytes().unwrap_or(DEFAULT_RESULT).min(DEFAULT_RESULT);
        let left = self.remaining_bytes(grant).map(|left| left.saturating_sub(request.bytes));
        let allowance = left.map_or(most, |left| most.min(left));
        let bytes = request.bytes.saturating_add(if left.is_some() { allowance } else { 0 });
        let reservation = self.reserve(grant, Spend { bytes, ..request.spend() }, request.now_ms)?;
        Ok((reservation, allowance))
    }

    /// Gives back what an effect did not need of its reservation. `used` above the reservation counts as all of it.
    pub fn settle(&mut self, reservation: Reservation, used: u64) {
        let unused = reservation.bytes.saturating_sub(used);
        for layer in reservation.layers.iter() {
            if let Some(account) = self.accounts.get_mut(&layer.id()) {
                account.bytes = account.bytes.saturating_sub(unused);
            }
        }
    }

    /// Bytes that can still be spent through the grant; `None` where no layer bounds them.
    pub fn remaining_bytes(&self, grant: &Grant) -> Option<u64> {
        self.remaining(grant, |caveat, account| match caveat {
            Caveat::Bytes(limit) => Some(limit.saturating_sub(account.map_or(0, |account| account.bytes))),
            _ => None,
        })
    }

    /// Calls that can still be made through the grant; `None` where no layer bounds them.
    pub fn remaining_calls(&self, grant: &Grant) -> Option<u64> {
        self.remaining(grant, |caveat, account| match caveat {
            Caveat::Calls(limit) => Some(limit.saturating_sub(account.map_or(0, |account| account.calls))),
            _ => None,
        })
    }

    /// A cell that has read what has this label can spend through the grant from here on, so what is left of its budgets
    /// depends on that. Told when the cell begins and whenever its label rises, whether or not it spends: that it did not
    /// would be its word too.
    pub fn share(&mut self, grant: &Grant, label: Label) {
        if label != Label::BOTTOM {
            for layer in grant.layers().iter().filter(|layer| layer.has_budget()) {
                let known = self.shared.entry(layer.id()).or_default();
                *known = known.hearing(label);
            }
        }
    }

    /// What it depends on how much is left of these grants' budgets. Constant time while nobody who shares them has read
    /// anything.
    pub fn shared<'g>(&self, grants: impl IntoIterator<Item = &'g Grant>) -> Label {
        if self.shared.is_empty() {
            return Label::BOTTOM;
        }
        let layers = grants.into_iter().flat_map(Grant::chain);
        layers.filter_map(|layer| self.shared.get(&layer)).fold(Label::BOTTOM, |label, other| label.hearing(*other))
    }

    /// What was spent through the grant and those derived from it: calls, bytes, children. Only layers that have a
    /// budget are counted.
    pub fn spent(&self, grant: GrantId) -> Spend {
        self.accounts.get(&grant).map_or(Spend::default(), |account| Spend {
            calls: account.calls,
            bytes: account.bytes,
            children: account.children,
        })
    }

    /// Frees the account of a grant that nobody holds any more, as when a child has ended.
    pub fn forget(&mut self, grant: GrantId) {
        self.accounts.remove(&grant);
        self.revoked.remove(&grant);
        self.shared.remove(&grant);
    }

    /// Whether the account of layer `id` has `spend` left under `caveat`. True for caveats that are no budget.
    pub(crate) fn has_left(&self, id: GrantId, caveat: &Caveat, spend: Spend, now_ms: u64) -> bool {
        let fits = |limit: u64, spent: u64, more: u64| spent.checked_add(more).is_some_and(|total| total <= limit);
        let spent = |pick: fn(&Account) -> u64| self.accounts.get(&id).map_or(0, pick);
        match caveat {
            Caveat::Calls(limit) => spend.calls == 0 || fits(*limit, spent(|account| account.calls), spend.calls),
            Caveat::Children(limit) => {
                spend.children == 0 || fits(*limit, spent(|account| account.children), spend.children)
            }
            Caveat::Bytes(limit) => {
                let before = spent(|account| account.bytes);
                // A call whose response has no room left would fail after the effect; it is refused before.
                fits(*limit, before, spend.bytes) && (spend.calls == 0 || before < *limit)
            }
            Caveat::Rate(rate) => {
                spend.calls == 0 || self.accounts.get(&id).is_none_or(|account| account.may_call(*rate, now_ms))
            }
            _ => true,
        }
    }

    fn remaining(&self, grant: &Grant, left: impl Fn(&Caveat, Option<&Account>) -> Option<u64>) -> Option<u64> {
        let of_layer = |layer: &Arc<Layer>| {
            let account = self.accounts.get(&layer.id());
            layer.caveats().iter().filter_map(|caveat| left(caveat, account)).min()
        };
        grant.layers().iter().filter_map(of_layer).min()
    }
}

/// What is used up, without the number, which may be another's.
fn short_of(caveat: &Caveat) -> &'static str {
    match caveat {
        Caveat::Calls(_) => "the calls granted are used up",
        Caveat::Bytes(_) => "the bytes granted do not suffice",
        Caveat::Children(_) => "the children granted are used up",
        _ => "called more often than granted",
    }
}

impl Account {
    /// Whether fewer than `rate.calls` of the recorded calls lie within the span that ends now.
    fn may_call(&self, rate: Rate, now_ms: u64) -> bool {
        let calls = usize::try_from(rate.calls).unwrap_or(usize::MAX);
        let Some(index) = self.recent.len().checked_sub(calls) else { return true };
        self.recent.get(index).is_none_or(|time| time.saturating_add(rate.per_ms) <= now_ms)
    }

    fn spend(&mut self, layer: &Layer, spend: Spend, now_ms: u64) {
        self.calls = self.calls.saturating_add(spend.calls);
        self.bytes = self.bytes.saturating_add(spend.bytes);
        self.children = self.children.saturating_add(spend.children);
        let remembered = layer.caveats().iter().filter_map(|caveat| match caveat {
            Caveat::Rate(rate) => usize::try_from(rate.calls).ok(),
            _ => None,
        });
        if let (Some(most), true) = (remembered.max(), spend.calls > 0) {
            // A clock that went back must not let more through.
            let time = self.recent.back().map_or(now_ms, |last| now_ms.max(*last));
            self.recent.push_back(time);
            while self.recent.len() > most {
                self.recent.pop_front();
            }
        }
    }
}
