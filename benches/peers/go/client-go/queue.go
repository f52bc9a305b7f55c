package main

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"kubehandler.example/peers/internal/peer"
)

// newQueue returns the queue that the controller uses.
func newQueue() workqueue.TypedRateLimitingInterface[cache.ObjectName] {
	return workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
}

func measureQueue() peer.QueueFigures {
	return peer.MeasureQueue(newQueue, func(key types.NamespacedName) cache.ObjectName { return cache.ObjectName(key) })
}
