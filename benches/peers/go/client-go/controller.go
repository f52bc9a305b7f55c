package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"kubehandler.example/peers/internal/peer"
)

// controller takes keys from a queue and has them handled, as sample-controller does.
type controller struct {
	queue   workqueue.TypedRateLimitingInterface[cache.ObjectName]
	handler *peer.Handler
	read    peer.Reader
}

// control runs a controller of one kind; it returns once its workers work.
func control(ctx context.Context, task *peer.Task, config *rest.Config, handler *peer.Handler) error {
	source, err := newSource(task, config)
	if err != nil {
		return err
	}
	c := &controller{queue: newQueue(), handler: handler, read: source.read}
	registration, err := source.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.enqueue,
		UpdateFunc: func(_, object any) { c.enqueue(object) },
		DeleteFunc: c.enqueue,
	})
	if err != nil {
		return err
	}
	source.start(ctx)
	if !cache.WaitFor(ctx, "the first list", registration.HasSyncedChecker()) {
		return context.Cause(ctx)
	}
	for range task.Workers {
		go wait.UntilWithContext(ctx, c.work, time.Second)
	}
	context.AfterFunc(ctx, c.queue.ShutDown)
	return nil
}

// enqueue adds the key of an object, or of a tombstone.
func (c *controller) enqueue(object any) {
	key, err := cache.DeletionHandlingObjectToName(object)
	if err != nil {
		utilruntime.HandleError(err)
		return
	}
	c.queue.Add(key)
}

// work handles keys until the queue is shut down.
func (c *controller) work(ctx context.Context) {
	for c.next(ctx) {
	}
}

func (c *controller) next(ctx context.Context) bool {
	key, shutDown := c.queue.Get()
	if shutDown {
		return false
	}
	defer c.queue.Done(key)
	if err := c.handler.Handle(ctx, types.NamespacedName(key), c.read); err != nil {
		utilruntime.HandleErrorWithContext(ctx, err, "Handling failed, will be retried", "object", key)
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}
