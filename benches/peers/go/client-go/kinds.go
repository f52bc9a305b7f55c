package main

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"kubehandler.example/peers/internal/peer"
)

// startAll starts informers of all kinds and waits until they have synced.
func startAll(ctx context.Context, task *peer.Task, config *rest.Config) error {
	informer, start, err := anyKind(task, config)
	if err != nil {
		return err
	}
	var synced []cache.DoneChecker
	for _, kind := range peer.Kinds {
		one, err := informer(kind.Resource())
		if err != nil {
			return err
		}
		synced = append(synced, one.HasSyncedChecker())
	}
	start(ctx)
	if !cache.WaitFor(ctx, "all informers", synced...) {
		return context.Cause(ctx)
	}
	return nil
}

// anyKind returns what makes an informer of any kind, and what starts all that were made.
func anyKind(task *peer.Task, config *rest.Config) (
	informer func(schema.GroupVersionResource) (cache.SharedIndexInformer, error), start func(context.Context), err error,
) {
	if task.Content == peer.Metadata {
		factory, err := metadataFactory(task, config)
		if err != nil {
			return nil, nil, err
		}
		informer = func(resource schema.GroupVersionResource) (cache.SharedIndexInformer, error) {
			made := factory.ForResource(resource).Informer()
			return made, stripMetadata(task, made)
		}
		return informer, func(ctx context.Context) { factory.Start(ctx.Done()) }, nil
	}
	factory, err := typedFactory(task, config)
	if err != nil {
		return nil, nil, err
	}
	informer = func(resource schema.GroupVersionResource) (cache.SharedIndexInformer, error) {
		made, err := factory.ForResource(resource)
		if err != nil {
			return nil, err
		}
		return made.Informer(), nil
	}
	return informer, factory.StartWithContext, nil
}
