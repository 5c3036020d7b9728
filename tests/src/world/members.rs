//! Processes and groups: who runs what, who dies, who takes over.

use super::reach::Moment;
use super::slot::{Reading, Role, Slot, SlotRef};
use super::{Event, World, cast};
use runtime::Lease;

/// Ms between two looks of the chaos, at most.
const CHAOS_MS_MAX: i64 = 300;

impl World {
    /// Kills a process: its machines are gone, and what was in flight is lost or lands later.
    pub(super) fn crash(&mut self, process: usize) {
        let lands = self.rng.chance(self.faults.lands_after_crash);
        let later = self.rng.between(0, 3_000_000);
        let (restart, expire) = (self.rng.between(20, 3_000), self.rng.between(10, 2_500));
        let now = self.now;
        let Some(dying) = self.processes.get_mut(process).filter(|process| process.alive) else {
            return;
        };
        dying.alive = false;
        dying.cuts.push(if lands { now + later } else { now - 1 });
        let life = dying.life;
        dying.life += 1;
        dying.paused_until = 0;
        dying.owned.clear();
        self.fault();
        self.note(10, u64::try_from(process).unwrap_or(0), life, || format!("crash of p{process}"));
        self.lost_contact(process);
        self.after_ms(restart, Event::Restart { process });
        self.after_ms(expire, Event::Expire { process, life });
    }

    pub(super) fn restart(&mut self, process: usize) {
        let starting = &mut self.processes[process];
        if starting.alive {
            return;
        }
        starting.alive = true;
        let roles = starting.roles.clone();
        self.note(11, u64::try_from(process).unwrap_or(0), 0, || format!("start of p{process}"));
        for role in roles {
            if matches!(role, Role::Placing | Role::Reconciler) {
                self.install(process, role, 0, None, Vec::new());
                continue;
            }
            let free: Vec<_> = self.groups.get(&role).map_or_else(Vec::new, |group| {
                (0..group.partitions())
                    .filter(|partition| group.owner(*partition).is_none())
                    .collect()
            });
            for partition in free {
                self.give(role, partition, process);
            }
        }
    }

    /// The group gives the partitions of a dead process to others.
    pub(super) fn expire(&mut self, process: usize, life: u64) {
        for role in Role::ALL.iter().copied() {
            let owned: Vec<_> = self.groups.get(&role).map_or_else(Vec::new, |group| {
                let partitions = 0..group.partitions();
                partitions.filter(|p| group.owner(*p) == Some((process, life))).collect()
            });
            for partition in owned {
                let members = self.members(role);
                if members.is_empty() {
                    if let Some(group) = self.groups.get_mut(&role) {
                        group.take(partition);
                    }
                } else {
                    let old = self.groups.get(&role).and_then(|group| group.lease(partition));
                    let to = *self.rng.pick(&members);
                    self.give(role, partition, to);
                    // Only a process that stands still learns of it, when it goes on.
                    let wait = self.rng.between(0, 600_000);
                    let when = self.processes[process].paused_until.max(self.now) + wait;
                    if let Some(lease) = old {
                        self.at(when, Event::Revoke { process, life, role, lease });
                    }
                }
            }
        }
    }

    fn members(&self, role: Role) -> Vec<usize> {
        let alive = |index: &usize| {
            let process = &self.processes[*index];
            process.alive && process.roles.contains(&role)
        };
        (0..self.processes.len()).filter(alive).collect()
    }

    /// Makes `process` the owner of a partition; it learns of it soon.
    pub(super) fn give(&mut self, role: Role, partition: u32, process: usize) {
        let life = self.processes[process].life;
        let Some(group) = self.groups.get_mut(&role) else { return };
        let lease = group.give(partition, (process, life));
        let past = &group.past_owners[usize::try_from(partition).unwrap_or(0)];
        let back = matches!(past.as_slice(), [earlier @ .., last, _]
            if *last != process && earlier.contains(&process));
        if back {
            self.reach.hit(Moment::TakeoverBackToFirstOwner);
        }
        if role == Role::Settler && self.checks.has_open_round() {
            self.reach.hit(Moment::TakeoverInRound);
        }
        let when = self.soon(60);
        self.at(when, Event::Assign { process, life, role, lease });
    }

    pub(super) fn assign(&mut self, process: usize, life: u64, role: Role, lease: Lease) {
        let current = self.groups.get(&role).is_some_and(|group| group.is_current(&lease));
        if self.processes[process].life != life || !self.processes[process].alive || !current {
            return;
        }
        let partition = lease.source.partition;
        let positions =
            self.groups.get(&role).map(|group| group.positions(partition)).unwrap_or_default();
        self.install(process, role, partition, Some(lease), positions);
    }

