//! Partitions that a group has given to nobody, and having them shared out.
//!
//! A partition changes hands in two sharings-out: in the first its owner gives it up, then the owner joins
//! again, and in the second the next one gets it. The join between the two can go missing. An owner that
//! dies there and is back within its session is a static member whom Kafka tells what it was to keep,
//! without a sharing out, and nobody joins again: what it was to give up is nobody's until something else
//! happens to the group. So every member looks at its group from time to time, and where partitions stay
//! nobody's one member leaves and joins again, the one with the least to put down.

use rdkafka::groups::GroupInfo;
use std::collections::{BTreeMap, BTreeSet};

/// A group that is being shared out is not judged.
const STABLE: &str = "Stable";
/// A member's id at the broker is its instance, a dash and a UUID of so many characters.
const UUID_CHARS: usize = 36;
/// Looks in a row at the same group until the member with the least joins again, and until the next one
/// does where that one did not.
const LOOKS: usize = 2;

/// What each member of a group was given, by the broker's id of the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shares(BTreeMap<String, BTreeSet<i32>>);

impl Shares {
    /// What is given of `topic`; `None` while the group is being shared out, or if Kafka's answer is not
    /// understood.
    pub(super) fn of(group: &GroupInfo, topic: &str) -> Option<Self> {
        let share = |member: &rdkafka::groups::GroupMemberInfo| {
            let given = match member.assignment() {
                None | Some([]) => BTreeSet::new(),
                Some(assignment) => given(assignment, topic)?,
            };
            Some((member.id().to_owned(), given))
        };
        let shares = || group.members().iter().map(share).collect::<Option<_>>().map(Self);
        if group.state() == STABLE { shares() } else { None }
    }

    fn have_hole(&self, partitions: u32) -> bool {
        let given: BTreeSet<_> = self.0.values().flatten().collect();
        (0..partitions).any(|one| i32::try_from(one).is_ok_and(|one| !given.contains(&one)))
    }

    /// How many members have less to put down than `instance`; `None` if it is not a member.
    fn rank(&self, instance: &str) -> Option<usize> {
        let mut members: Vec<_> = self.0.iter().map(|(id, given)| (given.len(), id)).collect();
        members.sort_unstable();
        members.iter().position(|(_, id)| {
            let rest = id.strip_prefix(instance).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| rest.len() == UUID_CHARS)
        })
    }
}

/// What of `topic` a member is given, from the bytes of its assignment (Kafka's consumer protocol, versions
/// 0 to 3); `None` if they are something else.
fn given(assignment: &[u8], topic: &str) -> Option<BTreeSet<i32>> {
    let mut bytes = assignment.get(size_of::<i16>()..)?;
    let mut all = BTreeSet::new();
    for _ in 0..number(&mut bytes)? {
        let (length, rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        bytes = rest;
        for _ in 0..number(&mut bytes)? {
            let partition = number(&mut bytes)?;
            if name == topic.as_bytes() {
                all.insert(partition);
            }
        }
    }
    Some(all)
}

fn number(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*number))
}

/// What one member saw of its group.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Option<Shares>,
    /// Looks in a row that saw `last`.
    looks: usize,
}

impl Watch {
    /// Takes in one look; true if `instance` is to leave and join again.
    pub(super) fn look(&mut self, seen: Option<Shares>, instance: &str, partitions: u32) -> bool {
        self.looks = if seen == self.last { self.looks.saturating_add(1) } else { 1 };
        self.last = seen;
        let shares = self.last.as_ref().filter(|shares| shares.have_hole(partitions));
        let rank = shares.and_then(|shares| shares.rank(instance));
        rank.is_some_and(|rank| LOOKS.saturating_mul(rank.saturating_add(1)) <= self.looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "7a2ffac3-80a9-4ec8-9419-472137dd7458";

    fn shares(members: &[(&str, &[i32])]) -> Option<Shares> {
        let one = |(instance, given): &(&str, &[i32])| {
            (format!("{instance}-{UUID}"), given.iter().copied().collect())
        };
        Some(Shares(members.iter().map(one).collect()))
    }

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let count = |count: usize| i32::try_from(count).unwrap().to_be_bytes();
        let mut bytes = vec![0, 1];
        bytes.extend(count(topics.len()));
        for (topic, given) in topics {
            bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(count(given.len()));
            given.iter().for_each(|one| bytes.extend(one.to_be_bytes()));
        }
        // User data: none.
        bytes.extend([0xff; 4]);
        bytes
    }

    #[test]
    fn an_assignment_is_read_and_a_broken_one_is_not() {
        let bytes = assignment(&[("bets", &[3, 0]), ("rounds", &[7])]);
        assert_eq!(given(&bytes, "bets"), Some([0, 3].into()));
        assert_eq!(given(&bytes, "rounds"), Some([7].into()));
        assert_eq!(given(&bytes, "others"), Some([].into()));
        for length in 0..bytes.len() - 4 {
            assert_eq!(given(&bytes[..length], "bets"), None, "{length}");
        }
    }

    #[test]
    fn the_member_with_the_least_joins_again_once_the_hole_stays() {
        let hole = || shares(&[("a", &[2, 3]), ("b", &[])]);
        let (mut of_a, mut of_b) = (Watch::default(), Watch::default());
        let turns: Vec<_> =
            (0..4).map(|_| (of_a.look(hole(), "a", 4), of_b.look(hole(), "b", 4))).collect();
        // `a` stands in once `b` had its turn and the group is as it was.
        assert_eq!(turns, [(false, false), (false, true), (false, true), (true, true)]);
    }

    #[test]
    fn a_group_on_its_way_or_whole_is_left_alone() {
        let mut watch = Watch::default();
        for seen in [
            shares(&[("a", &[0, 1]), ("b", &[])]),
            None,
            shares(&[("a", &[0, 1]), ("b", &[])]),
            shares(&[("a", &[0]), ("b", &[])]),
            shares(&[("a", &[0]), ("b", &[1])]),
            shares(&[("a", &[0]), ("b", &[1])]),
            shares(&[("a", &[0]), ("b", &[1])]),
            None,
            None,
            None,
        ] {
            assert!(!watch.look(seen.clone(), "b", 2), "{seen:?}");
        }
    }

    #[test]
    fn a_member_knows_itself_among_names_that_begin_alike() {
        let found = shares(&[("s-1", &[0, 1]), ("s-1-0", &[2]), ("s", &[])]).unwrap();
        assert_eq!(
            ["s", "s-1-0", "s-1", "s-2"].map(|one| found.rank(one)),
            [Some(0), Some(1), Some(2), None]
        );
    }
}
