//! `cargo xtask test`: what must hold before a change lands.

use super::{cargo, packages, step};

pub fn run(arguments: &[String]) -> Result<(), String> {
    packages::install_missing()?;
    if !packages::is_root() {
        println!("not root: tests that build hosts from network namespaces are left out, and say so");
    }
    let cargo = cargo();
    step(&cargo, &["fmt", "--all", "--check"], &[])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    step(&cargo, &clippy, &[])?;
    let pure = ["check", "--package", "crm-core", "--no-default-features", "--locked", "--quiet"];
    step(&cargo, &pure, &[])?;
    step(&cargo, &["build", "--package", "tools", "--profile", "ci", "--locked"], &[])?;
    let mut words = vec!["test", "--workspace", "--profile", "ci", "--locked", "--no-fail-fast"];
    words.extend(arguments.iter().map(String::as_str));
    step(&cargo, &words, &[])
}
