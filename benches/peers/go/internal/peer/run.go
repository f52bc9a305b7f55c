// Package peer is what the programs have in common: the conductor's protocol, the user's handler, and the figures.
// It knows no controller: what a program brings is a Program.
package peer

import (
	"context"
	"log"
	"os"
	"time"

	"k8s.io/client-go/rest"
)

// settling is how long a program stands still before its memory is read.
const settling = time.Second

// Program is a way to write controllers in Go.
type Program struct {
	// Control has the handler called for every object of the task's kind, until the context ends.
	// It returns once the first list is in and calls are being made.
	Control func(ctx context.Context, task *Task, config *rest.Config, handler *Handler) error
	// Informers starts informers of all Kinds and returns once they have synced.
	Informers func(ctx context.Context, task *Task, config *rest.Config) error
	// Queue measures the program's queue without a server.
	Queue func() QueueFigures
}

// Run is a program's main function: it performs the task and answers commands until the input ends.
func Run(program Program) {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	task, err := readTask()
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	expect := task.Expect
	if task.What == AllKinds {
		// Nothing is handled.
		expect = 0
	}
	run := &run{
		task:    task,
		program: program,
		record:  newRecord(expect),
		events:  newEvents(os.Stdout),
	}
	// Beside the commands, so that the end of the input ends a program that is not ready, too.
	go func() {
		if err := run.perform(ctx); err != nil {
			log.Fatal(err)
		}
	}()
	answers := &commands{events: run.events, record: run.record, meter: &run.meter, mark: newMark(&run.meter)}
	if err := answers.answer(os.Stdin); err != nil {
		log.Fatal(err)
	}
}

type run struct {
	task    *Task
	program Program
	record  *Record
	events  *events
	meter   Meter
}

// perform does what the task asks until the program is ready, and says so.
func (r *run) perform(ctx context.Context) error {
	if r.task.What == QueueAlone {
		return r.events.say("ready", r.program.Queue())
	}
	if err := chooseStreaming(r.task); err != nil {
		return err
	}
	before, start, cpu := readMemory(), time.Now(), readCPU()
	if err := r.start(ctx); err != nil {
		return err
	}
	select {
	case <-r.record.reached:
	case <-ctx.Done():
		return nil
	}
	figures := readyFigures{
		Seconds: time.Since(start).Seconds(),
		CPU:     readCPU() - cpu,
		Before:  before.resident,
	}
	time.Sleep(settling)
	after := readMemory()
	figures.Resident, figures.Peak = after.resident, after.peak
	figures.Bytes, figures.Lists = r.meter.bytes.Load(), r.meter.lists.Load()
	figures.Handled, figures.Checksum = r.record.distinct()
	return r.events.say("ready", figures)
}

// start makes the client and starts what the task is about.
func (r *run) start(ctx context.Context) error {
	config, err := clientConfig(r.task, &r.meter)
	if err != nil {
		return err
	}
	if r.task.What == AllKinds {
		return r.program.Informers(ctx, r.task, config)
	}
	return r.program.Control(ctx, r.task, config, &Handler{does: r.task.Handler, record: r.record})
}
