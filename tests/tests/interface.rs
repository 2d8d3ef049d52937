//! The interface: what everybody on this machine may read over TCP, and who may administer through the socket.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use everbeat_tests::alone::{Alone, PROGRAMS};
use everbeat_tests::need;
use everbeat_tests::roots::Site;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use tokio_stream::StreamExt;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SOON: Duration = Duration::from_secs(120);
/// The port of the read-only status; every test has an address of its own.
const PORT: u16 = 5560;
const SECRET: &str = "hunter2-is-a-secret";

/// Messages as they are on the wire: what is looked for in them may be in any field.
#[derive(Default, Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        *self
    }
    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// `StatusReply` of `schemas/management.proto`, written down a second time: numbers are a promise.
#[derive(Clone, PartialEq, Message)]
struct StatusReply {
    #[prost(string, tag = "1")]
    node: String,
    #[prost(string, tag = "2")]
    dc: String,
    #[prost(bool, tag = "3")]
    quorate: bool,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(message, repeated, tag = "5")]
    nodes: Vec<NodeStatus>,
    #[prost(message, repeated, tag = "6")]
    resources: Vec<ResourceStatus>,
    #[prost(string, tag = "7")]
    cib_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct NodeStatus {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    online: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceStatus {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(string, tag = "3")]
    role: String,
    #[prost(string, repeated, tag = "4")]
    nodes: Vec<String>,
}

async fn channel(site: &Site, node: &str) -> Channel {
    let address = format!("http://{}:{PORT}", site.address(node));
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

/// One call with one answer, by its path.
async fn call(channel: &Channel, path: &'static str) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    Ok(client.unary(Request::new(Vec::new()), path, Bytes).await?.into_inner())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Head and body of `/metrics`, asked for as any scraper does.
fn metrics(address: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// A service with a password, which need not run for the test.
fn with_password(site: &Site, id: &str) {
    let pair =
        |name: &str, value: &str| format!("<nvpair id=\"{id}-{name}\" name=\"{name}\" value=\"{value}\"/>");
    let xml = format!(
        "<primitive id=\"{id}\" class=\"ocf\" provider=\"everbeat\" type=\"Web\">\
         <instance_attributes id=\"{id}-p\">{}{}{}</instance_attributes></primitive>",
        pair("password", SECRET),
        pair("passwd", SECRET),
        pair("address", &site.address("n1")),
    );
    let file = site.write("n1", "service.xml", &xml, 0o600).unwrap();
    let output = site.everbeat("n1", &format!("cibadmin -C -o resources -x {}", file.display())).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_of_the_loopback_answers_health_reflection_and_a_redacted_status_and_refuses_the_rest() {
    let site = Site::new(&["n1"]).unwrap();
    let address = site.address("n1");
    let _daemon = site.start_with("n1", &["--status-address", &address]).unwrap();
    site.wait_until("n1", "crm_mon -1", SOON, |text| text.contains("Online: [ n1 ]"));
    with_password(&site, "first");
    let channel = channel(&site, "n1").await;

    // Health.
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    for service in ["", "everbeat.v1.Status"] {
        let asked = tonic_health::pb::HealthCheckRequest { service: service.into() };
        let answer = health.check(asked).await.unwrap().into_inner();
        assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    }

    // Reflection.
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("everbeat.v1.Status".into()),
    ];
    let asked = asked.map(|message_request| tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    });
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter(asked)).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => {
            let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
            assert!(names.iter().any(|name| name == "everbeat.v1.Status"), "{names:?}");
            assert!(names.iter().any(|name| name == "grpc.health.v1.Health"), "{names:?}");
        }
        other => panic!("{other:?}"),
    }
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::FileDescriptorResponse(files) => {
            assert!(files.file_descriptor_proto.iter().any(|file| contains(file, "StatusReply")));
        }
        other => panic!("{other:?}"),
    }

    // Status, and its changes.
    let bytes = call(&channel, "/everbeat.v1.Status/Get").await.unwrap();
    let status = StatusReply::decode(bytes.as_slice()).unwrap();
    assert_eq!((status.node.as_str(), status.dc.as_str(), status.quorate), ("n1", "n1", true));
    assert_eq!(status.nodes, [NodeStatus { name: "n1".into(), online: true }]);
    assert_eq!(status.resources.len(), 1);
    assert_eq!(status.resources[0].agent, "ocf:everbeat:Web");
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/everbeat.v1.Status/Watch");
    let changes = client.server_streaming(Request::new(Vec::new()), path, Bytes).await.unwrap();
    let mut changes = changes.into_inner();
    with_password(&site, "second");
    let mut seen = vec![bytes];
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let next = tokio::time::timeout_at(end, changes.next()).await.expect("no change is shown");
        let bytes = next.unwrap().unwrap();
        let status = StatusReply::decode(bytes.as_slice()).unwrap();
        seen.push(bytes);
        if status.resources.iter().any(|resource| resource.id == "second") {
            break;
        }
    }
    for bytes in &seen {
        assert!(!contains(bytes, SECRET) && !contains(bytes, "passw"), "{bytes:?}");
    }

    // Metrics, to whoever speaks plain HTTP.
    let page = metrics(&format!("{address}:{PORT}"));
    for wanted in ["everbeat_quorate 1", "everbeat_dc 1", "everbeat_node_online{node=\"n1\"} 1", "# EOF"] {
        assert!(page.lines().any(|line| line == wanted), "no {wanted} in\n{page}");
    }
    assert!(page.contains("application/openmetrics-text"), "{page}");
    assert!(page.contains("everbeat_resource_failed{resource=\"first\"}"), "{page}");
    assert!(!page.contains(SECRET) && !page.contains("passw"), "{page}");

    // Everything else.
    for path in [
        "/everbeat.v1.Management/Cib",
        "/everbeat.v1.Management/Watch",
        "/everbeat.v1.Management/Shutdown",
        "/everbeat.v1.Status/Everything",
        "/nobody.Knows/This",
    ] {
        let refusal = call(&channel, path).await.unwrap_err();
        let right = [Code::Unauthenticated, Code::Unimplemented];
        // A method that a public service lacks may be called missing; a service that is not public, never.
        let right = if path.contains(".Status/") { &right[..] } else { &right[..1] };
        assert!(right.contains(&refusal.code()), "{path}: {refusal:?}");
        assert!(refusal.code() != Code::Unauthenticated || refusal.message().contains("Unix socket"));
    }
    site.wait_until("n1", "crm_mon -1", SOON, |text| text.contains("Online: [ n1 ]"));
}

