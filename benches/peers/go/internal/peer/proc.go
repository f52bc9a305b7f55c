package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticksPerSecond is USER_HZ: 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// memory is what the kernel says of the process, in bytes.
type memory struct {
	resident int64
	peak     int64
}

func readMemory() memory {
	status := mustRead("/proc/self/status")
	return memory{
		resident: statusField(status, "VmRSS") << 10,
		peak:     statusField(status, "VmHWM") << 10,
	}
}

// readCPU returns the user and system seconds of the whole process.
func readCPU() float64 {
	stat := mustRead("/proc/self/stat")
	// The second field is the program's name, which may hold spaces and brackets; the third comes after the last bracket.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const user, system = 14 - 3, 15 - 3
	return float64(mustParse(fields[user])+mustParse(fields[system])) / ticksPerSecond
}

// readWakeUps sums the voluntary context switches of all threads. Go keeps its threads, so the sum never shrinks.
func readWakeUps() int64 {
	statuses, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		panic(err)
	}
	var sum int64
	for _, path := range statuses {
		status, err := os.ReadFile(path)
		if err != nil {
			// A thread that ended since the folder was read has nothing more to say.
			continue
		}
		sum += statusField(string(status), "voluntary_ctxt_switches")
	}
	return sum
}

// statusField returns the number of a line of a status file, in that line's unit.
func statusField(status, name string) int64 {
	for line := range strings.Lines(status) {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			return mustParse(strings.Fields(rest)[0])
		}
	}
	panic(fmt.Sprintf("no %s in a status file", name))
}

// mustRead and mustParse panic: without the kernel's own figures there is nothing to measure.
func mustRead(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(content)
}

func mustParse(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return number
}
