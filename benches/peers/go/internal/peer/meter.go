package peer

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Meter counts what comes from the server and how often a list was asked for.
type Meter struct {
	bytes atomic.Int64
	lists atomic.Int64
}

// attach makes every connection and request of a client count.
func (m *Meter) attach(config *rest.Config) {
	// The dialer that client-go would use by itself.
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn, bytes: &m.bytes}, nil
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &countedRequests{next: next, lists: &m.lists}
	})
}

// countedConn lies below TLS: its bytes are those on the wire.
type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c *countedConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	c.bytes.Add(int64(n))
	return n, err
}

type countedRequests struct {
	next  http.RoundTripper
	lists *atomic.Int64
}

func (c *countedRequests) RoundTrip(request *http.Request) (*http.Response, error) {
	if isList(request) {
		c.lists.Add(1)
	}
	return c.next.RoundTrip(request)
}

// isList tells whether a request asks for the state of a whole collection: a list, a page of one, or a watch that begins with one.
func isList(request *http.Request) bool {
	if request.Method != http.MethodGet || !isCollection(request.URL.Path) {
		return false
	}
	query := request.URL.Query()
	if watch := query.Get("watch"); watch == "true" || watch == "1" {
		return query.Get("sendInitialEvents") == "true"
	}
	return true
}

// isCollection tells a collection's path from one object's and from discovery's.
func isCollection(path string) bool {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	switch segments[0] {
	case "api": // api/VERSION/…
		segments = segments[min(2, len(segments)):]
	case "apis": // apis/GROUP/VERSION/…
		segments = segments[min(3, len(segments)):]
	default:
		return false
	}
	switch len(segments) {
	case 1: // RESOURCE
		return true
	case 3: // namespaces/NAMESPACE/RESOURCE
		return segments[0] == "namespaces"
	default:
		return false
	}
}
