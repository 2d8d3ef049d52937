//! Everbeat crm-core: the policy engine, transitions, fencing, the controller and the embeddable node.

pub mod policy;
