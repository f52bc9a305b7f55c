package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubehandler.example/peers/internal/peer"
)

// startAll starts informers of all kinds and waits until they have synced.
func startAll(ctx context.Context, task *peer.Task, config *rest.Config) error {
	mgr, err := newManager(task, config)
	if err != nil {
		return err
	}
	for _, kind := range peer.Kinds {
		object, err := objectOf(kind, task, mgr.GetScheme())
		if err != nil {
			return err
		}
		// Before the cache is started this makes an informer and waits for nothing.
		if _, err := mgr.GetCache().GetInformer(ctx, object); err != nil {
			return err
		}
	}
	return start(ctx, mgr)
}

// objectOf returns an example of a kind, in the form the task wants.
func objectOf(kind peer.Kind, task *peer.Task, scheme *runtime.Scheme) (client.Object, error) {
	if task.Content == peer.Metadata {
		return newMetadata(kind), nil
	}
	example, err := scheme.New(kind.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	object, ok := example.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", example)
	}
	return object, nil
}