    /// A member gives a memory up before it gets a new one for the same partition.
    fn install(
        &mut self,
        process: usize,
        role: Role,
        partition: u32,
        lease: Option<Lease>,
        positions: Vec<(runtime::Source, u64)>,
    ) {
        let from = positions.iter().map(|(source, from)| format!("{source}@{from}"));
        let from =
            if positions.is_empty() { String::new() } else { from.collect::<Vec<_>>().join(" ") };
        let built = cast::build(&self.setup(), role, partition, &positions);
        self.next_epoch += 1;
        let epoch = self.next_epoch;
        let at = SlotRef { process, role, partition, epoch };
        self.note(12, epoch, u64::from(partition), || format!("{at} starts at {from}"));
        let owned = self.processes[process].owned.entry(role).or_default();
        if owned.get_mut(partition).is_some() {
            owned.revoke(partition);
        }
        let slot = owned.assign(partition, || Slot::new(built));
        slot.epoch = epoch;
        slot.lease = lease;
        slot.queued.clear();
        slot.running.clear();
        slot.last_landing.clear();
        let sources = if positions.is_empty() { slot.actor.sources() } else { positions };
        let reading = |(source, next)| Reading { source, next, scheduled: false };
        slot.readings = sources.into_iter().map(reading).collect();
        if slot.started {
            // A memory that was kept (a planted bug) goes on where the group stands now.
            for source in slot.readings.iter().map(|reading| reading.source).collect::<Vec<_>>() {
                self.readers.entry(source).or_default().push(at);
            }
            self.read_where_ready(at);
        } else {
            self.start(at);
        }
    }

    pub(super) fn revoke(&mut self, process: usize, life: u64, role: Role, lease: Lease) {
        if self.processes[process].life != life {
            return;
        }
        let partition = lease.source.partition;
        let patient = self.rng.chance(700);
        let Some(owned) = self.processes[process].owned.get_mut(&role) else { return };
        let Some(slot) = owned.get_mut(partition) else { return };
        if slot.lease.as_ref() != Some(&lease) {
            return;
        }
        if patient && !slot.is_idle() {
            self.after_ms(1, Event::Revoke { process, life, role, lease });
            return;
        }
        let epoch = slot.epoch;
        owned.revoke(partition);
        self.note(13, epoch, u64::from(partition), || {
            format!("{role:?} p{process} gives up partition {partition}")
        });
    }

    pub(super) fn rebuild(&mut self, at: SlotRef) {
        let Some(lease) = self.slot(at).map(|slot| slot.lease.clone()) else { return };
        let positions = self.groups.get(&at.role).map(|group| group.positions(at.partition));
        let positions = positions.unwrap_or_default();
        let built = cast::build(&self.setup(), at.role, at.partition, &positions);
        self.next_epoch += 1;
        let again = SlotRef { epoch: self.next_epoch, ..at };
        let Some(slot) = self.slot(at) else { return };
        *slot = Slot::new(built);
        slot.epoch = again.epoch;
        slot.lease = lease;
        let sources = if positions.is_empty() { slot.actor.sources() } else { positions };
        let reading = |(source, next)| Reading { source, next, scheduled: false };
        slot.readings = sources.into_iter().map(reading).collect();
        self.note(14, again.epoch, 0, || format!("{again} is built again"));
        self.start(again);
    }

    /// True if the machine's lease is not the newest any more.
    pub(super) fn is_zombie(&mut self, at: SlotRef) -> bool {
        let lease = self.slot(at).and_then(|slot| slot.lease.clone());
        let group = self.groups.get(&at.role);
        lease.zip(group).is_some_and(|(lease, group)| !group.is_current(&lease))
    }

    pub(super) fn chaos(&mut self) {
        if self.healing_since.is_some() {
            return;
        }
        let process = self.rng.index(self.processes.len());
        if self.rng.chance(self.faults.crash) {
            self.crash(process);
        }
        let process = self.rng.index(self.processes.len());
        if self.rng.chance(self.faults.pause) && self.processes[process].alive {
            let ms = self.rng.between(10, self.faults.pause_ms_max);
            self.fault();
            self.processes[process].paused_until = self.now + ms * 1_000;
            self.note(15, u64::try_from(process).unwrap_or(0), 0, || {
                format!("p{process} stands still for {ms} ms")
            });
            if self.rng.chance(500) {
                let life = self.processes[process].life;
                self.expire(process, life);
            }
        }
        if self.rng.chance(self.faults.rebalance) {
            self.rebalance();
        }
        if self.rng.chance(self.faults.outage) {
            self.outage();
        }
        // People replay at any time.
        if self.rng.chance(20) {
            self.replay_parked();
            self.tell_again();
        }
        let wait = self.rng.between(20, CHAOS_MS_MAX);
        self.after_ms(wait, Event::Chaos);
    }

    /// Gives one partition to another member; its old owner goes on until it learns of it.
    pub(super) fn rebalance(&mut self) {
        let roles: Vec<Role> = self.groups.keys().copied().collect();
        let role = *self.rng.pick(&roles);
        let members = self.members(role);
        let Some(group) = self.groups.get(&role) else { return };
        let partition =
            u32::try_from(self.rng.index(usize::try_from(group.partitions()).unwrap_or(1)));
        let (Ok(partition), false) = (partition, members.is_empty()) else { return };
        let (before, old) = (group.owner(partition), group.lease(partition));
        let first = group.past_owners[usize::try_from(partition).unwrap_or(0)].first().copied();
        let to = match first {
            Some(first) if members.contains(&first) && self.rng.chance(400) => first,
            Some(_) | None => *self.rng.pick(&members),
        };
        self.fault();
        self.give(role, partition, to);
        if let (Some((process, life)), Some(lease)) = (before, old) {
            let wait = if self.rng.chance(300) {
                self.rng.between(0, 20)
            } else {
                self.rng.between(0, self.faults.zombie_ms_max)
            };
            self.after_ms(wait, Event::Revoke { process, life, role, lease });
        }
    }
}
