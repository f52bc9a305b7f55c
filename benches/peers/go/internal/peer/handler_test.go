package peer

import (
	"context"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var key = types.NamespacedName{Namespace: "default", Name: "web-0"}

func object(uid, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, UID: types.UID(uid), ResourceVersion: version,
	}}
}

// handle calls a handler whose cache holds an object, or nothing.
func handle(h *Handler, key types.NamespacedName, held *metav1.PartialObjectMetadata) error {
	return h.Handle(context.Background(), key, func(context.Context, types.NamespacedName) (metav1.Object, error) {
		if held == nil {
			return nil, nil
		}
		return held, nil
	})
}

func TestHandlerTellsWhatItSaw(t *testing.T) {
	record := newRecord(1)
	h := &Handler{does: HandleObject, record: record}
	expect := func(step string, want counters) {
		t.Helper()
		got := record.count()
		got.last, got.lags = time.Time{}, nil
		if got.calls != want.calls || got.adds != want.adds || got.deletes != want.deletes ||
			got.doubled != want.doubled || got.misordered != want.misordered {
			t.Errorf("%s: %+v, not %+v", step, got, want)
		}
	}
	steps := []struct {
		name string
		held *metav1.PartialObjectMetadata
		want counters
	}{
		{"gone and never seen", nil, counters{calls: 1, doubled: 1}},
		{"added", object("a", "1"), counters{calls: 2, adds: 1, doubled: 1}},
		{"changed", object("a", "2"), counters{calls: 3, adds: 1, doubled: 1}},
		{"deleted", nil, counters{calls: 4, adds: 1, deletes: 1, doubled: 1}},
		{"deleted again", nil, counters{calls: 5, adds: 1, deletes: 1, doubled: 2}},
		{"back from the dead", object("a", "2"), counters{calls: 6, adds: 1, deletes: 1, doubled: 2, misordered: 1}},
		{"made anew", object("b", "9"), counters{calls: 7, adds: 2, deletes: 1, doubled: 2, misordered: 1}},
	}
	for _, step := range steps {
		if err := handle(h, key, step.held); err != nil {
			t.Fatal(step.name, err)
		}
		expect(step.name, step.want)
	}
	select {
	case <-record.reached:
	default:
		t.Error("one key was expected and handled")
	}
	if objects, checksum := record.view(); objects != 1 || checksum != fnv1a("default/web-0@9") {
		t.Errorf("view: %d, %d", objects, checksum)
	}
	if handled, checksum := record.distinct(); handled != 1 || checksum != fnv1a("default/web-0") {
		t.Errorf("handled: %d, %d", handled, checksum)
	}
}

func TestADeletionBehindFailedCallsOnlyIsEarly(t *testing.T) {
	record := newRecord(0)
	memory := record.begin(key)
	record.saw(memory, object("a", "1"), time.Now())
	record.failed(memory)
	for range 2 {
		record.wasGone(key, record.begin(key))
	}
	if got := record.count(); got.deletes != 1 || got.early != 1 || got.doubled != 1 {
		t.Errorf("%+v", got)
	}
}

func TestCallsAtOnceAreCounted(t *testing.T) {
	record := newRecord(0)
	first := record.begin(key)
	second := record.begin(key)
	record.counted(key, second)
	record.counted(key, first)
	record.counted(key, record.begin(key))
	if got := record.count(); got.concurrent != 1 || got.calls != 3 {
		t.Errorf("%+v", got)
	}
}

func TestLagIsThatOfNewVersionsOnly(t *testing.T) {
	record := newRecord(0)
	h := &Handler{does: HandleObject, record: record}
	for i, age := range []time.Duration{time.Minute, time.Minute, time.Hour, time.Second} {
		held := object("a", strconv.Itoa(i))
		held.Annotations = map[string]string{writtenAt: strconv.FormatInt(time.Now().Add(-age).UnixNano(), 10)}
		if i == 1 {
			held.Annotations = nil
		}
		if err := handle(h, key, held); err != nil {
			t.Fatal(err)
		}
	}
	lags := sorted(record.count().lags)
	if len(lags) != 2 || lags[0].Round(time.Second) != time.Second || lags[1].Round(time.Second) != time.Minute {
		t.Errorf("lags: %v", lags)
	}
}

func TestOneKeyInTenFailsThreeTimes(t *testing.T) {
	record := newRecord(0)
	h := &Handler{does: HandleFails, record: record}
	failing := 0
	for i := range 100 {
		key := types.NamespacedName{Namespace: "default", Name: "web-" + strconv.Itoa(i)}
		fails := 0
		for handle(h, key, object("a"+key.Name, "1")) != nil {
			fails++
			if objects, _ := record.view(); objects != i {
				t.Errorf("%d objects in view while %s fails", objects, key)
			}
		}
		if fnv1a(key.String())%10 != 0 && fails != 0 || fnv1a(key.String())%10 == 0 && fails != 3 {
			t.Errorf("%s failed %d times", key, fails)
		}
		failing += fails
	}
	if got := record.count(); failing == 0 || got.failed != failing || got.adds != 100 {
		t.Errorf("%+v after %d failures", got, failing)
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	var lags []time.Duration
	if got := percentile(lags, 0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 100 {
		lags = append(lags, time.Duration(i+1)*time.Second)
	}
	for part, want := range map[float64]float64{0.5: 50, 0.9: 90, 0.99: 99} {
		if got := percentile(lags, part); got != want {
			t.Errorf("%v: %v, not %v", part, got, want)
		}
	}
}
