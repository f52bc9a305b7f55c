// Command controller-runtime is the controller that controller-runtime's own documentation describes: a manager, a builder, a reconciler
// that reads from the manager's client.
package main

import (
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"kubehandler.example/peers/internal/peer"
)

func main() {
	ctrl.SetLogger(zap.New())
	peer.Run(peer.Program{
		Control:   control,
		Informers: startAll,
		Queue:     measureQueue,
	})
}
