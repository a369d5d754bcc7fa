// Package conformance_test runs the official Gateway API conformance suite, unmodified, against whatever Kubernetes API
// the KUBECONFIG names.
package conformance_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/pkg/features"
)

var listing = flag.String("listing", "", "file to write the names of the features and of the tests to")

// TestConformance runs the suite. Its clients speak JSON: by themselves they would take protobuf for built-in kinds,
// which the server that stands in for a cluster does not know.
func TestConformance(t *testing.T) {
	options := conformance.DefaultOptions(t)
	options.RestConfig.ContentType = runtime.ContentTypeJSON
	var err error
	options.ClientOptions.Scheme = options.Client.Scheme()
	options.Client, err = client.New(options.RestConfig, options.ClientOptions)
	require.NoError(t, err)
	options.Clientset, err = kubernetes.NewForConfig(options.RestConfig)
	require.NoError(t, err)
	conformance.RunConformanceWithOptions(t, options)
}

// TestListing writes what the suite consists of, for the features to claim and for the table of results.
func TestListing(t *testing.T) {
	if *listing == "" {
		t.Skip("no -listing")
	}
	type test struct {
		Name     string                 `json:"name"`
		Features []features.FeatureName `json:"features"`
	}
	var found struct {
		Features []features.FeatureName `json:"features"`
		Tests    []test                 `json:"tests"`
	}
	for _, one := range tests.ConformanceTests {
		found.Tests = append(found.Tests, test{one.ShortName, one.Features})
	}
	for _, one := range features.AllFeatures.UnsortedList() {
		found.Features = append(found.Features, one.Name)
	}
	data, err := json.MarshalIndent(found, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(*listing, data, 0o600))
}
