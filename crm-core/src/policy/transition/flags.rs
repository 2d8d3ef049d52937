//! Flag sets of actions and of edges between them.
//!
//! The bits of edges are those of the reference: two edges between the same actions count as one when
//! they share a bit, so which effects share a bit matters.

use std::ops::{BitOr, BitOrAssign};

macro_rules! flag_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(u32);

        impl $name {
            /// No flag at all.
            pub const NONE: Self = Self(0);
            $($(#[$flag_doc])* pub const $flag: Self = Self($bit);)*

            /// True if every flag of `other` is set.
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// True if some flag of `other` is set.
            pub const fn any(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            pub const fn is_none(self) -> bool {
                self.0 == 0
            }

            /// Both sets together.
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// This set less `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            pub fn set(&mut self, other: Self) {
                self.0 |= other.0;
            }

            pub fn clear(&mut self, other: Self) {
                self.0 &= !other.0;
            }
        }

        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.with(other)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.set(other);
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut left = false;
                $(if self.has(Self::$flag) {
                    if left {
                        f.write_str("|")?;
                    }
                    f.write_str(stringify!($flag))?;
                    left = true;
                })*
                if left { Ok(()) } else { f.write_str("NONE") }
            }
        }
    };
}

flag_set! {
    /// What is true of an action.
    ActionFlags {
        /// Not needed in this transition.
        OPTIONAL = 1;
        /// Could be executed.
        RUNNABLE = 1 << 1;
        /// Never sent anywhere: an ordering point.
        PSEUDO = 1 << 2;
        /// Put into the graph although optional.
        PRINT_ALWAYS = 1 << 3;
        /// Part of, or compatible with, a live migration.
        MIGRATE_RUNNABLE = 1 << 4;
        /// A stop made redundant by fencing.
        IMPLIED_BY_FENCING = 1 << 5;
        /// The stop of a dangling migration.
        DANGLE = 1 << 6;
        /// Runnable once a number of its predecessors are.
        REQUIRES_ANY = 1 << 7;
        /// A recurring action to be scheduled anew: its parameters changed.
        RESCHEDULE = 1 << 8;
        /// May run on the DC although its own node is down.
        ON_DC = 1 << 9;
        /// Visited in the walk under way.
        TRACKING = 1 << 10;
        /// Parameters of the operation were evaluated for its node.
        HAVE_EXTRA = 1 << 11;
        /// Written to the graph.
        DUMPED = 1 << 12;
        /// Duplicate edges were merged.
        DEDUP = 1 << 13;
        /// Marked while probe orderings are spread.
        PROBE_SEEN = 1 << 14;
    }
}

flag_set! {
    /// What an edge between two actions does.
    EdgeFlags {
        /// Pure ordering.
        OPT = 0x1;
        /// Dropped while the first is part of a live migration.
        NON_MIG = 0x2;
        /// Then required makes the first required.
        I_FIRST = 0x10;
        /// First required makes then required.
        I_THEN = 0x20;
        /// Like `I_FIRST`, only while then's resource is promoted.
        PROM_I_FIRST = 0x40;
        /// The first needs then to be runnable and migratable.
        MIG_FIRST = 0x80;
        /// Then can run only if the first can.
        RUN_LEFT = 0x100;
        /// Then may be pseudo only if the first can run.
        PSEUDO_LEFT = 0x200;
        /// `I_THEN`, only for actions on the first's node.
        I_THEN_NODE = 0x400;
        /// `RUN_LEFT`, unless the first cannot run and its resource is active.
        PROBE = 0x800;
        /// Couples the stop and the start of a restart, and the stops of group members.
        RESTART = 0x1000;
        /// Marks orderings of kind Serialize.
        SERIALIZE = 0x4000;
        /// Only between actions of one node.
        SAME_NODE = 0x8000;
        /// Then required puts the first into the graph.
        FIRST_PRINTED = 0x10000;
        /// First required and runnable puts then into the graph.
        THEN_PRINTED = 0x20000;
        /// Mandatory in one direction only.
        ASYM = 0x100000;
        /// A barrier of utilization.
        LOAD = 0x200000;
        /// Counts towards the predecessors a barrier needs.
        ONE_OR_MORE = 0x400000;
        /// Of resources that must not share a node.
        ANTI_COLOC = 0x800000;
        /// Exempt from the check of guests against their containers.
        PRESERVE = 0x1000000;
        /// Then required makes the first optional.
        CANCELS = 0x2000000;
    }
}
