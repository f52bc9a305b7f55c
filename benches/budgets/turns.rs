//! Who is measured when.
//!
//! What one leaves the server to clean up falls on the next: were it always the same one that came next, the figures would tell
//! of its neighbour as much as of itself.

/// The order of a round's `count` participants. Over rounds both the first and who follows whom change: a design of Williams (1949),
/// balanced once there are as many rounds as participants and these are even in number.
pub(crate) fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    // 0, 1, -1, 2, -2, …: the distances between neighbours differ, so that a shift changes all of them.
    let step = move |turn: usize| if turn % 2 == 1 { turn.div_ceil(2) } else { count - turn / 2 };
    (0..count).map(move |turn| (round + step(turn)) % count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::order;

    #[test]
    fn each_has_one_turn_a_round_and_who_comes_first_changes() {
        for count in 1..20 {
            for round in 0..count {
                let turns: Vec<usize> = order(round, count).collect();
                assert_eq!(turns[0], round);
                assert_eq!(turns.iter().collect::<BTreeSet<_>>().len(), count, "{turns:?}");
            }
        }
    }

    #[test]
    fn nobody_follows_the_same_one_twice_in_as_many_rounds_as_may_differ() {
        for count in 4..20 {
            // Of an odd number the ends meet again half-way round.
            let rounds = if count % 2 == 0 { count } else { count / 2 };
            let pairs = |round| order(round, count).zip(order(round, count).skip(1)).collect::<Vec<_>>();
            let all: Vec<_> = (0..rounds).flat_map(pairs).collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{count}: {all:?}");
        }
    }
}