/// A host as installed, where the core runs as hacluster.
#[test]
fn the_socket_is_for_administrators_and_says_so_to_others() {
    if !need::root_and("the_socket_is_for_administrators_and_says_so_to_others", PROGRAMS) {
        return;
    }
    let mut host = Alone::new().unwrap();
    host.start().unwrap();
    host.wait_online(SOON);
    let nobody = "setpriv --reuid nobody --regid nogroup";
    for command in ["crm_mon -1", "cibadmin -Q", "crm_resource -L", "stop"] {
        let output = host.typed(&format!("{nobody} --clear-groups everbeat {command}")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{command}: {said}");
        let words = ["user nobody may not administer", "haclient"];
        assert!(words.iter().all(|word| said.contains(word)), "{command}: {said}");
        assert!(output.stdout.is_empty(), "{command}");
    }
    let shown = host.typed(&format!("{nobody} --groups haclient everbeat crm_mon -1")).unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Online: [ hatest3 ]"), "{shown:?}");
    let change = "crm_attribute --type crm_config --name stonith-enabled --update false";
    let changed = host.typed(&format!("{nobody} --groups haclient everbeat {change}")).unwrap();
    assert!(changed.status.success(), "{changed:?}");
    // What is kept of the configuration is not for everybody either.
    let read = host.typed(&format!("{nobody} --clear-groups cat /var/lib/heartbeat/crm/cib.xml")).unwrap();
    assert!(!read.status.success());
    assert!(host.runs());
}
