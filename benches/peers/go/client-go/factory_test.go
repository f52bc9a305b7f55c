package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func TestManagedFieldsAreStripped(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}}}
	if got, err := stripManagedFields(pod); err != nil || got != pod || pod.ManagedFields != nil || pod.Name != "web-0" {
		t.Errorf("%v, %v", got, err)
	}
	tombstone := cache.DeletedFinalStateUnknown{Key: "default/web-0"}
	if got, err := stripManagedFields(tombstone); err != nil || got != tombstone {
		t.Errorf("%v, %v", got, err)
	}
}
