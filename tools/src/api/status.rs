//! The redacted status: what runs where, without parameters or secrets.

use std::pin::Pin;

use crm_core::node::NodeHandle;
use crm_core::policy::ix::ResourceIx;
use crm_core::policy::state::{Role, State, Variant};
use crm_core::status::NodeStatus;
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use super::proto::{self, StatusReply, StatusRequest};
use crate::view::View;

/// The service; clones speak to the same node.
#[derive(Clone)]
pub struct StatusService {
    node: NodeHandle,
}

impl StatusService {
    pub fn new(node: NodeHandle) -> Self {
        Self { node }
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<StatusReply, Status>> + Send>>;

#[tonic::async_trait]
impl proto::status_server::Status for StatusService {
    type WatchStream = Replies;

    async fn get(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(reply(&self.node.status())))
    }

    async fn watch(&self, _: Request<StatusRequest>) -> Result<Response<Replies>, Status> {
        let mut last: Option<StatusReply> = None;
        // Much changes that this status does not show: equal replies are sent once.
        let replies = WatchStream::new(self.node.watch()).filter_map(move |status| {
            let reply = reply(&status);
            let changed = last.as_ref() != Some(&reply);
            last = Some(reply.clone());
            changed.then_some(Ok(reply))
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

pub(super) fn reply(status: &NodeStatus) -> StatusReply {
    let view = View::new(&status.cib);
    let nodes = view.state.node_indices().map(|n| {
        let node = &view.state[n];
        proto::NodeStatus {
            name: node.name.clone(),
            online: node.online,
            standby: node.standby,
            maintenance: node.maintenance,
            unclean: node.unclean,
        }
    });
    let mut resources = Vec::new();
    view.state.top.iter().for_each(|r| collect(&view.state, *r, &mut resources));
    StatusReply {
        node: status.name.clone(),
        dc: status.dc.clone().unwrap_or_default(),
        quorate: status.quorate,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        nodes: nodes.collect(),
        resources,
        cib_version: status.cib.version().to_string(),
    }
}

fn collect(state: &State, r: ResourceIx, into: &mut Vec<proto::ResourceStatus>) {
    let resource = &state[r];
    if resource.variant() != Variant::Primitive {
        resource.children.iter().for_each(|child| collect(state, *child, into));
        return;
    }
    let agent = [Some(resource.class()), resource.provider(), Some(resource.agent())];
    into.push(proto::ResourceStatus {
        id: resource.id.clone(),
        agent: agent.into_iter().flatten().collect::<Vec<_>>().join(":"),
        role: match resource.role {
            Role::Unknown => Role::Stopped.word(),
            role => role.word(),
        }
        .to_owned(),
        nodes: resource.running_on.iter().map(|n| state[*n].name.clone()).collect(),
        managed: resource.flags.managed,
        failed: resource.flags.failed,
    });
}
