//! A cache with typed indexes and subscribers against a plain map, through any history: all that come and go, at any pace.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_core::ObjectKey;
use kubehandler_core::outbox::{Delivery, Telling};
use kubehandler_core::store::Event;
use kubehandler_testkit::ApiServer;
use proptest::prelude::*;
use serde_json::json;

use super::indexed::{Follows, Index};
use super::mailbox::{Entrance, Mailbox};
use crate::cache::{Leftovers, Part, Session, Silent, StoredObject, SubscriberId, TypeMeta};
use crate::informer::{Informer, InformerFactory};
use crate::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
enum Act {
    Present {
        name: u8,
        life: u8,
        value: u8,
    },
    Gone {
        name: u8,
    },
    List(Vec<(u8, u8, u8)>),
    AddIndex,
    RemoveIndex,
    Subscribe {
        block: bool,
    },
    Unsubscribe,
    /// The n-th subscriber is told so many things.
    Tell {
        subscriber: usize,
        times: u8,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..3_u8, 0..2_u8, 0..3_u8).prop_map(|(name, life, value)| Act::Present { name, life, value }),
        2 => (0..3_u8).prop_map(|name| Act::Gone { name }),
        1 => proptest::collection::vec((0..3_u8, 0..2_u8, 0..3_u8), 0..4).prop_map(Act::List),
        1 => Just(Act::AddIndex),
        1 => Just(Act::RemoveIndex),
        1 => any::<bool>().prop_map(|block| Act::Subscribe { block }),
        1 => Just(Act::Unsubscribe),
        3 => (0..3_usize, 1..4_u8).prop_map(|(subscriber, times)| Act::Tell { subscriber, times }),
    ]
}

/// By value; every seventh state is one that does not fit the type, and is not in it.
#[derive(Default)]
struct ByValue(BTreeMap<String, BTreeSet<ObjectKey>>);

impl Index<ConfigMap> for ByValue {
    fn add(&mut self, key: &ObjectKey, object: &ConfigMap) {
        let fresh = self.0.entry(value(object)).or_default().insert(key.clone());
        assert!(fresh, "{key} is added twice");
    }

    fn delete(&mut self, key: &ObjectKey, object: &ConfigMap) {
        let held = self.0.get_mut(&value(object)).expect("a value with objects");
        assert!(held.remove(key), "{key} is removed twice");
        if held.is_empty() {
            self.0.remove(&value(object));
        }
    }
}

fn value(object: &ConfigMap) -> String {
    object.data.as_ref().and_then(|data| data.get("value")).cloned().unwrap_or_default()
}

fn fits(version: u64) -> bool {
    !version.is_multiple_of(7)
}

fn object(name: u8, life: u8, value: u8, version: u64) -> Arc<StoredObject> {
    let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
    let uid = format!("00000000-0000-4000-8000-00000000000{life}");
    let value = if fits(version) { json!(format!("v{value}")) } else { json!(7) };
    let object = json!({
        "metadata": {"namespace": "ns", "name": format!("o{name}"), "uid": uid, "resourceVersion": version.to_string()},
        "data": {"value": value},
    });
    Arc::new(StoredObject::parse(object.to_string().as_bytes(), &types, false).unwrap())
}

/// What a subscriber knows.
type Known = BTreeMap<ObjectKey, Arc<StoredObject>>;

struct World {
    informer: Arc<Informer>,
    session: Session,
    version: u64,
    model: Known,
    indexes: Vec<(SubscriberId, Arc<Mutex<ByValue>>)>,
    subscribers: Vec<(SubscriberId, Arc<Mailbox>, Known)>,
}

impl World {
    fn new() -> Self {
        let maps = InformerFactory::new(ApiServer::new().client()).informer::<ConfigMap>();
        let informer = Arc::clone(maps.informer());
        // What it hears comes from the test; this one keeps the content.
        informer.cache().subscribe(Arc::new(Silent));
        let session = informer.cache().begin();
        Self { informer, session, version: 0, model: Known::new(), indexes: Vec::new(), subscribers: Vec::new() }
    }

