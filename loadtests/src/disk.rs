//! A small file system of the run's own, to be filled up: ext4 on a file, so that a sync costs what it costs.
//!
//! Needs to be root and a free loop device. What was mounted is unmounted when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

pub(crate) struct Disk {
    image: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Disk {
    /// Mounts `folder`, which is made. The image lies beside it and takes no more room than what is written.
    pub(crate) fn mount(folder: PathBuf, megabytes: u64) -> Result<Self> {
        Self::mount_at(folder.with_extension("ext4"), folder, megabytes)
    }

    pub(crate) fn mount_at(image: PathBuf, folder: PathBuf, megabytes: u64) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        std::fs::File::create(&image)?.set_len(megabytes << 20)?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0", path(&image)?])?;
        run("mount", &["-o", "loop", path(&image)?, path(&folder)?])?;
        Ok(Self { image, folder })
    }

    /// Moves a folder's content here, with its owner and permissions, and removes the folder.
    pub(crate) fn take_over(&self, from: &Path) -> Result<()> {
        run("rm", &["-rf", path(&self.folder.join("lost+found"))?])?;
        run("cp", &["-a", &format!("{}/.", path(from)?), path(&self.folder)?])?;
        Ok(std::fs::remove_dir_all(from)?)
    }

    /// Takes all that is free, until the file is dropped.
    pub(crate) fn fill(&self) -> Result<Filler> {
        let file = self.folder.join("filler");
        let filler = Filler(file.clone());
        let mut size = free_bytes(&self.folder)?;
        let mut parts = 0;
        // The last blocks are the file system's own; what does not fit is tried smaller.
        while size >= 4096 && parts < 4096 {
            let part = format!("{}-{parts}", path(&file)?);
            let took =
                Command::new("fallocate").args(["-l", &size.to_string(), &part]).stderr(Stdio::null()).status()?;
            if !took.success() {
                drop(std::fs::remove_file(&part));
                size /= 2;
            }
            parts += 1;
        }
        Ok(filler)
    }
}

/// Bytes that can still be written there.
pub(crate) fn free_bytes(folder: &Path) -> Result<u64> {
    let output = Command::new("df").args(["--output=avail", "-B1", path(folder)?]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().nth(1).context("df says nothing")?.trim().parse().context("df's figure")
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is still ending may have a file open there.
        drop(run("umount", &["--lazy", self.folder.to_str().unwrap_or_default()]));
        drop(std::fs::remove_file(&self.image));
    }
}

/// Room that is taken until this is dropped.
pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        for part in 0..4096 {
            drop(std::fs::remove_file(format!("{}-{part}", self.0.display())));
        }
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path of ours")
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
