//! The model's own promises: what the other race tests rest on.

use shuttle::future::{block_on, spawn};

use super::check;
use super::{Arc, Notify};

#[test]
fn a_wake_up_is_stored_until_somebody_waits() {
    check::all(|| {
        let notify = Arc::new(Notify::default());
        let waiter = spawn({
            let notify = Arc::clone(&notify);
            async move { notify.notified().await }
        });
        notify.notify_one();
        block_on(waiter).unwrap();
    });
}

#[test]
fn a_wake_up_whose_receiver_is_dropped_goes_to_another() {
    check::some(|| {
        let notify = Arc::new(Notify::default());
        let waiter = || {
            let notify = Arc::clone(&notify);
            spawn(async move { notify.notified().await })
        };
        let [first, second] = [waiter(), waiter()];
        notify.notify_one();
        first.abort();
        if block_on(first).is_ok() {
            notify.notify_one();
        }
        block_on(second).unwrap();
    });
}
