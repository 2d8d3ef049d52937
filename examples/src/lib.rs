//! Embedding examples and whole clusters one can start: see `README.md` beside this crate's manifest.
