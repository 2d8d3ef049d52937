//! The administrators' service, over a node's handle.

use std::pin::Pin;
use std::time::Duration;

use crm_core::client::{self, AttributeChange, Cleanup, Freshness, Lifetime, RequestError, RequestOptions};
use crm_core::message::FenceRecord;
use crm_core::node::NodeHandle;
use crm_core::status::NodeStatus;
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use super::peer::Peer;
use super::proto::{self, ActionReply, CibReply, CibRequest, ClusterState};
use crate::groups;
use crate::request::to_cib_request;

/// The service; clones speak to the same node.
#[derive(Clone)]
pub struct Management {
    node: NodeHandle,
}

impl Management {
    pub fn new(node: NodeHandle) -> Self {
        Self { node }
    }
}

type States = Pin<Box<dyn Stream<Item = Result<ClusterState, Status>> + Send>>;

#[tonic::async_trait]
impl proto::management_server::Management for Management {
    type WatchStream = States;

    async fn cib(&self, request: Request<CibRequest>) -> Result<Response<CibReply>, Status> {
        let user = acting_user(&request, &request.get_ref().user);
        let asked = request.into_inner();
        let options = RequestOptions {
            force: asked.force,
            groups: user.as_deref().map(groups::of_user).unwrap_or_default(),
            user,
            client: Some(asked.client.clone()).filter(|client| !client.is_empty()),
            freshness: match asked.freshness.as_str() {
                "local" => Freshness::Local,
                "confirmed" => Freshness::Confirmed,
                _ => Freshness::Leased,
            },
            ..RequestOptions::default()
        };
        let request = match to_cib_request(&asked) {
            Ok(request) => request,
            Err(error) => return Ok(Response::new(refused(u32::from(error.exit()), error.to_string()))),
        };
        let reply = match self.node.request(request, options).await {
            Ok(outcome) => CibReply {
                output: outcome.output.map(|element| element.to_xml()).unwrap_or_default(),
                version: outcome.version.to_string(),
                ..CibReply::default()
            },
            Err(error) => CibReply {
                unknown: matches!(error, RequestError::Unknown(_)),
                ..refused(exit_code(&error), error.to_string())
            },
        };
        Ok(Response::new(reply))
    }

    async fn watch(&self, request: Request<proto::WatchRequest>) -> Result<Response<States>, Status> {
        let user = request.extensions().get::<Peer>().map(|peer| peer.name.clone()).unwrap_or_default();
        let groups = groups::of_user(&user);
        if request.into_inner().once {
            let now = visible_state(&self.node.status(), &user, &groups);
            return Ok(Response::new(Box::pin(tokio_stream::once(now))));
        }
        let states =
            WatchStream::new(self.node.watch()).map(move |status| visible_state(&status, &user, &groups));
        Ok(Response::new(Box::pin(states)))
    }

    async fn cleanup(
        &self,
        request: Request<proto::CleanupRequest>,
    ) -> Result<Response<ActionReply>, Status> {
        let asked = request.into_inner();
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let what = Cleanup {
            resource: given(asked.resource),
            node: given(asked.node),
            only_failed: asked.only_failed,
            operation: given(asked.operation),
            interval: (asked.interval_ms > 0).then(|| Duration::from_millis(asked.interval_ms)),
        };
        Ok(answer(self.node.cleanup(what).await))
    }

    async fn fail(&self, request: Request<proto::FailRequest>) -> Result<Response<ActionReply>, Status> {
        let asked = request.into_inner();
        Ok(answer(self.node.fail(&asked.resource, &asked.node).await))
    }

    async fn set_attribute(
        &self,
        request: Request<proto::SetAttributeRequest>,
    ) -> Result<Response<ActionReply>, Status> {
        let user = acting_user(&request, &request.get_ref().user);
        let asked = request.into_inner();
        let change = AttributeChange {
            node: asked.node,
            name: asked.name,
            value: asked.value,
            lifetime: if asked.transient { Lifetime::Reboot } else { Lifetime::Forever },
            set: None,
            delay: None,
            groups: user.as_deref().map(groups::of_user).unwrap_or_default(),
            user,
            client: Some(asked.client).filter(|client| !client.is_empty()),
        };
        Ok(answer(self.node.ask(client::ClientRequest::SetAttribute(change)).await))
    }

    async fn change_nodes(
        &self,
        request: Request<proto::ChangeNodesRequest>,
    ) -> Result<Response<ActionReply>, Status> {
        if let Some(denied) = self.denied(&request) {
            return Ok(denied);
        }
        let asked = request.into_inner();
        let name = asked.name;
        let change = if asked.remove {
            client::ClientRequest::RemoveNode { name }
        } else {
            client::ClientRequest::AddNode { name, votes: asked.votes }
        };
        Ok(answer(self.node.ask(change).await))
    }

    async fn dismiss_conflicts(
        &self,
        request: Request<proto::DismissConflictsRequest>,
    ) -> Result<Response<ActionReply>, Status> {
        if let Some(denied) = self.denied(&request) {
            return Ok(denied);
        }
        let name = request.into_inner().name;
        let status = self.node.status();
        let tip = status.conflicts.iter().map(|c| c.tip).find(|tip| stamp(*tip) == name);
        if tip.is_none() && !name.is_empty() {
            let error = format!("no conflict is called {name}");
            return Ok(Response::new(ActionReply {
                code: u32::from(crate::exit::NOSUCH),
                error,
                ..ActionReply::default()
            }));
        }
        Ok(answer(self.node.ask(client::ClientRequest::DismissConflicts { tip }).await))
    }

