//! The demo.

/// Runs the demo.
///
/// # Errors
/// Always, for now.
pub async fn run(_args: crate::cli::args::DemoArgs) -> anyhow::Result<()> {
    anyhow::bail!(
        "this build has no demo yet; run a sandbox with `causeway sandbox NAME` and the gateway with `causeway serve`"
    )
}
