//! Prints the `CustomResourceDefinition`.

fn main() -> anyhow::Result<()> {
    print!("{}", sample_controller::crd::yaml()?);
    Ok(())
}
