package peer

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// taskVariable is the environment variable that carries the task.
const taskVariable = "KUBEHANDLER_PEERS_TASK"

// What a task watches or measures.
const (
	Pods       = "pods"
	ConfigMaps = "configmaps"
	AllKinds   = "kinds"
	QueueAlone = "queue"
)

// How an informer gets its first state.
const (
	// Unpaged is a reflector's list at resourceVersion 0, for which a server ignores the limit.
	Unpaged = "unpaged"
	// Paged is a consistent list in pages.
	Paged = "paged"
	// Streaming is a watch with sendInitialEvents.
	Streaming = "streaming"
)

// How objects travel.
const (
	JSON     = "json"
	Protobuf = "protobuf"
	Metadata = "metadata"
)

// What is done for each object.
const (
	HandleKey    = "key"
	HandleObject = "object"
	HandleBusy   = "busy"
	HandleFails  = "failing"
)

// Task is what the conductor wants of a program.
type Task struct {
	Kubeconfig string `json:"kubeconfig"`
	What       string `json:"what"`
	// Namespace is empty for all of them.
	Namespace string `json:"namespace"`
	Mode      string `json:"mode"`
	Content   string `json:"content"`
	// Strip drops managedFields before an object is cached.
	Strip   bool   `json:"strip"`
	Handler string `json:"handler"`
	// Expect is how many distinct keys must be handled before the program is ready.
	Expect  int `json:"expect"`
	Workers int `json:"workers"`
}

// readTask parses and checks the task in the environment.
func readTask() (*Task, error) {
	var task Task
	if err := json.Unmarshal([]byte(os.Getenv(taskVariable)), &task); err != nil {
		return nil, fmt.Errorf("%s: %w", taskVariable, err)
	}
	if err := task.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", taskVariable, err)
	}
	return &task, nil
}

// check rejects words nobody knows: a typing mistake must not end up as a measurement of something else.
func (t *Task) check() error {
	oneOf := func(field, value string, known ...string) error {
		if slices.Contains(known, value) {
			return nil
		}
		return fmt.Errorf("%s is %q, not one of %q", field, value, known)
	}
	if err := oneOf("what", t.What, Pods, ConfigMaps, AllKinds, QueueAlone); err != nil || t.What == QueueAlone {
		return err
	}
	if err := oneOf("mode", t.Mode, Unpaged, Paged, Streaming); err != nil {
		return err
	}
	if err := oneOf("content", t.Content, JSON, Protobuf, Metadata); err != nil || t.What == AllKinds {
		return err
	}
	if t.Workers < 1 {
		return fmt.Errorf("workers is %d", t.Workers)
	}
	return oneOf("handler", t.Handler, HandleKey, HandleObject, HandleBusy, HandleFails)
}
