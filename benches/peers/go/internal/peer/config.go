package peer

import (
	"fmt"
	"os"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientfeatures "k8s.io/client-go/features"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clientConfig returns how the task wants its client, with the meter attached.
func clientConfig(task *Task, meter *Meter) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", task.Kubeconfig)
	if err != nil {
		return nil, err
	}
	// The client's own rate limiter (5 requests a second unless set) is not what is measured: without it, thirty informers would
	// wait for each other. Negative turns it off, as controller-runtime's GetConfig does; the server's fairness remains.
	config.QPS = -1
	switch task.Content {
	case JSON:
		// Both, and always: controller-runtime would choose protobuf for built-in kinds if nothing was said.
		config.ContentType = runtime.ContentTypeJSON
		config.AcceptContentTypes = runtime.ContentTypeJSON
	case Protobuf:
		config.ContentType = runtime.ContentTypeProtobuf
		config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	case Metadata:
		// The metadata client chooses by itself: protobuf, then JSON.
	}
	meter.attach(config)
	return config, nil
}

// chooseStreaming turns client-go's streaming lists on or off. They are on by default since v0.35; the environment is the documented
// switch, and it is read once, so this comes before any client is made.
func chooseStreaming(task *Task) error {
	streaming := task.Mode == Streaming
	variable := "KUBE_FEATURE_" + string(clientfeatures.WatchListClient)
	if err := os.Setenv(variable, strconv.FormatBool(streaming)); err != nil {
		return err
	}
	if clientfeatures.FeatureGates().Enabled(clientfeatures.WatchListClient) != streaming {
		return fmt.Errorf("%s has no effect", variable)
	}
	return nil
}

// InPages makes a reflector's first list one in pages. A reflector asks for pages of 500 but at resourceVersion 0, for which the server
// answers from its watch cache and ignores the limit; informers have no page size of their own (Reflector.WatchListPageSize is
// out of their users' reach, and would not change that either). Asking for the latest state instead makes the limit count.
func InPages(options *metav1.ListOptions) {
	if options.Limit > 0 && options.ResourceVersion == "0" {
		options.ResourceVersion = ""
	}
}
