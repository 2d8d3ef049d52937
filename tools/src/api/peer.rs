//! Who may administer: the credentials of a Unix socket's peer.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::unistd::{Gid, Group, Uid, User};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

use super::peer_groups::peer_groups;

/// The classic user and group of the cluster's daemons.
pub const USER: &str = "hacluster";
pub const GROUP: &str = "haclient";

/// The process at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    pub uid: u32,
    pub name: String,
    /// Root, hacluster, a member of haclient, or the user the daemon itself runs as.
    pub admitted: bool,
}

/// A connection with its peer's identity.
pub struct Admission {
    stream: UnixStream,
    peer: Peer,
}

impl Admission {
    /// Reads the peer's credentials once, at the start of the connection.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let mut groups = peer_groups(stream.as_fd()).unwrap_or_default();
        groups.push(credentials.gid());
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let name = user.map_or_else(|| uid.to_string(), |user| user.name);
        let admitted = may_administer(uid, &name, &groups);
        Ok(Self { stream, peer: Peer { uid, name, admitted } })
    }
}

fn may_administer(uid: u32, name: &str, groups: &[u32]) -> bool {
    let haclient: Option<Gid> = Group::from_name(GROUP).ok().flatten().map(|group| group.gid);
    uid == 0
        || uid == Uid::effective().as_raw()
        || name == USER
        || haclient.is_some_and(|gid| groups.contains(&gid.as_raw()))
}

impl Connected for Admission {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Admission {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Admission {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The interceptor of everything on the Unix socket.
pub fn admit(request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
    match request.extensions().get::<Peer>() {
        Some(peer) if peer.admitted => Ok(request),
        Some(peer) => Err(tonic::Status::permission_denied(format!(
            "user {} may not administer the cluster: become root or {USER}, or join the group {GROUP}",
            peer.name
        ))),
        None => Err(tonic::Status::permission_denied("the peer's credentials are not known")),
    }
}
