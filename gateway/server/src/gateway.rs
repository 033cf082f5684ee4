//! temporary
use std::path::PathBuf;

use crate::admin::Services;
use crate::config::Config;

pub struct Local;
impl Local {
    pub async fn open(_config: &Config) -> anyhow::Result<Self> {
        anyhow::bail!("no store yet")
    }
    pub fn services(&self) -> &Services {
        unimplemented!()
    }
    pub async fn close(self) {}
}
pub struct Gateway;
impl Gateway {
    pub async fn open(_config: Config, _file: Option<PathBuf>) -> anyhow::Result<Self> {
        anyhow::bail!("no store yet")
    }
    pub async fn run(self, _stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        Ok(())
    }
}
pub fn init_root(_config: &Config) -> anyhow::Result<PathBuf> {
    anyhow::bail!("no store yet")
}
