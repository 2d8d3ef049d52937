//! Compiles the daemon's interface; protox parses it, so no protoc is needed.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../schemas/management.proto");
    let files = protox::compile(["management.proto"], ["../schemas"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("management.bin"), prost::Message::encode_to_vec(&files))?;
    tonic_prost_build::configure().build_transport(false).compile_fds(files)?;
    Ok(())
}