    fn act(&mut self, act: &Act) {
        self.version += 1;
        let (cache, left) = (self.informer.cache(), &mut Leftovers::default());
        match act {
            Act::Present { name, life, value } => {
                let object = object(*name, *life, *value, self.version);
                cache.apply(self.session, Event::Present(Arc::clone(&object)), left);
                self.model.insert(object.key().clone(), object);
            }
            Act::Gone { name } => {
                let last = object(*name, 0, 0, self.version);
                let held = self.model.remove(last.key());
                cache.apply(self.session, Event::Gone(held.unwrap_or(last)), left);
            }
            Act::List(items) => {
                let list: Vec<_> =
                    items.iter().map(|(name, life, value)| object(*name, *life, *value, self.version)).collect();
                self.model = list.iter().map(|object| (object.key().clone(), Arc::clone(object))).collect();
                cache.replace(self.session, &Part::ALL, list, left);
            }
            Act::AddIndex => {
                let index = Arc::new(Mutex::new(ByValue::default()));
                let id = cache.subscribe(Arc::new(Follows::new(Arc::clone(&index), &self.informer))).0;
                self.indexes.push((id, index));
            }
            Act::RemoveIndex => {
                if let Some((id, _)) = self.indexes.pop() {
                    cache.unsubscribe(id);
                }
            }
            Act::Subscribe { block } => {
                let delivery = if *block { Delivery::Block(3) } else { Delivery::Coalesce };
                let mailbox = Arc::new(Mailbox::new(delivery));
                let id = cache.subscribe(Arc::new(Entrance(Arc::clone(&mailbox)))).0;
                self.subscribers.push((id, mailbox, Known::new()));
            }
            Act::Unsubscribe => {
                if let Some((id, mailbox, _)) = self.subscribers.pop() {
                    cache.unsubscribe(id);
                    mailbox.close();
                    assert!(mailbox.try_take().is_none());
                }
            }
            Act::Tell { subscriber, times } => {
                if let Some((_, mailbox, known)) = self.subscribers.get_mut(*subscriber) {
                    for _ in 0..*times {
                        tell(mailbox, known);
                    }
                }
            }
        }
    }

    /// What each index should hold.
    fn by_value(&self) -> BTreeMap<String, BTreeSet<ObjectKey>> {
        let mut by_value: BTreeMap<String, BTreeSet<ObjectKey>> = BTreeMap::new();
        for (key, object) in &self.model {
            if let Ok(object) = self.informer.decode::<ConfigMap>(object) {
                by_value.entry(value(&object)).or_default().insert(key.clone());
            }
        }
        by_value
    }
}

/// Tells one thing. Whether there was one.
fn tell(mailbox: &Mailbox, known: &mut Known) -> bool {
    let Some(telling) = mailbox.try_take() else { return false };
    match telling {
        Telling::Added { new, .. } => {
            let before = known.insert(new.key().clone(), Arc::clone(&new));
            assert!(before.is_none(), "{} is added twice", new.key());
        }
        Telling::Updated { old, new } => {
            let before = known.insert(new.key().clone(), new).expect("it was told before");
            assert!(Arc::ptr_eq(&before, &old), "it leads from what was told");
        }
        Telling::Deleted { told, .. } => {
            let before = known.remove(told.key()).expect("it was told before");
            assert!(Arc::ptr_eq(&before, &told), "it ends what was told");
        }
    }
    true
}

proptest! {
    #[test]
    fn indexes_and_subscribers_follow_whatever_comes(acts in proptest::collection::vec(act(), 0..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let mut world = World::new();
        for act in &acts {
            world.act(act);
            let expected = world.by_value();
            for (_, index) in &world.indexes {
                prop_assert_eq!(&index.lock().0, &expected);
            }
        }
        for (_, mailbox, known) in &mut world.subscribers {
            while tell(mailbox, known) {}
            let names = |known: &Known| -> Vec<_> {
                known.iter().map(|(key, object)| (key.clone(), object.version().to_string())).collect()
            };
            prop_assert_eq!(names(known), names(&world.model));
            prop_assert_eq!(mailbox.len(), 0);
        }
    }
}
