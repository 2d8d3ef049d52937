//! A node in a program of one's own: everything below one directory, agents run by a thread of this
//! process. Needs `DIR/etc/ha.d/ha.cf` and `DIR/etc/ha.d/authkeys`.
//!
//! `cargo run -p everbeat-examples --example embed -- DIR`

use std::error::Error;
use std::path::PathBuf;

use ccm::config::{ConfigProblem, Paths, local_node_name, read_authkeys, read_config};
use crm_core::node::Node;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("which directory? embed DIR")?);
    let paths = Paths::new(Some(root.clone()));
    let config = read_config(&paths.ha_cf()).map_err(in_words)?;
    let keys = read_authkeys(&paths.authkeys()).map_err(in_words)?;
    let name = local_node_name(Some(&config), &paths);
    let node = Node::builder(config, keys).name(&name).root(Some(root)).spawn().await?;

    let mut status = node.watch();
    loop {
        tokio::select! {
            changed = status.changed() => {
                changed?;
                let now = status.borrow_and_update().clone();
                println!("{}: {}, DC {}", now.name, now.phase.as_str(), now.dc.as_deref().unwrap_or("none"));
            }
            _ = tokio::signal::ctrl_c() => {
                node.shutdown().await?;
                println!("ended: {:?}", node.ended().await);
                return Ok(());
            }
        }
    }
}

fn in_words(problems: Vec<ConfigProblem>) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}
