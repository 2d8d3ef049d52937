//! Typed indices into the planner's arenas.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The index of the `at`-th entry of an arena.
            pub fn new(at: usize) -> Self {
                Self(u32::try_from(at).unwrap_or(u32::MAX))
            }

            /// The position in the arena.
            pub fn at(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// A node, in the order nodes became known.
    NodeIx
);
index!(
    /// A resource: primitive, group, clone, bundle, or an instance of one.
    ResourceIx
);
index!(
    /// An action; action `n` has the printed number `n + 1`.
    ActionIx
);
index!(
    /// A location record: one `rsc_location` with a node, or one of its rules.
    LocationIx
);
index!(
    /// A colocation of two resources.
    ColocationIx
);
