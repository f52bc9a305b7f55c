package peer

import (
	"encoding/json"
	"io"
	"sync"
)

// events writes what a program says, one line of JSON each.
type events struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func newEvents(to io.Writer) *events {
	return &events{encoder: json.NewEncoder(to)}
}

// say writes one event; figures may be nil.
func (e *events) say(event string, figures any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.encoder.Encode(struct {
		Event   string `json:"event"`
		Figures any    `json:"figures,omitempty"`
	}{event, figures})
}

type readyFigures struct {
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu"`
	Before   int64   `json:"before"`
	Resident int64   `json:"resident"`
	Peak     int64   `json:"peak"`
	Bytes    int64   `json:"bytes"`
	Lists    int64   `json:"lists"`
	Handled  int     `json:"handled"`
	Checksum uint32  `json:"checksum"`
}

type reportFigures struct {
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"cpu"`
	Resident   int64   `json:"resident"`
	Peak       int64   `json:"peak"`
	Bytes      int64   `json:"bytes"`
	Lists      int64   `json:"lists"`
	Calls      int     `json:"calls"`
	Failed     int     `json:"failed"`
	Adds       int     `json:"adds"`
	Deletes    int     `json:"deletes"`
	Early      int     `json:"early"`
	Doubled    int     `json:"doubled"`
	Concurrent int     `json:"concurrent"`
	Misordered int     `json:"misordered"`
	Last       float64 `json:"last"`
	P50        float64 `json:"p50"`
	P90        float64 `json:"p90"`
	P99        float64 `json:"p99"`
	Lagged     int     `json:"lagged"`
}

type viewFigures struct {
	Objects  int    `json:"objects"`
	Checksum uint32 `json:"checksum"`
}

type idleFigures struct {
	WakeUps float64 `json:"wake-ups"`
	CPU     float64 `json:"cpu"`
}
