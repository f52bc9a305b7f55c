package peer

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// busyFor is how long a busy handler takes.
	busyFor = 5 * time.Millisecond
	// failsOneIn and failsTimes: which part of the keys fails, and how often.
	failsOneIn = 10
	failsTimes = 3
)

// errAgain is what a failing handler returns: nothing but a reason to be called again.
var errAgain = errors.New("this key fails its first calls")

// Reader reads an object from a program's cache; nil means that it is gone.
type Reader func(ctx context.Context, key types.NamespacedName) (metav1.Object, error)

// Handler is the user's code: what a controller does with a key.
type Handler struct {
	does   string
	record *Record
}

// Handle does what the task asks for one key. An error asks for a retry.
func (h *Handler) Handle(ctx context.Context, key types.NamespacedName, read Reader) error {
	entry := time.Now()
	memory := h.record.begin(key)
	if h.does == HandleKey {
		h.record.counted(key, memory)
		return nil
	}

	object, err := read(ctx, key)
	if err != nil {
		h.record.failed(memory)
		return err
	}
	if object != nil {
		h.record.saw(memory, object, entry)
	}

	switch h.does {
	case HandleBusy:
		time.Sleep(busyFor)
	case HandleFails:
		if fnv1a(key.Namespace, "/", key.Name)%failsOneIn == 0 && h.record.failures(memory) < failsTimes {
			h.record.failed(memory)
			return errAgain
		}
	}

	if object == nil {
		h.record.wasGone(key, memory)
	} else {
		h.record.succeeded(key, memory, object)
	}
	return nil
}
