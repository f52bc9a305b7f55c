package peer

import (
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// writtenAt is the annotation with the Unix time in nanoseconds at which an object's version was written.
const writtenAt = "peers/at"

// Record is what the handler of a program has seen: per key what a user would remember, and counters.
type Record struct {
	mu       sync.Mutex
	keys     map[types.NamespacedName]*seen
	counters counters

	expect   int
	handled  int
	checksum uint32
	// reached is closed when expect keys were handled.
	reached chan struct{}
}

// seen is what is remembered of a key.
type seen struct {
	uid types.UID
	// resourceVersion is that of the object the last successful call was given.
	resourceVersion string
	// at is the newest time of writing that a call was given.
	at int64
	// running is how many calls are in flight: never more than one, if the program keeps its promise.
	running int
	// failures is how often a call failed.
	failures int

	// handled: a call succeeded. added: one did for this uid.
	handled, added bool
	// deleted: the call for the deletion of uid succeeded.
	deleted bool
	// present: the last call succeeded and was no deletion.
	present bool
}

// newRecord returns a record that expects a number of distinct keys.
func newRecord(expect int) *Record {
	record := &Record{
		keys:    make(map[types.NamespacedName]*seen),
		expect:  expect,
		reached: make(chan struct{}),
	}
	if expect == 0 {
		close(record.reached)
	}
	return record
}

// begin notes that a call starts.
func (r *Record) begin(key types.NamespacedName) *seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	memory := r.keys[key]
	if memory == nil {
		memory = &seen{}
		r.keys[key] = memory
	}
	r.counters.calls++
	if memory.running > 0 {
		r.counters.concurrent++
	}
	memory.running++
	return memory
}

// saw notes the object that a call was given, which entered the handler at some time.
func (r *Record) saw(memory *seen, object metav1.Object, entry time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case memory.uid != object.GetUID():
		memory.uid = object.GetUID()
		memory.added = false
	case memory.deleted:
		r.counters.misordered++
	}
	memory.deleted = false
	if at, err := strconv.ParseInt(object.GetAnnotations()[writtenAt], 10, 64); err == nil && at > memory.at {
		memory.at = at
		r.counters.lags = append(r.counters.lags, time.Duration(entry.UnixNano()-at))
	}
}

// failures returns how many calls for a key have failed.
func (r *Record) failures(memory *seen) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return memory.failures
}

// failed notes that a call ends and will be retried.
func (r *Record) failed(memory *seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	memory.failures++
	memory.present = false
	r.counters.failed++
	r.end(memory)
}

// succeeded notes that a call for a key ends well that was given an object.
func (r *Record) succeeded(key types.NamespacedName, memory *seen, object metav1.Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !memory.added {
		memory.added = true
		r.counters.adds++
	}
	memory.present = true
	memory.resourceVersion = object.GetResourceVersion()
	r.done(key, memory)
}

// wasGone notes that a call for a key ends well that found no object.
func (r *Record) wasGone(key types.NamespacedName, memory *seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if memory.uid == "" || memory.deleted {
		r.counters.doubled++
	} else {
		r.counters.deletes++
		if !memory.added {
			r.counters.early++
		}
	}
	memory.deleted = true
	memory.present = false
	r.done(key, memory)
}

// counted notes that a call for a key ends well that did not look for the object.
func (r *Record) counted(key types.NamespacedName, memory *seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	memory.present = true
	r.done(key, memory)
}

// done ends a successful call. The lock is held.
func (r *Record) done(key types.NamespacedName, memory *seen) {
	if !memory.handled {
		memory.handled = true
		r.handled++
		r.checksum += fnv1a(key.Namespace, "/", key.Name)
		if r.handled == r.expect {
			close(r.reached)
		}
	}
	r.end(memory)
}

// end ends any call. The lock is held.
func (r *Record) end(memory *seen) {
	memory.running--
	r.counters.last = time.Now()
}

// distinct returns how many keys were handled, and the sum of their hashes.
func (r *Record) distinct() (handled int, checksum uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.handled, r.checksum
}

// view returns how many objects the handler believes to exist, and the sum of the hashes of their names and versions.
func (r *Record) view() (objects int, checksum uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, memory := range r.keys {
		if memory.present {
			objects++
			checksum += fnv1a(key.Namespace, "/", key.Name, "@", memory.resourceVersion)
		}
	}
	return objects, checksum
}

// startAnew forgets the counters, not what is remembered of keys.
func (r *Record) startAnew() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters = counters{}
}

// count returns the counters so far.
func (r *Record) count() counters {
	r.mu.Lock()
	defer r.mu.Unlock()
	copied := r.counters
	copied.lags = append([]time.Duration(nil), r.counters.lags...)
	return copied
}
