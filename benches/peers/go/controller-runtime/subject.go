package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubehandler.example/peers/internal/peer"
)

// subject is what a controller is for, and how a reconciler reads it.
type subject struct {
	object  client.Object
	options []builder.ForOption
	// cached is an example of what the cache holds.
	cached client.Object
	read   peer.Reader
}

func newSubject(task *peer.Task, from client.Reader) (*subject, error) {
	var typed subject
	switch task.What {
	case peer.Pods:
		typed.object = &corev1.Pod{}
		typed.read = reader(from, func() *corev1.Pod { return &corev1.Pod{} })
	case peer.ConfigMaps:
		typed.object = &corev1.ConfigMap{}
		typed.read = reader(from, func() *corev1.ConfigMap { return &corev1.ConfigMap{} })
	default:
		return nil, fmt.Errorf("no controller for %s", task.What)
	}
	typed.cached = typed.object
	if task.Content != peer.Metadata {
		return &typed, nil
	}
	kind, err := kindOf(task.What)
	if err != nil {
		return nil, err
	}
	return &subject{
		object:  typed.object,
		options: []builder.ForOption{builder.OnlyMetadata},
		cached:  newMetadata(kind),
		read:    reader(from, func() *metav1.PartialObjectMetadata { return newMetadata(kind) }),
	}, nil
}

// reader reads from the cache as a reconciler does, into a new object each time: the client copies, since users may change what they get.
func reader[T client.Object](from client.Reader, newObject func() T) peer.Reader {
	return func(ctx context.Context, key types.NamespacedName) (metav1.Object, error) {
		object := newObject()
		switch err := from.Get(ctx, key, object); {
		case errors.IsNotFound(err):
			return nil, nil
		case err != nil:
			return nil, err
		default:
			return object, nil
		}
	}
}

// kindOf returns the kind of a task's resource.
func kindOf(plural string) (peer.Kind, error) {
	for _, kind := range peer.Kinds {
		if kind.Plural == plural {
			return kind, nil
		}
	}
	return peer.Kind{}, fmt.Errorf("no kind for %s", plural)
}

// newMetadata returns metadata that the client takes for a kind's.
func newMetadata(kind peer.Kind) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(kind.GroupVersionKind)
	return object
}
