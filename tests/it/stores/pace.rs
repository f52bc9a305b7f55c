//! Subscribers that are slower than the changes.

use super::*;

/// A diary whose first `added` waits for the gate.
struct Slow {
    diary: Diary,
    gate: Option<Gate>,
}

impl Subscriber<ConfigMap> for Slow {
    async fn added(&mut self, map: Arc<ConfigMap>, preexisting: bool) {
        if let Some(gate) = self.gate.take() {
            gate.passed().await;
        }
        self.diary.added(map, preexisting).await;
    }

    async fn updated(&mut self, old: Arc<ConfigMap>, new: Arc<ConfigMap>) {
        self.diary.updated(old, new).await;
    }

    async fn deleted(&mut self, map: Arc<ConfigMap>, may_be_stale: bool) {
        self.diary.deleted(map, may_be_stale).await;
    }
}

/// A store whose subscriber is stuck with the object `first`.
async fn stuck(world: &World, delivery: Delivery) -> (Store<ConfigMap>, Diary, Gate) {
    let (diary, gate) = (Diary::default(), Gate::closed());
    let slow = Slow { diary: diary.clone(), gate: Some(gate.clone()) };
    let store = maps(world).watch(WatchConfig::new("slow").delivery(delivery), slow).await.unwrap();
    world.create("first", "1").await;
    eventually("it is stuck", || store.pending() == 0 && store.items().len() == 1).await;
    (store, diary, gate)
}

#[test]
fn one_that_coalesces_holds_nobody_up_and_its_backlog_is_bounded_by_the_objects() {
    on_both(async |world| {
        let (slow, diary, gate) = stuck(world, Delivery::Coalesce).await;
        let (quick, other) = watch(world).await;
        for value in 1..=30_u32 {
            let value = value.to_string();
            if value == "1" {
                world.create("a", &value).await
            } else {
                world.change("a", &value).await
            };
        }
        world.create("b", "1").await;
        world.delete("b").await;
        world.create("c", "1").await;
        eventually("the quick one is told of c", || other.lines().iter().any(|line| line == "new: c 1")).await;
        assert!(slow.pending() <= 3, "{} wait", slow.pending());
        gate.open();
        diary.tells(["new: first 1", "new: a 30", "new: c 1"]).await;
        assert_eq!((slow.pending(), quick.pending()), (0, 0));
    });
}

#[test]
fn lives_that_end_while_it_is_slow_end_for_it_too() {
    on_both(async |world| {
        let (_slow, diary, gate) = stuck(world, Delivery::Coalesce).await;
        world.create("a", "1").await;
        let second = Gate::closed();
        gate.open();
        diary.tells(["new: first 1", "new: a 1"]).await;
        drop(second);
        let (_slow, late, gate) = {
            let (diary, gate) = (Diary::default(), Gate::closed());
            let slow = Slow { diary: diary.clone(), gate: Some(gate.clone()) };
            let config = WatchConfig::new("late").init(InitMode::Defer);
            (maps(world).watch(config, slow).await.unwrap(), diary, gate)
        };
        // It is stuck with a, which becomes another life; first only changes.
        quiet().await;
        world.delete("a").await;
        world.create("a", "2").await;
        world.change("first", "2").await;
        quiet().await;
        gate.open();
        late.tells(["was there: a 1", "was there: first 2", "a 1 -> a 1", "gone: a 1", "new: a 2"]).await;
    });
}

#[test]
fn one_that_blocks_is_told_every_change_and_the_others_wait_for_it() {
    on_both(async |world| {
        let (blocking, diary, gate) = stuck(world, Delivery::Block(2)).await;
        let (_other, other) = watch(world).await;
        for name in ["a", "b", "c", "d", "e", "f"] {
            world.create(name, "1").await;
        }
        world.change("a", "2").await;
        eventually("the informer waits", || blocking.pending() == 3).await;
        quiet().await;
        assert_eq!(blocking.pending(), 3, "one more than the limit");
        assert_eq!(other.lines(), ["was there: first 1", "new: a 1", "new: b 1", "new: c 1"]);
        gate.open();
        let told =
            ["new: first 1", "new: a 1", "new: b 1", "new: c 1", "new: d 1", "new: e 1", "new: f 1", "a 1 -> a 2"];
        diary.tells(told).await;
        eventually("the other one follows", || other.lines().len() == 8).await;
    });
}

#[test]
fn one_that_blocks_lets_the_informer_go_when_its_store_ends() {
    on_both(async |world| {
        let (blocking, _diary, _gate) = stuck(world, Delivery::Block(0)).await;
        let (_other, other) = watch(world).await;
        for name in ["a", "b", "c"] {
            world.create(name, "1").await;
        }
        eventually("the informer waits", || blocking.pending() == 1).await;
        drop(blocking);
        eventually("the other one goes on", || other.lines().len() == 4).await;
    });
}
