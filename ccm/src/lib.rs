//! Everbeat ccm: heartbeat media, reliable messaging, membership, DC and the replicated CIB.
