package peer

import (
	"net/http/httptest"
	"testing"
)

func TestIsList(t *testing.T) {
	for target, want := range map[string]bool{
		"/api/v1/pods?resourceVersion=0":                       true,
		"/api/v1/pods?limit=500&continue=x":                    true,
		"/api/v1/namespaces":                                   true,
		"/api/v1/namespaces/burst/pods":                        true,
		"/apis/apps/v1/deployments":                            true,
		"/apis/apps/v1/namespaces/burst/deployments":           true,
		"/api/v1/pods?watch=true&sendInitialEvents=true":       true,
		"/api/v1/pods?watch=true&resourceVersion=7":            false,
		"/api/v1/namespaces/burst":                             false,
		"/api/v1/nodes/one":                                    false,
		"/api/v1/namespaces/burst/pods/one":                    false,
		"/apis/apps/v1/namespaces/burst/deployments/one":       false,
		"/apis/apps/v1/namespaces/burst/deployments/one/scale": false,
		"/api":          false,
		"/apis":         false,
		"/api/v1":       false,
		"/apis/apps/v1": false,
		"/version":      false,
	} {
		if got := isList(httptest.NewRequest("GET", target, nil)); got != want {
			t.Errorf("isList(%s) = %v", target, got)
		}
	}
}
