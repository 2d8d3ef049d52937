//! Plans a CIB: which actions the cluster would take, in which order.
//!
//! `cargo run -p everbeat-examples --example plan -- cib.xml`

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use cib::Cib;
use crm_core::policy::{Situation, plan};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("which file? plan CIB.xml")?;
    let cib = Cib::parse(&std::fs::read_to_string(&file)?)?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let plan = plan(&cib, &Situation { now, ..Situation::default() });
    for synapse in &plan.graph.synapses {
        let action = &synapse.action;
        let node = action.on_node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
        let after: Vec<String> = synapse.inputs.iter().map(|input| input.0.to_string()).collect();
        println!("{:4} {}{node}  after [{}]", action.id.0, action.operation_key, after.join(" "));
    }
    println!("{} actions", plan.graph.synapses.len());
    Ok(())
}
