//! What one cell may consume.

use crate::reason::ReasonCode;

/// What a limit is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds; written as a duration, `10s`.
    Milliseconds,
    /// Bytes; written as a size, `32MiB`.
    Bytes,
    /// A plain number.
    Count,
}

macro_rules! limits {
    ($($field:ident, $variant:ident, $key:literal, $unit:ident, $min:literal, $code:ident, $doc:literal;)*) => {
        /// The limits there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Limit {
            $(#[doc = $doc] $variant,)*
        }

        /// All limits of one cell.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $doc] pub $field: u64,)*
        }

        /// Some limits: what a manifest sets, or a child asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        pub struct PartialLimits {
            $(#[doc = $doc] pub $field: Option<u64>,)*
        }

        impl Limit {
            /// Every limit, in the order of the documentation.
            pub const ALL: &'static [Limit] = &[$(Limit::$variant,)*];

            /// The limit's key in a manifest.
            pub const fn key(self) -> &'static str {
                match self { $(Limit::$variant => $key,)* }
            }

            /// What it is counted in.
            pub const fn unit(self) -> Unit {
                match self { $(Limit::$variant => Unit::$unit,)* }
            }

            /// Smallest value with which a cell can do anything at all.
            pub const fn least(self) -> u64 {
                match self { $(Limit::$variant => $min,)* }
            }

            /// The reason given where the limit is hit.
            pub const fn code(self) -> ReasonCode {
                match self { $(Limit::$variant => ReasonCode::$code,)* }
            }

            /// One line that says what is bounded.
            pub const fn description(self) -> &'static str {
                match self { $(Limit::$variant => $doc,)* }
            }
        }

        impl Limits {
            /// The value of one limit.
            pub const fn get(&self, limit: Limit) -> u64 {
                match limit { $(Limit::$variant => self.$field,)* }
            }

            /// The smaller of each.
            #[must_use]
            pub fn meet(&self, other: &Limits) -> Limits {
                Limits { $($field: self.$field.min(other.$field),)* }
            }

            /// Each limit lowered to what `other` sets.
            #[must_use]
            pub fn meet_partial(&self, other: &PartialLimits) -> Limits {
                Limits { $($field: other.$field.map_or(self.$field, |value| self.$field.min(value)),)* }
            }
        }

        impl PartialLimits {
            /// The value of one limit, where it is set.
            pub const fn get(&self, limit: Limit) -> Option<u64> {
                match limit { $(Limit::$variant => self.$field,)* }
            }

            /// Sets one limit.
            pub fn set(&mut self, limit: Limit, value: u64) {
                match limit { $(Limit::$variant => self.$field = Some(value),)* }
            }

            /// What is set here, and `defaults` for the rest.
            pub fn or(&self, defaults: &Limits) -> Limits {
                Limits { $($field: self.$field.unwrap_or(defaults.$field),)* }
            }
        }

        impl From<Limits> for PartialLimits {
            fn from(limits: Limits) -> Self {
                PartialLimits { $($field: Some(limits.$field),)* }
            }
        }
    };
}

limits! {
    wall_ms, Wall, "wall", Milliseconds, 1, LimitWall, "Time from start to end, waiting included, in milliseconds.";
    cpu_ms, Cpu, "cpu", Milliseconds, 1, LimitCpu, "Time during which the guest's code runs, in milliseconds.";
    memory_bytes, Memory, "memory", Bytes, 1_048_576, LimitMemory, "Linear memory of the instance, in bytes.";
    table_elements, Table, "table", Count, 1, LimitTable, "Elements of the instance's Wasm tables.";
    stack_bytes, Stack, "stack", Bytes, 16_384, LimitStack, "Stack of the JavaScript interpreter, in bytes.";
    output_bytes, Output, "output", Bytes, 0, LimitOutput, "Console output and the result together, in bytes.";
    handles, Handles, "handles", Count, 0, LimitHandles, "Open streams and live children at one time.";
    crossings, Crossings, "crossings", Count, 0, LimitCrossings, "Crossings in total, refused ones included.";
    in_flight, InFlight, "in_flight", Count, 1, LimitInFlight, "Crossings that wait for their outcome at one time.";
    buffer_bytes, Buffers, "buffers", Bytes, 0, LimitBuffers, "Bytes that the host holds for the cell at one time: unread bodies and messages.";
    children, Children, "children", Count, 0, LimitChildren, "Live child cells at one time.";
    depth, Depth, "depth", Count, 0, LimitDepth, "Levels of child cells below this one.";
}

impl Limit {
    /// The limit of a manifest's key.
    pub fn from_key(key: &str) -> Option<Limit> {
        Limit::ALL.iter().copied().find(|limit| limit.key() == key)
    }
}

impl Limits {
    /// The limits of a child: what it asks for, but never more than its parent has or a ceiling allows. What it does
    /// not ask for is as its parent's. Its depth is one less than its parent's; `None` if its parent has none left.
    pub fn for_child<'a>(
        &self,
        asked: &PartialLimits,
        ceilings: impl IntoIterator<Item = &'a PartialLimits>,
    ) -> Option<Limits> {
        let depth = self.depth.checked_sub(1)?;
        let own = Limits { depth, ..*self }.meet_partial(asked);
        Some(ceilings.into_iter().fold(own, |limits, ceiling| limits.meet_partial(ceiling)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_limits() -> impl Strategy<Value = Limits> {
        proptest::collection::vec(0_u64..1000, Limit::ALL.len()).prop_map(|values| {
            let mut partial = PartialLimits::default();
            for (limit, value) in Limit::ALL.iter().zip(values) {
                partial.set(*limit, value);
            }
            partial.or(&partial.or(&ZERO))
        })
    }

    const ZERO: Limits = Limits {
        wall_ms: 0,
        cpu_ms: 0,
        memory_bytes: 0,
        table_elements: 0,
        stack_bytes: 0,
        output_bytes: 0,
        handles: 0,
        crossings: 0,
        in_flight: 0,
        buffer_bytes: 0,
        children: 0,
        depth: 0,
    };

    proptest! {
        #[test]
        fn n05_meet_is_the_smaller_of_each(left in any_limits(), right in any_limits()) {
            let meet = left.meet(&right);
            for limit in Limit::ALL {
                prop_assert_eq!(meet.get(*limit), left.get(*limit).min(right.get(*limit)));
            }
        }

        #[test]
        fn n01_a_child_never_has_a_larger_limit(parent in any_limits(), asked in any_limits(), ceiling in any_limits()) {
            match parent.for_child(&asked.into(), [&ceiling.into()]) {
                None => prop_assert_eq!(parent.depth, 0),
                Some(child) => {
                    prop_assert!(child.depth < parent.depth);
                    for limit in Limit::ALL {
                        prop_assert!(child.get(*limit) <= parent.get(*limit));
                        prop_assert!(child.get(*limit) <= ceiling.get(*limit));
                        prop_assert!(child.get(*limit) <= asked.get(*limit));
                    }
                }
            }
        }
    }

    #[test]
    fn n05_every_limit_has_a_key_and_a_reason_of_its_own() {
        for (index, limit) in Limit::ALL.iter().enumerate() {
            assert_eq!(Limit::from_key(limit.key()), Some(*limit));
            for other in &Limit::ALL[index + 1..] {
                assert_ne!(limit.code(), other.code());
            }
        }
    }
}
