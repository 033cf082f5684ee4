//! Gateways killed, told to end, frozen, and out of descriptors.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use super::Done;
use crate::nemesis::keeper::Keeper;
use crate::nemesis::load::Load;
use crate::nemesis::schedule::Fault;
use crate::nemesis::witness::{Growth, is_stopped};
use crate::nemesis::world::World;
use crate::rig;

const END_MAX: Duration = Duration::from_secs(45);

/// F1: at the next answer, so that work is under way.
pub(super) async fn kill(world: &World, draw: u64, load: &Load) -> Result<Done> {
    let (gateway, keeper) = world.keeper(draw)?;
    let waited_since = world.clock.now();
    while !load.accepted_since(waited_since) && !load.all_sent() && world.clock.now() < waited_since + END_MAX {
        sleep(Duration::from_millis(1)).await;
    }
    let (starts, under_load) = (keeper.starts(), !load.all_sent());
    let was_there = keeper.pid().is_some();
    let struck = world.clock.now();
    keeper.end_by("KILL")?;
    keeper.ready_after(starts).await?;
    Ok(Done::if_it(was_there && under_load, keeper.name.clone()).at(struck).gateway(gateway))
}

/// F4: once; twice; or once and then for good.
pub(super) async fn term(world: &World, draw: u64) -> Result<Done> {
    let (gateway, keeper) = world.keeper(draw >> 8)?;
    let starts = keeper.starts();
    keeper.forget_last_end();
    keeper.end_by("TERM")?;
    let how = match draw % 4 {
        0 => {
            sleep(Duration::from_millis(50)).await;
            keeper.end_by("TERM")?;
            "twice"
        }
        1 => {
            sleep(Duration::from_millis(200)).await;
            keeper.end_by("KILL")?;
            "and killed"
        }
        _ => "once",
    };
    let status = end_of(keeper).await?;
    keeper.ready_after(starts).await?;
    let clean = status.success();
    ensure!(clean || how != "once", "{} ended with {status} after one SIGTERM", keeper.name);
    Ok(Done::shown(format!("{}, {how}: {status}", keeper.name)).gateway(gateway))
}

async fn end_of(keeper: &Keeper) -> Result<std::process::ExitStatus> {
    let deadline = Instant::now() + END_MAX;
    loop {
        if let Some(status) = keeper.take_last_end() {
            return Ok(status);
        }
        ensure!(Instant::now() < deadline, "{} did not end within {END_MAX:?} of SIGTERM", keeper.name);
        sleep(Duration::from_millis(10)).await;
    }
}

/// F5 and F6: stopped and continued.
pub(super) async fn freeze(world: &World, fault: &Fault) -> Result<Done> {
    let (gateway, keeper) = world.keeper(fault.draw)?;
    let Some(pid) = keeper.pid() else { return Ok(Done::if_it(false, "it was not running")) };
    rig::signal(pid, "STOP")?;
    sleep(fault.hold).await;
    let stood_still = is_stopped(pid);
    rig::signal(pid, "CONT")?;
    let what = format!("{} for {:.1} s", keeper.name, fault.hold.as_secs_f64());
    Ok(Done::if_it(stood_still, what).gateway(gateway))
}

/// No descriptor is given out below this number, and all of these are taken.
const NO_DESCRIPTOR: &str = "3";
/// So long it is waited for that somebody knocks and cannot be let in.
const KNOCK_MAX: Duration = Duration::from_secs(8);

/// F24: not one more descriptor, whoever gives one back. What is open is cut, so that all of it would have to be opened
/// again: nobody is let in and nobody is reached.
pub(super) async fn descriptors(world: &World, fault: &Fault) -> Result<Done> {
    let (gateway, keeper) = world.keeper(fault.draw)?;
    let Some(pid) = keeper.pid() else { return Ok(Done::if_it(false, "it was not running")) };
    let turned_away = Growth::of(world, &[("causeway_accept_errors_total", "")]).await;
    let before = soft_limit(pid)?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    set_soft_limit(pid, NO_DESCRIPTOR)?;
    for link in world.links.iter().filter(|link| link.name.ends_with(&keeper.name)) {
        link.proxy.cut();
    }
    let began = Instant::now();
    sleep(fault.hold).await;
    // Its own page of figures needs a descriptor too: nobody being let in shows as no answer, and is counted afterwards.
    while began.elapsed() < KNOCK_MAX && keeper.lets_in().await {
        sleep(Duration::from_millis(200)).await;
    }
    let shut = !keeper.lets_in().await;
    // Whoever was killed meanwhile has its own limit again.
    if keeper.pid() == Some(pid) {
        set_soft_limit(pid, &before)?;
    }
    // What waited is let in again, and the figures with it.
    let deadline = Instant::now() + END_MAX;
    while !keeper.lets_in().await && Instant::now() < deadline {
        sleep(Duration::from_millis(50)).await;
    }
    let errors = turned_away.so_far().await;
    let what = format!("{}, {open} open, {errors} tries to accept failed", keeper.name);
    Ok(Done::if_it(shut && errors > 0, what).gateway(gateway))
}

fn soft_limit(pid: u32) -> Result<String> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("no limit of open files")?;
    Ok(line.split_whitespace().nth(3).context("no figure")?.to_owned())
}

fn set_soft_limit(pid: u32, limit: &str) -> Result<()> {
    let status = Command::new("prlimit").args([&format!("--pid={pid}"), &format!("--nofile={limit}:")]).status()?;
    ensure!(status.success(), "prlimit --pid={pid} --nofile={limit}: failed");
    Ok(())
}
