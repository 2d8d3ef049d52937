//! Who may administer: the credentials of a Unix socket's peer.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use ccm::config::{API_CLIENT, ApiAuth, Config};
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
        Ok(Self { stream, peer: Peer { name, admitted } })
    }
}

/// Who may administer besides root, hacluster and the daemon's own user: `apiauth everbeat` of ha.cf.
static RULE: OnceLock<Rule> = OnceLock::new();

#[derive(Debug, Default, PartialEq, Eq)]
struct Rule {
    uids: Vec<u32>,
    gids: Vec<u32>,
}

impl Rule {
    /// Names and numbers become numbers; a name that nobody has admits nobody.
    fn of(auth: &ApiAuth) -> Rule {
        let number = |text: &String| text.parse::<u32>().ok();
        let uid = |text: &String| {
            let user = || User::from_name(text).ok().flatten();
            number(text).or_else(|| user().map(|u| u.uid.as_raw()))
        };
        let gid = |text: &String| {
            let group = || Group::from_name(text).ok().flatten();
            number(text).or_else(|| group().map(|g| g.gid.as_raw()))
        };
        Rule {
            uids: auth.uids.iter().filter_map(uid).collect(),
            gids: auth.gids.iter().filter_map(gid).collect(),
        }
    }
}

/// Admits from now on by this configuration. The first call decides.
pub fn admit_by(config: &Config) {
    let rule = config.api_auth(API_CLIENT).map(|auth| Rule::of(&auth)).unwrap_or_default();
    // A second configuration in one process does not exist.
    let _ = RULE.set(rule);
}

fn may_administer(uid: u32, name: &str, groups: &[u32]) -> bool {
    let haclient = || {
        let group: Option<Gid> = Group::from_name(GROUP).ok().flatten().map(|group| group.gid);
        Rule { uids: Vec::new(), gids: group.map(Gid::as_raw).into_iter().collect() }
    };
    let rule = RULE.get_or_init(haclient);
    uid == 0
        || uid == Uid::effective().as_raw()
        || name == USER
        || rule.uids.contains(&uid)
        || rule.gids.iter().any(|gid| groups.contains(gid))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_numbers_of_apiauth() {
        let text = "bcast lo\nnode a\ncrm yes\napiauth everbeat uid=root,4711,nosuchuser gid=0\n";
        let config = Config::parse(text, "f").unwrap();
        let rule = Rule::of(&config.api_auth(API_CLIENT).unwrap());
        assert_eq!(rule, Rule { uids: vec![0, 4711], gids: vec![0] });
        let config = Config::parse("bcast lo\nnode a\ncrm yes\n", "f").unwrap();
        assert_eq!(config.api_auth(API_CLIENT).unwrap().gids, [GROUP]);
    }
}
