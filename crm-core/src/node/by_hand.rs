//! A `cib.xml` that somebody put there while the node was down is honoured: its configuration becomes the cluster's,
//! unless the cluster's is newer (cib.md §7.1: a file without digest is accepted).

use cib::dialect;
use cib::{Cib, Code, Element, Operation, Request};

use super::NodeHandle;
use crate::client::{RequestError, RequestOptions};

/// What is to be done about the file.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// The cluster has it already.
    Same,
    /// It is to become the configuration.
    Take(Box<Request>),
    /// It stays what it is, for this reason.
    Leave(String),
}

/// Compare the file with what the cluster has. Who edits a file by hand hardly raises its epoch: a file that is as old
/// as the cluster's document counts as an edit of it.
fn judge(file: &Element, current: &Cib) -> Verdict {
    let Ok(given) = Cib::from_root(file.clone()) else {
        return Verdict::Leave("it is no configuration".to_owned());
    };
    let (theirs, ours) = (given.version(), current.version());
    if (theirs.admin_epoch, theirs.epoch) < (ours.admin_epoch, ours.epoch) {
        return Verdict::Leave(format!("it is of version {theirs}, the cluster is at {ours}"));
    }
    let upgraded = if file.attr("validate-with") == current.root().attr("validate-with") {
        file.clone()
    } else {
        match dialect::upgrade(file) {
            Ok(done) => done.root,
            Err(error) => return Verdict::Leave(error.to_string()),
        }
    };
    let Some(configuration) = upgraded.child("configuration") else {
        return Verdict::Leave("it has no configuration".to_owned());
    };
    if Some(configuration) == current.configuration() {
        return Verdict::Same;
    }
    let request = Request::new(Operation::Replace).section("configuration").input(configuration.clone());
    Verdict::Take(Box::new(request.if_version(ours)))
}

/// Waits for a view that may write, and has the file put in force.
pub(super) async fn honour(node: NodeHandle, file: Element) {
    let mut states = node.watch();
    loop {
        let status = states.borrow_and_update().clone();
        if status.view.as_ref().is_some_and(|view| view.writable) && !status.suspended {
            match judge(&file, &status.cib) {
                Verdict::Same => return,
                Verdict::Leave(why) => {
                    tracing::warn!(
                        target: "crm_core::disk",
                        "the cib.xml that was put there by hand is not taken: {why}; it is kept aside"
                    );
                    return;
                }
                Verdict::Take(request) => match node.request(*request, options()).await {
                    Ok(done) => {
                        let version = done.version;
                        tracing::warn!(
                            target: "crm_core::disk",
                            "the cib.xml that was put there by hand is the configuration now, version {version}"
                        );
                        return;
                    }
                    // Another change came first: compare again.
                    Err(RequestError::Rejected { code, .. }) if code == i32::from(Code::OldData.exit()) => {}
                    Err(RequestError::Rejected { text, .. }) => {
                        tracing::error!(
                            target: "crm_core::disk",
                            "the cib.xml that was put there by hand is not taken: {text}; it is kept aside"
                        );
                        return;
                    }
                    Err(RequestError::Stopped) => return,
                    // No view for it at present, or nobody knows what became of it: the next status tells.
                    Err(_) => {}
                },
            }
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

fn options() -> RequestOptions {
    RequestOptions { client: Some("cib.xml".to_owned()), ..RequestOptions::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cib(version: &str, node: &str) -> Cib {
        let [admin, epoch, updates] = version.split('.').collect::<Vec<_>>().try_into().unwrap();
        Cib::parse(&format!(
            "<cib validate-with='pacemaker-3.9' admin_epoch='{admin}' epoch='{epoch}' num_updates='{updates}'>\
             <configuration><crm_config/><nodes><node id='1' uname='{node}'/></nodes><resources/><constraints/>\
             </configuration><status/></cib>"
        ))
        .unwrap()
    }

    #[test]
    fn a_file_by_hand_counts_unless_the_cluster_is_newer() {
        let current = cib("1.5.7", "one");
        let judged = |version: &str, node: &str| judge(cib(version, node).root(), &current);
        assert_eq!(judged("1.5.0", "one"), Verdict::Same);
        for version in ["1.5.0", "1.6.0", "2.0.0"] {
            let Verdict::Take(request) = judged(version, "two") else { panic!("{version}") };
            let after = cib::apply(&current, &request).unwrap().cib;
            assert_eq!(after.configuration(), cib(version, "two").configuration());
        }
        for version in ["1.4.9", "0.9.0"] {
            assert!(matches!(judged(version, "two"), Verdict::Leave(_)), "{version}");
        }
        let old = Element::parse(
            "<cib admin_epoch='2' epoch='1' num_updates='0'><configuration><crm_config/><nodes/><resources/>\
             <constraints/></configuration><status/></cib>",
        )
        .unwrap();
        let Verdict::Take(request) = judge(&old, &current) else { panic!("the older language") };
        assert!(cib::apply(&current, &request).is_ok());
    }
}
