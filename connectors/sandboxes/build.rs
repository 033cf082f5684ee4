//! Tells `connectors/vendors.rs` which half of a vendor's folder this crate compiles.

fn main() {
    println!("cargo::rustc-cfg=sandbox");
    println!("cargo::rerun-if-changed=build.rs");
}
