package main

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"kubehandler.example/peers/internal/peer"
)

// noResync: handlers are not told again what they know.
const noResync = 0

// typedFactory returns a factory of informers of whole objects.
func typedFactory(task *peer.Task, config *rest.Config) (informers.SharedInformerFactory, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	options := []informers.SharedInformerOption{informers.WithNamespace(task.Namespace)}
	if task.Strip {
		options = append(options, informers.WithTransform(stripManagedFields))
	}
	if task.Mode == peer.Paged {
		options = append(options, informers.WithTweakListOptions(peer.InPages))
	}
	return informers.NewSharedInformerFactoryWithOptions(client, noResync, options...), nil
}

// metadataFactory returns a factory of informers of metadata only. It takes either a namespace or a transform, so the transform is
// left to stripMetadata.
func metadataFactory(task *peer.Task, config *rest.Config) (metadatainformer.SharedInformerFactory, error) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	var tweak metadatainformer.TweakListOptionsFunc
	if task.Mode == peer.Paged {
		tweak = peer.InPages
	}
	return metadatainformer.NewFilteredSharedInformerFactory(client, noResync, task.Namespace, tweak), nil
}

func stripMetadata(task *peer.Task, informer cache.SharedIndexInformer) error {
	if !task.Strip {
		return nil
	}
	return informer.SetTransform(stripManagedFields)
}

// stripManagedFields saves memory as SetTransform's documentation suggests.
func stripManagedFields(object any) (any, error) {
	// Written only if there is something to strip: an object may come by again while others read it. A tombstone has no metadata.
	if accessor, err := meta.Accessor(object); err == nil && accessor.GetManagedFields() != nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}
