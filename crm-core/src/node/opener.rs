//! Opens media: with this process's own rights, and where they do not suffice through the executor.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use ccm::medium::{DirectOpener, Endpoint, Medium, Opener, attach};
use lrm::executor::Client;
use lrm::executor::wire::{Multicast, Open, Udp};

/// Descriptors that the executor has opened and the heartbeat thread has not taken yet.
type Ready = Arc<Mutex<BTreeMap<usize, io::Result<OwnedFd>>>>;

/// Never waits: what must be asked for is asked for in the background, and the heartbeat thread tries
/// again a moment later.
pub(super) struct ExecutorOpener {
    client: Client,
    runtime: tokio::runtime::Handle,
    ready: Ready,
    asked: Arc<Mutex<BTreeMap<usize, ()>>>,
}

impl ExecutorOpener {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            runtime: tokio::runtime::Handle::current(),
            ready: Ready::default(),
            asked: Arc::default(),
        }
    }

    /// Opens now what this process may not open itself, so that the first heartbeat waits for nothing.
    pub(super) async fn prepare(&self, endpoints: &[Endpoint]) {
        for (index, endpoint) in endpoints.iter().enumerate() {
            if DirectOpener.open(index, endpoint).is_err_and(|e| is_refusal(&e)) {
                let result = ask(&self.client, endpoint).await;
                self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
            }
        }
    }
}

impl Opener for ExecutorOpener {
    fn open(&mut self, index: usize, endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
        let given = self.ready.lock().unwrap_or_else(PoisonError::into_inner).remove(&index);
        if let Some(result) = given {
            return attach(result?, endpoint);
        }
        match DirectOpener.open(index, endpoint) {
            Err(error) if is_refusal(&error) => {
                let first =
                    self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(index, ()).is_none();
                if first {
                    let (client, endpoint) = (self.client.clone(), endpoint.clone());
                    let (ready, asked) = (Arc::clone(&self.ready), Arc::clone(&self.asked));
                    self.runtime.spawn(async move {
                        let result = ask(&client, &endpoint).await;
                        ready.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
                        asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&index);
                    });
                }
                Err(io::Error::new(io::ErrorKind::WouldBlock, "the executor has been asked to open it"))
            }
            other => other,
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

async fn ask(client: &Client, endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let opened = client.open(request(endpoint)).await.map_err(lrm::executor::OpenError::into_io)?;
    opened.ok_or_else(|| io::Error::other("the executor kept the descriptor"))
}

fn request(endpoint: &Endpoint) -> Open {
    let any =
        |v6: bool| -> IpAddr { if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() } };
    match endpoint {
        Endpoint::Serial { device, baud } => Open::Serial { path: device.display().to_string(), baud: *baud },
        Endpoint::Broadcast { iface, port, .. } => Open::Udp(Udp {
            bind: SocketAddr::new(any(false), *port),
            device: Some(iface.clone()),
            broadcast: true,
            reuse: true,
            multicast: None,
        }),
        Endpoint::Unicast { iface, port, v6, bind, .. } => Open::Udp(Udp {
            bind: SocketAddr::new(bind.unwrap_or(any(*v6)), *port),
            device: Some(iface.clone()),
            broadcast: false,
            reuse: true,
            multicast: None,
        }),
        Endpoint::Multicast { iface, group, port, ttl, loopback } => Open::Udp(Udp {
            bind: SocketAddr::new(any(group.is_ipv6()), *port),
            device: Some(iface.clone()),
            broadcast: false,
            reuse: true,
            multicast: Some(Multicast {
                group: *group,
                device: iface.clone(),
                ttl: *ttl,
                loopback: *loopback,
            }),
        }),
    }
}
