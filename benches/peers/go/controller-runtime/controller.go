package main

import (
	"context"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"kubehandler.example/peers/internal/peer"
)

// reconciler has each request handled.
type reconciler struct {
	handler *peer.Handler
	read    peer.Reader
}

func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	return reconcile.Result{}, r.handler.Handle(ctx, request.NamespacedName, r.read)
}

// control runs a controller of one kind; it returns once its cache has synced.
func control(ctx context.Context, task *peer.Task, config *rest.Config, handler *peer.Handler) error {
	mgr, err := newManager(task, config)
	if err != nil {
		return err
	}
	subject, err := newSubject(task, mgr.GetClient())
	if err != nil {
		return err
	}
	// UsePriorityQueue stays unset: the priority queue is the default.
	err = ctrl.NewControllerManagedBy(mgr).
		For(subject.object, subject.options...).
		WithOptions(controller.Options{MaxConcurrentReconciles: task.Workers}).
		Complete(&reconciler{handler: handler, read: subject.read})
	if err != nil {
		return err
	}
	if err := start(ctx, mgr); err != nil {
		return err
	}
	// A controller makes its informer when it starts, so the manager's cache may have synced without it. Asking for the same one
	// waits for it.
	_, err = mgr.GetCache().GetInformer(ctx, subject.cached)
	return err
}
