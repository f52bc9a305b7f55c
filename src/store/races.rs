//! The mailbox under orders of its steps that shuttle comes up with: nobody waits for ever, nothing is told twice or not at all.
//!
//! Seen to find, within 300 schedules: a `take` that does not wake who waits for room, and a `close` that does not.

use kubehandler_core::outbox::{Delivery, Telling};
use shuttle::future::block_on;

use super::mailbox::{Entrance, Mailbox};
use crate::cache::{Change, Entry, Later, Origin, StoredObject, Subscriber as _};
use crate::informer::races::object;
use crate::sync::{Arc, check, spawn};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Puts an object in, as the informer does: under a lock of its own, and waiting when it is free.
async fn put(entrance: &Entrance, object: &Arc<StoredObject>) {
    let new = Entry { object: Arc::clone(object), preexisting: false };
    match entrance.changed(Change::Added { new: &new }, Origin::Watch) {
        Some(Later::Wait(until)) => until.await,
        Some(Later::Do(_)) => panic!("a mailbox leaves nothing to do"),
        None => {}
    }
}

fn mailbox(delivery: Delivery) -> (Arc<Mailbox>, Entrance) {
    let mailbox = Arc::new(Mailbox::new(delivery));
    (Arc::clone(&mailbox), Entrance(mailbox))
}

#[test]
fn whoever_waits_for_room_or_for_something_to_tell_gets_it() {
    for delivery in [Delivery::Block(0), Delivery::Block(2), Delivery::Coalesce] {
        check::some(move || {
            let (mailbox, entrance) = mailbox(delivery);
            let informer = spawn(async move {
                for name in NAMES {
                    put(&entrance, &object(name, "1", 1)).await;
                }
            });
            let told = block_on(async {
                let mut told = Vec::new();
                while told.len() < NAMES.len() {
                    let Telling::Added { new, .. } = mailbox.take().await else { panic!("only additions") };
                    told.push(new.key().name().to_owned());
                }
                told
            });
            assert_eq!(told, NAMES);
            block_on(informer).unwrap();
            assert_eq!(mailbox.len(), 0);
        });
    }
}

#[test]
fn who_waits_for_room_in_a_mailbox_that_is_closed_goes_on() {
    check::some(|| {
        let (mailbox, entrance) = mailbox(Delivery::Block(0));
        let informer = spawn(async move {
            for name in NAMES {
                put(&entrance, &object(name, "1", 1)).await;
            }
        });
        let subscriber = spawn({
            let mailbox = Arc::clone(&mailbox);
            async move {
                drop(mailbox.take().await);
                mailbox.close();
            }
        });
        block_on(subscriber).unwrap();
        block_on(informer).unwrap();
        assert_eq!(mailbox.len(), 0, "nothing is taken in any more");
    });
}
