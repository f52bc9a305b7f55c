package main

import (
	"context"
	"log"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"kubehandler.example/peers/internal/peer"
)

// newManager returns a manager with everything at its default, but for what a task asks and servers that nobody would call.
func newManager(task *peer.Task, config *rest.Config) (manager.Manager, error) {
	options := manager.Options{
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
	}
	if task.Strip {
		options.Cache.DefaultTransform = cache.TransformStripManagedFields()
	}
	if task.Namespace != "" {
		options.Cache.DefaultNamespaces = map[string]cache.Config{task.Namespace: {}}
	}
	if task.Mode == peer.Paged {
		options.Cache.NewInformer = newPagedInformer
	}
	return ctrl.NewManager(config, options)
}

// start runs a manager until the context ends, and returns once the informers that it has by now are synced.
func start(ctx context.Context, mgr manager.Manager) error {
	go func() {
		if err := mgr.Start(ctx); err != nil {
			log.Fatal(err)
		}
	}()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return context.Cause(ctx)
	}
	return nil
}

// newPagedInformer is the one way to reach an informer's list options.
func newPagedInformer(
	lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers,
) toolscache.SharedIndexInformer {
	source := toolscache.ToListerWatcherWithContext(lw)
	return toolscache.NewSharedIndexInformer(&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			peer.InPages(&options)
			return source.ListWithContext(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return source.WatchWithContext(ctx, options)
		},
	}, object, resync, indexers)
}
