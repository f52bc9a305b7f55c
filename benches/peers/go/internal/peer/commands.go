package peer

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// commands answers the conductor.
type commands struct {
	events *events
	record *Record
	meter  *Meter
	mark   mark
}

// mark is where counters that never start anew stood when the conductor last asked to.
type mark struct {
	time         time.Time
	cpu          float64
	bytes, lists int64
}

func newMark(meter *Meter) mark {
	return mark{time: time.Now(), cpu: readCPU(), bytes: meter.bytes.Load(), lists: meter.lists.Load()}
}

// answer answers each line until the input ends.
func (c *commands) answer(input io.Reader) error {
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		if err := c.one(strings.Fields(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (c *commands) one(words []string) error {
	switch {
	case len(words) == 1 && words[0] == "mark":
		c.record.startAnew()
		c.mark = newMark(c.meter)
		return c.events.say("marked", nil)
	case len(words) == 1 && words[0] == "report":
		return c.events.say("report", c.report())
	case len(words) == 1 && words[0] == "view":
		objects, checksum := c.record.view()
		return c.events.say("view", viewFigures{Objects: objects, Checksum: checksum})
	case len(words) == 2 && words[0] == "idle":
		seconds, err := strconv.ParseFloat(words[1], 64)
		if err != nil || seconds <= 0 {
			return fmt.Errorf("idle for %q seconds", words[1])
		}
		return c.events.say("idle", idle(time.Duration(seconds*float64(time.Second))))
	default:
		return fmt.Errorf("no such command: %q", words)
	}
}

func (c *commands) report() reportFigures {
	now, memory, count := newMark(c.meter), readMemory(), c.record.count()
	lags := sorted(count.lags)
	return reportFigures{
		Seconds:    now.time.Sub(c.mark.time).Seconds(),
		CPU:        now.cpu - c.mark.cpu,
		Resident:   memory.resident,
		Peak:       memory.peak,
		Bytes:      now.bytes - c.mark.bytes,
		Lists:      now.lists - c.mark.lists,
		Calls:      count.calls,
		Failed:     count.failed,
		Adds:       count.adds,
		Deletes:    count.deletes,
		Early:      count.early,
		Doubled:    count.doubled,
		Concurrent: count.concurrent,
		Misordered: count.misordered,
		Last:       count.lastEnd(),
		P50:        percentile(lags, 0.5),
		P90:        percentile(lags, 0.9),
		P99:        percentile(lags, 0.99),
		Lagged:     len(lags),
	}
}

// idle does nothing for a while and tells what the process did nevertheless, a second.
func idle(while time.Duration) idleFigures {
	start, wakeUps, cpu := time.Now(), readWakeUps(), readCPU()
	time.Sleep(while)
	seconds := time.Since(start).Seconds()
	return idleFigures{
		WakeUps: float64(readWakeUps()-wakeUps) / seconds,
		CPU:     (readCPU() - cpu) / seconds,
	}
}
