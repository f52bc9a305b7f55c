package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"kubehandler.example/peers/internal/peer"
)

// source is an informer, its lister, and what starts it.
type source struct {
	informer cache.SharedIndexInformer
	read     peer.Reader
	start    func(context.Context)
}

func newSource(task *peer.Task, config *rest.Config) (*source, error) {
	if task.Content == peer.Metadata {
		return metadataSource(task, config)
	}
	factory, err := typedFactory(task, config)
	if err != nil {
		return nil, err
	}
	switch task.What {
	case peer.Pods:
		pods := factory.Core().V1().Pods()
		lister := pods.Lister()
		read := func(_ context.Context, key types.NamespacedName) (metav1.Object, error) {
			return found(lister.Pods(key.Namespace).Get(key.Name))
		}
		return &source{pods.Informer(), read, factory.StartWithContext}, nil
	case peer.ConfigMaps:
		configMaps := factory.Core().V1().ConfigMaps()
		lister := configMaps.Lister()
		read := func(_ context.Context, key types.NamespacedName) (metav1.Object, error) {
			return found(lister.ConfigMaps(key.Namespace).Get(key.Name))
		}
		return &source{configMaps.Informer(), read, factory.StartWithContext}, nil
	default:
		return nil, fmt.Errorf("no informer for %s", task.What)
	}
}

func metadataSource(task *peer.Task, config *rest.Config) (*source, error) {
	factory, err := metadataFactory(task, config)
	if err != nil {
		return nil, err
	}
	// The resources of a task are named like the server's.
	resource := factory.ForResource(corev1.SchemeGroupVersion.WithResource(task.What))
	if err := stripMetadata(task, resource.Informer()); err != nil {
		return nil, err
	}
	lister := resource.Lister()
	read := func(_ context.Context, key types.NamespacedName) (metav1.Object, error) {
		object, err := lister.ByNamespace(key.Namespace).Get(key.Name)
		if err != nil {
			return found[*metav1.PartialObjectMetadata](nil, err)
		}
		return meta.Accessor(object)
	}
	return &source{resource.Informer(), read, func(ctx context.Context) { factory.Start(ctx.Done()) }}, nil
}

// found turns a lister's answer into a reader's: an object that is gone is no error.
func found[T metav1.Object](object T, err error) (metav1.Object, error) {
	if errors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return object, nil
}
