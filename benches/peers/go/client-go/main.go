// Command client-go is the controller that client-go's own documentation describes: a shared informer, a typed rate-limiting work queue,
// a lister.
package main

import (
	"kubehandler.example/peers/internal/peer"
)

func main() {
	peer.Run(peer.Program{
		Control:   control,
		Informers: startAll,
		Queue:     measureQueue,
	})
}