    async fn fence(&self, request: Request<proto::FenceRequest>) -> Result<Response<ActionReply>, Status> {
        if let Some(denied) = self.denied(&request) {
            return Ok(denied);
        }
        let asked = request.into_inner();
        if asked.confirm {
            return Ok(answer(self.node.confirm_fenced(&asked.target).await));
        }
        let timeout = Duration::from_millis(asked.timeout_ms);
        Ok(answer(self.node.fence(&asked.target, &asked.action, timeout).await))
    }

    async fn controller_state(
        &self,
        request: Request<proto::ControllerStateRequest>,
    ) -> Result<Response<ActionReply>, Status> {
        let node = request.into_inner().node;
        Ok(answer(self.node.ask(client::ClientRequest::StateOf { node }).await))
    }

    async fn shutdown(
        &self,
        request: Request<proto::ShutdownRequest>,
    ) -> Result<Response<ActionReply>, Status> {
        if let Some(denied) = self.denied(&request) {
            return Ok(denied);
        }
        let node = request.into_inner().node;
        Ok(answer(match node.as_str() {
            "" => self.node.shutdown().await,
            _ => self.node.ask(client::ClientRequest::ShutdownOf { node }).await,
        }))
    }
}

impl Management {
    /// What concerns the whole cluster is not for users that access lists restrict.
    fn denied<T>(&self, request: &Request<T>) -> Option<Response<ActionReply>> {
        let user = request.extensions().get::<Peer>().map(|peer| peer.name.clone()).unwrap_or_default();
        let groups = groups::of_user(&user);
        let restricted =
            cib::acl::applies(&self.node.status().cib, cib::acl::User { name: &user, groups: &groups });
        restricted.then(|| {
            let error = format!("access lists restrict {user}: this is for administrators");
            Response::new(ActionReply {
                code: u32::from(crate::exit::PERMISSION),
                error,
                ..ActionReply::default()
            })
        })
    }
}

/// An entry of the history by name: number of its view, start of the proposer, number.
fn stamp(stamp: crm_core::status::Stamp) -> String {
    format!("{}.{}/{}", stamp.view.epoch, stamp.view.boot, stamp.n)
}

/// Whose access is judged. Root may act for somebody else, as CIB_user does; nobody else may.
fn acting_user<T>(request: &Request<T>, named: &str) -> Option<String> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.name.clone());
    match peer {
        Some(name) if name != "root" || named.is_empty() => Some(name),
        _ if named.is_empty() => None,
        _ => Some(named.to_owned()),
    }
}

fn refused(code: u32, error: String) -> CibReply {
    CibReply { code, error, ..CibReply::default() }
}

fn answer(result: Result<client::Outcome, RequestError>) -> Response<ActionReply> {
    Response::new(match result {
        Ok(outcome) => ActionReply { count: outcome.count, said: outcome.said, ..ActionReply::default() },
        Err(error) => {
            ActionReply { code: exit_code(&error), error: error.to_string(), ..ActionReply::default() }
        }
    })
}

fn exit_code(error: &RequestError) -> u32 {
    u32::try_from(error.exit_code()).unwrap_or(u32::from(crate::exit::ERROR))
}

/// The state with as much of the document as the user may read.
fn visible_state(status: &NodeStatus, user: &str, groups: &[String]) -> Result<ClusterState, Status> {
    let user = cib::acl::User { name: user, groups };
    let mut state = cluster_state(status);
    if cib::acl::applies(&status.cib, user) {
        let visible = cib::acl::filter(&status.cib, user);
        state.cib = visible.map_err(|error| Status::permission_denied(error.to_string()))?.root().to_xml();
    }
    Ok(state)
}

fn fenced(record: &FenceRecord) -> proto::Fenced {
    proto::Fenced {
        target: record.target.clone(),
        action: record.action.clone(),
        delegate: record.delegate.clone(),
        client: record.client.clone(),
        origin: record.origin.clone(),
        code: record.rc,
        reason: record.reason.clone(),
        completed: record.completed.div_euclid(1_000_000_000),
    }
}

/// The message for a node's status.
pub fn cluster_state(status: &NodeStatus) -> ClusterState {
    let peers = status.peers.iter().map(|peer| proto::Peer {
        name: peer.name.clone(),
        id: peer.id.map(|id| id.to_string()).unwrap_or_default(),
        member: peer.member,
        state: peer.state.as_str().to_owned(),
        links: peer
            .links
            .iter()
            .map(|link| proto::LinkState { name: link.medium.clone(), up: link.up })
            .collect(),
        address: peer.address.clone().unwrap_or_default(),
    });
    let conflicts = status.conflicts.iter().map(|c| proto::Conflict {
        name: stamp(c.tip),
        holder: c.holder_name.clone(),
        changes: c.changes,
        branch: stamp(c.branch),
        winner: stamp(c.winner),
    });
    ClusterState {
        conflicts: conflicts.collect(),
        fencing: status.fencing.iter().map(fenced).collect(),
        fencing_pending: status.fencing_pending.iter().map(fenced).collect(),
        node: status.name.clone(),
        node_id: status.id.to_string(),
        phase: status.phase.as_str().to_owned(),
        dc: status.dc.clone().unwrap_or_default(),
        quorate: status.quorate,
        writable: status.view.as_ref().is_some_and(|view| view.writable),
        feature_set: status.feature_set.clone(),
        peers: peers.collect(),
        cib: status.cib.root().to_xml(),
        suspended: status.suspended,
        transition: status.transition.to_string(),
        idle: status.is_idle(),
        warnings: status.warnings.clone(),
        view_epoch: status.view.as_ref().map_or(0, |view| view.id.epoch),
        refused: status.refused.iter().map(|(cause, count)| (cause.clone(), *count)).collect(),
        state: status.state.to_owned(),
        why: status.view.as_ref().map(|view| view.why.clone()).unwrap_or_default(),
    }
}
