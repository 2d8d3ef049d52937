//! Who is in, who leads, who may write: edges, lease, views, quorum (protocol §5–8, §11, §15).

pub mod choice;
pub mod edges;
pub mod info;
pub mod quorum;
pub mod witness;
