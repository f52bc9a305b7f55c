//! The manifests say what the code says.

use std::process::Command;

#[test]
fn the_crd_manifest_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_sample-controller")).arg("crd").output().expect("it runs");
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        printed == include_str!("../deploy/crd.yaml"),
        "the type has changed: cargo run -p sample-controller -- crd > sample-controller/deploy/crd.yaml"
    );
}
