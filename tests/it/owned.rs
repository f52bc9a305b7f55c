//! What an object owns, through an index (D5).

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kubehandler::owners::{Owned, Role, add_owner, is_owned_by};
use kubehandler::{SharedInformer, WatchConfig};

use super::support::world::config_map;
use super::support::{World, eventually, on_both};

async fn own(world: &World, name: &str, owner: &ConfigMap) -> ConfigMap {
    let mut map = config_map(name, "1", &[]);
    map.metadata.namespace = Some(world.namespace.clone());
    assert_eq!(add_owner(&mut map, owner, &(), Role::Controller), Ok(true));
    world.api().create(&PostParams::default(), &map).await.expect("it is created")
}

#[test]
fn d5_what_an_object_owns_is_found_by_its_uid_and_follows_every_change() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let owned = Owned::of(&maps).unwrap();
        let (shop, blog) = (world.create("shop", "1").await, world.create("blog", "1").await);
        let uid = |map: &ConfigMap| map.metadata.uid.clone().expect("a uid");
        let (shop_uid, blog_uid) = (uid(&shop), uid(&blog));
        let first = own(world, "shop-1", &shop).await;
        assert!(is_owned_by(&first, &shop) && !is_owned_by(&first, &blog));
        let store = maps.watch(WatchConfig::new("owned"), kubehandler::SubscriberFuncs::new()).await.unwrap();
        own(world, "shop-2", &shop).await;
        own(world, "blog-1", &blog).await;
        let keys = |uid: &str| owned.keys(uid).iter().map(|key| key.name().to_owned()).collect::<Vec<_>>();
        eventually("all are there", || keys(&shop_uid) == ["shop-1", "shop-2"] && keys(&blog_uid) == ["blog-1"]).await;
        let names: Vec<_> =
            owned.objects(&shop_uid).into_iter().map(|map| map.unwrap().metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["shop-1", "shop-2"]);
        assert_eq!(keys("no such uid"), [""; 0]);
        world.delete("shop-1").await;
        world.patch("shop-2", serde_json::json!({"metadata": {"ownerReferences": null}})).await;
        eventually("they follow", || keys(&shop_uid).is_empty()).await;
        // A clone shares the index, and two of them get along.
        let (other, again) = (Owned::of(&maps).unwrap(), owned.clone());
        drop(owned);
        assert_eq!(other.keys(&blog_uid), again.keys(&blog_uid));
        drop(store);
    });
}
