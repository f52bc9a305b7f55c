package peer

import (
	"math"
	"slices"
	"time"
)

// counters are what a report tells about calls since the mark.
type counters struct {
	calls, failed, adds, deletes, early, doubled, concurrent, misordered int
	last                                                                 time.Time
	lags                                                                 []time.Duration
}

// lastEnd returns the Unix time in seconds of the end of the last call, 0 if there was none.
func (c *counters) lastEnd() float64 {
	if c.last.IsZero() {
		return 0
	}
	return float64(c.last.UnixNano()) / 1e9
}

// percentile returns the lag, in seconds, that the given part of all calls did not exceed (nearest rank), 0 if there were none.
// The lags must be sorted.
func percentile(lags []time.Duration, part float64) float64 {
	if len(lags) == 0 {
		return 0
	}
	rank := int(math.Ceil(part * float64(len(lags))))
	return lags[max(rank, 1)-1].Seconds()
}

func sorted(lags []time.Duration) []time.Duration {
	slices.Sort(lags)
	return lags
}
