//! D2: `reconcile` for every known object once an interval, spread over it.
//!
//! Intervals need virtual time, so all of these run on the embedded server only.

use std::collections::BTreeMap;

use super::*;

const DELAY: Duration = Duration::from_secs(30);

/// When each object was reconciled.
fn reconciled(diary: &Diary) -> BTreeMap<String, Vec<Made>> {
    let mut calls = BTreeMap::<String, Vec<Made>>::new();
    for made in diary.made() {
        let (name, call) = made.what.split_once(": ").unwrap();
        if call.starts_with("reconcile") {
            calls.entry(name.to_owned()).or_default().push(made);
        }
    }
    calls
}

#[test]
fn d2_every_known_object_is_reconciled_once_an_interval_without_a_peak() {
    on_embedded(async |world| {
        for object in 0..300 {
            world.create(&format!("object-{object}"), "1").await;
        }
        let options = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).reconcile_delay(DELAY);
        let _running = run(controller, 4).await;
        let began = Instant::now();
        time_passes(10 * DELAY).await;
        let reconciled = reconciled(&options.diary);
        assert_eq!(reconciled.len(), 300);
        let mut a_second = BTreeMap::<u64, u32>::new();
        for (name, calls) in &reconciled {
            assert!((9..=11).contains(&calls.len()), "{name}: {} in ten intervals", calls.len());
            let moments: Vec<_> = [began].into_iter().chain(calls.iter().map(|made| made.at)).collect();
            for (at, pair) in moments.windows(2).enumerate() {
                let gap = pair[1] - pair[0];
                let least = if at == 0 { Duration::ZERO } else { DELAY.mul_f64(0.89) };
                assert!(least <= gap && gap <= DELAY.mul_f64(1.11), "{name}: {gap:?} between two");
            }
            for made in calls {
                *a_second.entry((made.at - began).as_secs()).or_default() += 1;
            }
        }
        // Ten a second, had they stood in line for it; all 300 in one, had they not been spread.
        assert!(a_second.len() > 290 && a_second.values().all(|&calls| calls < 30), "{a_second:?}");
    });
}

#[test]
fn d2_in_which_order_objects_come_is_the_seeds_to_say() {
    on_embedded(async |world| {
        for object in 0..20 {
            world.create(&format!("object-{object}"), "1").await;
        }
        let mut orders = Vec::new();
        for seed in [7, 7, 8] {
            let options = Options::default();
            let controller = diarist(world.informers.informer::<ConfigMap>(), &options).reconcile_delay(DELAY);
            let mut event_loop = EventLoop::builder("controllers").seed(seed).build();
            event_loop.register(controller).unwrap();
            let running = Running::start(event_loop, 1).ready().await;
            time_passes(DELAY.mul_f64(1.2)).await;
            running.stop().await;
            let reconciled = options.diary.made().into_iter().filter(|made| made.what.contains("reconcile"));
            orders.push(reconciled.map(|made| made.what).take(20).collect::<Vec<_>>());
        }
        assert_eq!(orders[0].len(), 20);
        assert_eq!(orders[0], orders[1]);
        assert_ne!(orders[0], orders[2]);
    });
}

#[test]
fn d2_a_reconcile_never_overlaps_a_running_call_of_its_object() {
    on_embedded(async |world| {
        // Half as long again as the interval.
        let options = Options { takes: DELAY.mul_f64(1.5), ..Options::default() };
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).reconcile_delay(DELAY);
        let _running = run(controller, 8).await;
        for object in 0..4 {
            world.create(&format!("object-{object}"), "1").await;
        }
        time_passes(20 * DELAY).await;
        world.change("object-0", "2").await;
        time_passes(5 * DELAY).await;
        let mut calls = 0;
        for object in 0..4 {
            let prefix = format!("object-{object}: ");
            let made: Vec<_> = options.diary.made().into_iter().filter(|made| made.what.starts_with(&prefix)).collect();
            for pair in made.windows(2) {
                assert!(pair[0].ended.is_some_and(|ended| ended <= pair[1].at), "{pair:?}");
            }
            calls += made.len();
        }
        assert!(calls > 4 * 10, "{calls}");
    });
}

#[test]
fn d2_nothing_is_reconciled_before_the_cache_has_synced_and_zero_is_never() {
    on_embedded(async |world| {
        world.create("a", "1").await;
        world.network.cut();
        let options = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).reconcile_delay(DELAY);
        let mut event_loop = EventLoop::builder("controllers").sync_deadline(100 * DELAY).build();
        event_loop.register(controller).unwrap();
        let off = Options::default();
        let never =
            Controlling::new("never", world.informers.informer::<ConfigMap>(), Diarist(PhantomData), off.clone());
        event_loop.register(never.reconcile_delay(Duration::ZERO)).unwrap();
        let running = Running::start(event_loop, 2);
        time_passes(10 * DELAY).await;
        assert_eq!(options.diary.story("a"), [""; 0]);
        world.network.heal();
        let running = running.ready().await;
        options.diary.tells("a", &["add 1"]).await;
        time_passes(10 * DELAY).await;
        assert!(options.diary.story("a").len() >= 10, "{:?}", options.diary.story("a"));
        assert_eq!(off.diary.story("a"), ["add 1"]);
        assert!(running.stop().await.is_clean());
    });
}

#[test]
fn d2_what_fails_or_is_gone_is_not_reconciled() {
    on_embedded(async |world| {
        let options = Options::default();
        let controller = diarist(world.informers.informer::<ConfigMap>(), &options).reconcile_delay(DELAY);
        let _running = run(controller, 2).await;
        options.fails_with(Permanent::new("never"));
        world.create("parked", "1").await;
        options.diary.tells("parked", &["add 1"]).await;
        world.create("gone", "1").await;
        options.diary.tells("gone", &["add 1"]).await;
        world.delete("gone").await;
        options.diary.tells("gone", &["add 1", "delete 1"]).await;
        time_passes(10 * DELAY).await;
        assert_eq!(options.diary.story("parked"), ["add 1"]);
        assert_eq!(options.diary.story("gone"), ["add 1", "delete 1"]);
    });
}
