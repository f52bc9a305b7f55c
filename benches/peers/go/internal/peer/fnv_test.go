package peer

import (
	"hash/fnv"
	"testing"
)

func TestFNV1aIsTheStandardOne(t *testing.T) {
	for _, text := range []string{"", "/", "default/web-0", "burst/é@12345"} {
		standard := fnv.New32a()
		standard.Write([]byte(text))
		half := len(text) / 2
		if got := fnv1a(text[:half], text[half:]); got != standard.Sum32() {
			t.Errorf("fnv1a(%q) = %d, not %d", text, got, standard.Sum32())
		}
	}
}
