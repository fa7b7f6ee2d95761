//! A deploy that is cut short at any moment leaves each host on its old release or on its new one, and the next run
//! finishes the job.
//!
//! Every host of a lab stands still at a point of its own (`points`); then all are cut at once, by one cause.

mod points;
mod rig;

use points::{ADOPTING, FIRST, PRUNING, Point, STAGING, SWITCHING, UNPACKING};
use rig::{Before, Rig};

/// What ends a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// `kill -9` of the program; what it started on the hosts goes on.
    Kill,
    /// The hosts can no longer be reached, but live on.
    Cable,
    /// The hosts lose their power, and get it again.
    Power,
}

/// Cuts a deploy of a new build at all of these points.
fn cut(before: Before, points: &'static [Point], cause: Cause) {
    let rig = Rig::new(before, points);
    let own = rig.own();
    let mut deploy = rig.start();
    rig.await_points(&mut deploy);
    match cause {
        Cause::Kill => {
            deploy.kill().unwrap();
            deploy.wait().unwrap();
        }
        Cause::Cable => {
            rig.each(|index| rig.site.lab.cut(rig.site.host(index)).unwrap());
            rig.end_without_hosts(deploy);
        }
        Cause::Power => {
            rig.each(|index| {
                rig.site.lab.kill(rig.site.host(index)).unwrap();
                rig.site.lab.boot(rig.site.host(index)).unwrap();
            });
            rig.end_without_hosts(deploy);
        }
    }
    rig.is_as_the_points_say();
    assert_eq!(rig.own(), own, "touched what belongs to the machine");

    match cause {
        Cause::Kill => rig.let_go(),
        Cause::Cable => {
            rig.each(|index| rig.site.lab.join(rig.site.host(index)).unwrap());
            rig.let_go();
        }
        Cause::Power => {}
    }
    rig.await_quiet();
    rig.is_whole();
    assert_eq!(rig.own(), own, "touched what belongs to the machine");

    rig.run_again(cause == Cause::Power);
    rig.is_done();
    assert_eq!(rig.own(), own, "touched what belongs to the machine");
}

#[test]
fn the_program_is_killed_while_hosts_stage() {
    cut(Before::Release, STAGING, Cause::Kill);
}

#[test]
fn cables_are_cut_while_hosts_stage() {
    cut(Before::Release, STAGING, Cause::Cable);
}

#[test]
fn hosts_lose_power_while_they_stage() {
    cut(Before::Release, STAGING, Cause::Power);
}

#[test]
fn the_program_is_killed_while_hosts_switch() {
    cut(Before::Release, SWITCHING, Cause::Kill);
}

#[test]
fn cables_are_cut_while_hosts_switch() {
    cut(Before::Release, SWITCHING, Cause::Cable);
}

#[test]
fn hosts_lose_power_while_they_switch() {
    cut(Before::Release, SWITCHING, Cause::Power);
}

#[test]
fn the_program_is_killed_while_hosts_take_their_first_release_in_use() {
    cut(Before::Nothing, FIRST, Cause::Kill);
}

#[test]
fn cables_are_cut_while_hosts_take_their_first_release_in_use() {
    cut(Before::Nothing, FIRST, Cause::Cable);
}

#[test]
fn hosts_lose_power_while_they_take_their_first_release_in_use() {
    cut(Before::Nothing, FIRST, Cause::Power);
}

#[test]
fn the_program_is_killed_while_hosts_adopt_an_install_of_arcus_sh() {
    cut(Before::PlainInstall, ADOPTING, Cause::Kill);
}

#[test]
fn cables_are_cut_while_hosts_adopt_an_install_of_arcus_sh() {
    cut(Before::PlainInstall, ADOPTING, Cause::Cable);
}

#[test]
fn hosts_lose_power_while_they_adopt_an_install_of_arcus_sh() {
    cut(Before::PlainInstall, ADOPTING, Cause::Power);
}

#[test]
fn the_program_is_killed_while_hosts_remove_old_releases() {
    cut(Before::ReleaseAndSpare, PRUNING, Cause::Kill);
}

#[test]
fn cables_are_cut_while_hosts_remove_old_releases() {
    cut(Before::ReleaseAndSpare, PRUNING, Cause::Cable);
}

#[test]
fn hosts_lose_power_while_they_remove_old_releases() {
    cut(Before::ReleaseAndSpare, PRUNING, Cause::Power);
}

#[test]
fn what_a_deploy_of_another_package_left_half_unpacked_goes() {
    let rig = Rig::new(Before::Release, UNPACKING);
    let mut deploy = rig.start();
    rig.await_points(&mut deploy);
    rig.site.lab.kill(rig.site.host(0)).unwrap();
    rig.site.lab.boot(rig.site.host(0)).unwrap();
    rig.end_without_hosts(deploy);
    rig.deploy_another();
}
