//! lrm
