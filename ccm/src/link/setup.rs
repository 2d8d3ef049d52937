//! From the configuration files to [`LinkConfig`].

use crate::config::{AuthKeys, AuthMethod, AutoJoin, Compression, Config, MessageFormat};
use crate::medium::Endpoint;
use crate::seam::{Incarnation, NodeId};
use crate::wire::compress::Algorithm;
use crate::wire::envelope::Format;
use crate::wire::{Key, KeyError, Keys, Method};

use super::types::{Autojoin, LinkConfig, MediumInfo, PingTarget};

/// The keys of an `authkeys`.
///
/// # Errors
/// [`KeyError`]; the reader of the file has refused such a file already.
pub fn keys(file: &AuthKeys) -> Result<Keys, KeyError> {
    let list: Vec<Key> = file
        .keys
        .iter()
        .map(|(number, key)| Key {
            number: *number,
            method: match key.method {
                AuthMethod::Crc => Method::Crc,
                AuthMethod::Md5 => Method::Md5,
                AuthMethod::Sha1 => Method::Sha1,
                AuthMethod::HmacSha256 => Method::Sha256,
            },
            secret: key.secret.expose().to_vec(),
        })
        .collect();
    Keys::new(&list, file.active)
}

/// A medium in the notation of `msgfmt`; by default netstrings, as Heartbeat 3.0.6 sends (§7.4). Serial
/// lines are classic always.
fn medium(endpoint: &Endpoint, config: &Config) -> MediumInfo {
    let mut info = endpoint.info();
    let others = config.nodes.len().saturating_sub(1);
    info.expected = match endpoint {
        Endpoint::Broadcast { .. } | Endpoint::Multicast { .. } => true,
        // Its addresses do not say which nodes they are; the own one may be among them.
        Endpoint::Unicast { peers, .. } => peers.len() >= others,
        Endpoint::Serial { .. } => others == 1,
    };
    if config.msgfmt.value == MessageFormat::Classic && info.format == Format::Netstring {
        info.format = Format::Classic;
        // Base64 makes four bytes of three.
        info.piece = info.piece * 3 / 4;
    }
    info
}

impl LinkConfig {
    /// What the link needs of `ha.cf`. `name` is this node's name in it.
    pub fn from_files(
        config: &Config,
        keys: Keys,
        endpoints: &[Endpoint],
        (id, name, inc): (NodeId, &str, Incarnation),
    ) -> LinkConfig {
        let algorithm = match config.compression.value {
            Compression::Zlib => Algorithm::Zlib,
            Compression::Bz2 => Algorithm::Bz2,
        };
        LinkConfig {
            id,
            name: name.to_owned(),
            inc,
            cluster: config.cluster.value.clone(),
            keepalive: config.keepalive.value,
            deadtime: config.deadtime.value,
            warntime: config.warntime.value,
            initdead: config.initdead.value,
            deadping: config.deadping.value,
            max_rexmit_delay: config.max_rexmit_delay.value,
            keys,
            media: endpoints.iter().map(|e| medium(e, config)).collect(),
            nodes: config.nodes.iter().map(|n| n.value.clone()).collect(),
            autojoin: match config.autojoin.value {
                AutoJoin::None => Autojoin::None,
                AutoJoin::Other | AutoJoin::Any => Autojoin::Any,
            },
            ping: config
                .ping
                .iter()
                .map(|p| PingTarget { name: p.name.clone(), hosts: p.hosts.len() })
                .collect(),
            hopfudge: u32::from(config.hopfudge.value),
            compression: Some((algorithm, config.compression_threshold.value as usize * 1024)),
            traditional_compression: config.traditional_compression.value,
            log_badpack: config.log_badpack.value,
            wall_at_zero: 0,
        }
    }
}
