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
