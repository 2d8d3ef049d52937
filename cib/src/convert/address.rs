//! Addresses as `haresources` writes them: `ADDR`, `ADDR/MASK`, `ADDR/MASK/NIC`, `ADDR/MASK/BROADCAST`,
//! `ADDR/MASK/NIC/BROADCAST`, the interface with an optional `:LABEL`.

use std::net::{IpAddr, Ipv4Addr};

/// A parsed address word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    /// Prefix length.
    pub(super) prefix: Option<u8>,
    pub(super) nic: Option<String>,
    pub(super) label: Option<String>,
    pub(super) broadcast: Option<Ipv4Addr>,
}

/// Whether a word without `::` is meant as an IPv4 address: four pieces of digits before the first
/// slash, in range or not.
pub(super) fn looks_like_ipv4(word: &str) -> bool {
    let head = word.split('/').next().unwrap_or("");
    let pieces: Vec<&str> = head.split('.').collect();
    pieces.len() == 4 && pieces.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the part before the first slash is an IPv6 address.
pub(super) fn looks_like_ipv6(word: &str) -> bool {
    let head = word.split('/').next().unwrap_or("");
    matches!(head.parse(), Ok(IpAddr::V6(_)))
}

/// Reads an address word; the error says what is wrong.
///
/// Positional as the v1 wrapper: piece 2 is the mask (prefix length or dotted), piece 3 the broadcast
/// if it begins with a digit, else the interface, piece 4 the broadcast. An interface as piece 2 and
/// an empty mask are tolerated, as the original converter did.
pub(super) fn parse(word: &str) -> Result<Address, String> {
    let mut pieces = word.split('/');
    let head = pieces.next().unwrap_or("");
    let ip: IpAddr = head
        .parse()
        .map_err(|_| format!("\"{head}\" is no IP address; expected four numbers from 0 to 255, or IPv6"))?;
    let mut address = Address { ip, prefix: None, nic: None, label: None, broadcast: None };
    let mut mask_allowed = true;
    for (index, piece) in pieces.enumerate() {
        if index > 2 && address.nic.is_none() || index > 3 {
            return Err(format!(
                "\"/{piece}\" is too much in \"{word}\"; expected ADDRESS/MASK/INTERFACE/BROADCAST"
            ));
        }
        if piece.is_empty() {
            if index == 0 {
                continue;
            }
            return Err(format!("empty piece in \"{word}\"; expected ADDRESS/MASK/INTERFACE/BROADCAST"));
        }
        let digit = piece.starts_with(|c: char| c.is_ascii_digit());
        if digit && mask_allowed && (index == 0 || !piece.contains('.')) {
            address.prefix = Some(prefix(piece, ip)?);
            mask_allowed = false;
        } else if digit {
            if address.broadcast.is_some() {
                return Err(format!("\"{piece}\" is a second broadcast address in \"{word}\""));
            }
            let broadcast = piece.parse().map_err(|_| format!("\"{piece}\" is no broadcast address"))?;
            if ip.is_ipv6() {
                return Err(format!("\"{piece}\": an IPv6 address has no broadcast address"));
            }
            address.broadcast = Some(broadcast);
        } else {
            if address.nic.is_some() || address.broadcast.is_some() {
                return Err(format!(
                    "\"{piece}\" is out of place in \"{word}\"; expected ADDRESS/MASK/INTERFACE/BROADCAST"
                ));
            }
            let (nic, label) = match piece.split_once(':') {
                Some((nic, label)) => (nic, Some(label)),
                None => (piece, None),
            };
            let good = |t: &str| {
                !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b))
            };
            if !good(nic) || nic.len() > 15 || label.is_some_and(|l| !good(l)) {
                return Err(format!("\"{piece}\" is no interface; expected a name such as eth0 or eth0:1"));
            }
            address.nic = Some(nic.to_string());
            address.label = label.map(str::to_string);
        }
    }
    Ok(address)
}

fn prefix(piece: &str, ip: IpAddr) -> Result<u8, String> {
    let longest = if ip.is_ipv6() { 128 } else { 32 };
    if let Ok(mask) = piece.parse::<Ipv4Addr>() {
        let bits = u32::from(mask);
        if ip.is_ipv4() && bits.leading_ones() == bits.count_ones() {
            return u8::try_from(bits.count_ones()).map_err(|e| e.to_string());
        }
        return Err(format!(
            "\"{piece}\" is no netmask; expected a prefix length or a mask such as 255.255.255.0"
        ));
    }
    match piece.parse::<u8>() {
        Ok(bits) if bits <= longest => Ok(bits),
        _ => Err(format!(
            "\"{piece}\" is no netmask; expected a prefix length from 0 to {longest}, or a dotted mask"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn show(word: &str) -> String {
        match parse(word) {
            Ok(a) => {
                let mut text = a.ip.to_string();
                let parts = [
                    ("mask", a.prefix.map(|p| p.to_string())),
                    ("nic", a.nic),
                    ("label", a.label),
                    ("bcast", a.broadcast.map(|b| b.to_string())),
                ];
                for (name, value) in parts {
                    if let Some(value) = value {
                        text.push_str(&format!(" {name}={value}"));
                    }
                }
                text
            }
            Err(e) => format!("error: {e}"),
        }
    }

    #[test]
    fn forms() {
        for (word, expect) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1/24", "10.0.0.1 mask=24"),
            ("135.9.216.3/28/eth0/135.9.216.12", "135.9.216.3 mask=28 nic=eth0 bcast=135.9.216.12"),
            ("135.9.8.7/24/135.9.8.210", "135.9.8.7 mask=24 bcast=135.9.8.210"),
            ("135.9.8.7/24/eth0", "135.9.8.7 mask=24 nic=eth0"),
            ("10.0.0.1/24/eth0:1/10.0.0.255", "10.0.0.1 mask=24 nic=eth0 label=1 bcast=10.0.0.255"),
            ("10.0.0.1/255.255.255.0/eth0", "10.0.0.1 mask=24 nic=eth0"),
            ("10.0.0.1/eth0:1/24", "10.0.0.1 mask=24 nic=eth0 label=1"),
            ("10.0.0.1//eth0", "10.0.0.1 nic=eth0"),
            ("fe80::1/64/eth0", "fe80::1 mask=64 nic=eth0"),
        ] {
            assert_eq!(show(word), expect, "{word}");
        }
        for word in [
            "10.0.0.256",
            "10.0.0.1/33",
            "10.0.0.1/255.0.255.0",
            "10.0.0.1/24/eth0/x",
            "10.0.0.1/24/eth0/10.0.0.255/x",
            "10.0.0.1/24/",
            "fe80::1/129",
            "fe80::1/64/1.2.3.4",
            "10.0.0.1/24/eth0:",
        ] {
            assert!(parse(word).is_err(), "{word}: {}", show(word));
        }
    }
}
