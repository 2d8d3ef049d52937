//! Listens on the Unix socket and on TCP of the loopback.

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::service::{Routes, interceptor::InterceptedService};
use tonic::transport::Server;

use super::peer::{Admission, admit};
use super::proto;
use super::proto::management_server::{Management, ManagementServer};
use super::proto::status_server::{Status, StatusServer};

/// A CIB travels in one message; this is the most that is taken from a client or given to it.
pub const MESSAGE_LIMIT: usize = 64 << 20;

/// Binds the Unix socket: who may connect is decided by credentials, so everybody may try.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves administrators until `stop` is ready.
pub async fn serve_unix<M: Management, S: Status>(
    listener: UnixListener,
    management: M,
    status: S,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming =
        UnixListenerStream::new(listener).filter_map(|stream| match stream.and_then(Admission::new) {
            Ok(admission) => Some(Ok::<_, io::Error>(admission)),
            Err(error) => {
                tracing::debug!(%error, "a client was gone before it was known");
                None
            }
        });
    let management = ManagementServer::new(management)
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT);
    Server::builder()
        .add_service(InterceptedService::new(management, admit))
        .add_service(InterceptedService::new(StatusServer::new(status), admit))
        .serve_with_incoming_shutdown(incoming, stop)
        .await
}

/// Serves health, reflection and the redacted status on TCP, and `metrics` as `/metrics` to plain HTTP;
/// refuses everything else.
pub async fn serve_tcp<S: Status>(
    listener: TcpListener,
    status: S,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<StatusServer<S>>().await;
    let reflection = |version: &str| {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        tracing::trace!(version, "reflection");
        builder
    };
    let routes = Routes::new(health)
        .add_service(StatusServer::new(status))
        .add_service(reflection("v1").build_v1()?)
        .add_service(reflection("v1alpha").build_v1alpha()?);
    let refuse = || async {
        tonic::Status::unauthenticated(
            "only health, reflection and everbeat.v1.Status are answered here: use the Unix socket",
        )
        .into_http::<tonic::body::Body>()
    };
    let page = move || {
        let text = metrics();
        async { ([(axum::http::header::CONTENT_TYPE, super::metrics::CONTENT_TYPE)], text) }
    };
    let router = routes.into_axum_router().route("/metrics", axum::routing::get(page)).fallback(refuse);
    Server::builder()
        .accept_http1(true)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await?;
    Ok(())
}

/// The address of the read-only status: loopback, whatever the host's other addresses are.
pub fn status_address(host: std::net::Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::from((host, port))
}
