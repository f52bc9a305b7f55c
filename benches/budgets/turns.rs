//! Who is measured when.
//!
//! What one leaves the server to clean up falls on the next: were it always the same one that came next, the figures would tell
//! of its neighbour as much as of itself.

/// The order of a round's `count` participants. Over rounds both the first and who follows whom change: designs of Williams (1949), in
/// which each follows each other one equally often, once there are as many rounds as participants, or twice as many of an odd number.
pub(crate) fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    // 0, 1, -1, 2, -2, …: the distances between neighbours differ, so that a shift changes all of them.
    let step = move |turn: usize| if turn % 2 == 1 { turn.div_ceil(2) } else { count - turn / 2 };
    // Of an odd number half of the distances are missing, and have their turn backwards.
    let is_backwards = count % 2 == 1 && round % 2 == 1;
    (0..count).map(move |turn| {
        let (turn, first) = if is_backwards { (count - 1 - turn, round + count / 2) } else { (turn, round) };
        (first + step(turn)) % count
    })
}
