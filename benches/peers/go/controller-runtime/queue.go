package main

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"kubehandler.example/peers/internal/peer"
)

// newQueue returns the queue that a controller uses unless told otherwise, its Prometheus metrics included.
func newQueue() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return priorityqueue.New[reconcile.Request]("peers")
}

func measureQueue() peer.QueueFigures {
	return peer.MeasureQueue(newQueue, func(key types.NamespacedName) reconcile.Request {
		return reconcile.Request{NamespacedName: key}
	})
}
