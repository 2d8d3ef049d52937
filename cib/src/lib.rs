//! The cluster information base as a value: an XML document with versions, operations and patches.
