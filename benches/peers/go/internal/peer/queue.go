package peer

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

const (
	// queueKeys is how many keys go through a queue.
	queueKeys = 1_000_000
	// rememberedKeys is how many keys are queued for the memory's sake.
	rememberedKeys = 100_000
)

// QueueFigures are nanoseconds a key for add, get and done, and bytes a queued key.
type QueueFigures struct {
	Lockstep float64 `json:"lockstep"`
	Together float64 `json:"together-1"`
	// TogetherTwo is with two workers.
	TogetherTwo float64 `json:"together-2"`
	Drained     float64 `json:"drained"`
	Memory      float64 `json:"memory"`
}

// MeasureQueue measures queues of a controller's own keys.
func MeasureQueue[K comparable](newQueue func() workqueue.TypedRateLimitingInterface[K], key func(types.NamespacedName) K) QueueFigures {
	// The memory first: what the other measurements leave behind would be used again, and not be seen.
	memory := queueMemory(newQueue, makeKeys(rememberedKeys, key))
	keys := makeKeys(queueKeys, key)
	return QueueFigures{
		Lockstep:    perKey(keys, func() { lockstep(newQueue(), keys) }),
		Together:    perKey(keys, func() { together(newQueue(), keys, 1) }),
		TogetherTwo: perKey(keys, func() { together(newQueue(), keys, 2) }),
		Drained:     perKey(keys, func() { drained(newQueue(), keys) }),
		Memory:      memory,
	}
}

func makeKeys[K comparable](count int, key func(types.NamespacedName) K) []K {
	keys := make([]K, count)
	for i := range keys {
		keys[i] = key(types.NamespacedName{Namespace: "default", Name: fmt.Sprintf("object-%07d", i)})
	}
	return keys
}

func perKey[K comparable](keys []K, work func()) float64 {
	start := time.Now()
	work()
	return float64(time.Since(start).Nanoseconds()) / float64(len(keys))
}

// lockstep passes one key after the other.
func lockstep[K comparable](queue workqueue.TypedRateLimitingInterface[K], keys []K) {
	defer queue.ShutDown()
	for _, key := range keys {
		queue.Add(key)
		got, _ := queue.Get()
		queue.Done(got)
	}
}

// together has a producer and workers at once.
func together[K comparable](queue workqueue.TypedRateLimitingInterface[K], keys []K, workers int) {
	finished := work(queue, keys[len(keys)-1], workers)
	for _, key := range keys {
		queue.Add(key)
	}
	finished.Wait()
}

// drained has one worker begin after the last key was added.
func drained[K comparable](queue workqueue.TypedRateLimitingInterface[K], keys []K) {
	for _, key := range keys {
		queue.Add(key)
	}
	work(queue, keys[len(keys)-1], 1).Wait()
}

// work starts workers that end with the last key: they come in the order in which they were added. A count of what is left would be one
// thing more for two workers to contend for, and none of the queue's.
func work[K comparable](queue workqueue.TypedRateLimitingInterface[K], last K, workers int) *sync.WaitGroup {
	var finished sync.WaitGroup
	for range workers {
		finished.Go(func() {
			for {
				key, shutDown := queue.Get()
				if shutDown {
					return
				}
				queue.Done(key)
				if key == last {
					queue.ShutDown()
				}
			}
		})
	}
	return &finished
}

// queueMemory returns the bytes of resident memory that a queue takes for each of the keys.
func queueMemory[K comparable](newQueue func() workqueue.TypedRateLimitingInterface[K], keys []K) float64 {
	// What making the keys left behind is given back, or the queue would move in there unseen.
	debug.FreeOSMemory()
	before := readMemory()
	queue := newQueue()
	defer queue.ShutDown()
	for _, key := range keys {
		queue.Add(key)
	}
	// A queue may take keys in behind the caller's back.
	for queue.Len() < len(keys) {
		time.Sleep(time.Millisecond)
	}
	after := readMemory()
	runtime.KeepAlive(keys)
	return float64(after.resident-before.resident) / float64(len(keys))
}
