// Kinds prints what the Go types of the built-in kinds say about their JSON: testkit/src/builtin/types.txt.
//
// Run it after raising the control plane's version, and look at the difference:
//
//	cd testcluster && go run ./kinds > ../testkit/src/builtin/types.txt
//
// Names, types, `omitempty` and the numbers of protobuf come from the struct tags; how lists and maps merge, and the defaults that list keys
// have, come from the generated OpenAPI definitions, which client-side and server-side apply follow too.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kubernetes/pkg/generated/openapi"
)

// roots are the kinds that the test server knows. Each type that they reach is printed.
var roots = []any{
	corev1.Namespace{}, corev1.Pod{}, corev1.Service{}, corev1.ConfigMap{}, corev1.Secret{}, corev1.ServiceAccount{},
	corev1.Node{}, corev1.Event{}, eventsv1.Event{}, appsv1.Deployment{}, appsv1.ReplicaSet{}, autoscalingv1.Scale{},
	coordinationv1.Lease{}, rbacv1.Role{}, rbacv1.RoleBinding{}, rbacv1.ClusterRole{}, rbacv1.ClusterRoleBinding{},
	apiextensionsv1.CustomResourceDefinition{}, metav1.DeleteOptions{},
}

// scalars are the types with a JSON form of their own.
var scalars = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():                                  "time",
	reflect.TypeFor[metav1.MicroTime]():                             "microtime",
	reflect.TypeFor[resource.Quantity]():                            "quantity",
	reflect.TypeFor[intstr.IntOrString]():                           "int-or-string",
	reflect.TypeFor[runtime.RawExtension]():                         "any",
	reflect.TypeFor[metav1.FieldsV1]():                              "any",
	reflect.TypeFor[apiextensionsv1.JSON]():                         "any",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrBool]():        "any",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrArray]():       "any",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrStringArray](): "any",
}

func main() {
	definitions := openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef(path) })
	printer := &printer{definitions: definitions, lines: map[string][]string{}}
	for _, root := range roots {
		printer.visit(reflect.TypeOf(root))
	}
	names := make([]string, 0, len(printer.lines))
	for name := range printer.lines {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Println("# Written by `go run ./kinds` in testcluster/: do not edit. `mod.rs` explains the lines.")
	for _, name := range names {
		for _, line := range printer.lines[name] {
			fmt.Println(line)
		}
	}
	if len(printer.problems) > 0 {
		fmt.Fprintln(os.Stderr, strings.Join(printer.problems, "\n"))
		os.Exit(1)
	}
}

type printer struct {
	definitions map[string]common.OpenAPIDefinition
	lines       map[string][]string
	problems    []string
}

// name is a type's short name: its group and version, or the package's name, and its own.
func name(t reflect.Type) string {
	path := strings.Split(t.PkgPath(), "/")
	return strings.Join(path[len(path)-2:], "/") + "." + t.Name()
}

// schema finds the definition of a type. The generated package names definitions as the documents do:
// io.k8s.api.core.v1.Pod, with the reversed domain of the import path in front.
func (p *printer) schema(t reflect.Type) (spec.Schema, bool) {
	domain, rest, _ := strings.Cut(t.PkgPath(), "/")
	labels := strings.Split(domain, ".")
	slices.Reverse(labels)
	name := strings.Join(labels, ".") + "." + strings.ReplaceAll(rest, "/", ".") + "." + t.Name()
	definition, found := p.definitions[name]
	if !found {
		definition, found = p.definitions[t.PkgPath()+"."+t.Name()]
	}
	return definition.Schema, found
}

func (p *printer) visit(t reflect.Type) {
	id := name(t)
	if _, done := p.lines[id]; done {
		return
	}
	schema, found := p.schema(t)
	if !found {
		p.problems = append(p.problems, "no OpenAPI definition for "+id)
	}
	header := id
	if schema.Extensions["x-kubernetes-map-type"] == "atomic" {
		header += " atomic"
	}
	p.lines[id] = []string{header}
	fields := p.fields(t, schema, "")
	sort.Strings(fields)
	p.lines[id] = append(p.lines[id], fields...)
}

// fields prints the fields of a type. Those of an embedded struct are the type's own in JSON and a message of their own
// in protobuf, whose number is the prefix.
func (p *printer) fields(t reflect.Type, schema spec.Schema, prefix string) []string {
	var fields []string
	for i := range t.NumField() {
		field := t.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == "-" {
			continue
		}
		if tag == "" {
			if field.Anonymous && strings.Contains(options, "inline") || field.Anonymous && options == "" {
				below := "-" // An embedded struct without a number is not sent.
				if number := protobufNumber(field); number != "" {
					below = prefix + number + "."
				}
				fields = append(fields, p.fields(field.Type, schema, below)...)
				continue
			}
			if !field.IsExported() || field.Tag.Get("json") == "" {
				continue
			}
		}
		line := fmt.Sprintf(" %s %s", tag, p.typeOf(field.Type))
		if omits(field.Type, options) {
			line += "?"
		}
		if number := protobufNumber(field); number != "" && !strings.HasPrefix(prefix, "-") {
			line += " #" + prefix + number
		}
		line += extensions(schema.Properties[tag])
		fields = append(fields, line)
	}
	return fields
}

func protobufNumber(field reflect.StructField) string {
	parts := strings.Split(field.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// omits tells whether a zero value is left out. `omitempty` does nothing for a struct.
func omits(t reflect.Type, options string) bool {
	for _, option := range strings.Split(options, ",") {
		if option == "omitzero" || option == "omitempty" && t.Kind() != reflect.Struct {
			return true
		}
	}
	return false
}

func (p *printer) typeOf(t reflect.Type) string {
	if scalar, found := scalars[t]; found {
		return scalar
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + p.typeOf(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + p.typeOf(t.Elem())
	case reflect.Map:
		return "{}" + p.typeOf(t.Elem())
	case reflect.Struct:
		p.visit(t)
		return name(t)
	case reflect.String:
		if t.Name() != "string" {
			return "string:" + t.String()
		}
		return "string"
	case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64:
		return t.Kind().String()
	}
	p.problems = append(p.problems, "unexpected type "+t.String())
	return "any"
}

func extensions(schema spec.Schema) string {
	var out strings.Builder
	switch schema.Extensions["x-kubernetes-list-type"] {
	case "atomic":
		out.WriteString(" atomic")
	case "set":
		out.WriteString(" set")
	case "map":
		var keys []string
		for _, key := range schema.Extensions["x-kubernetes-list-map-keys"].([]any) {
			keys = append(keys, key.(string))
		}
		out.WriteString(" map=" + strings.Join(keys, ","))
	}
	if schema.Extensions["x-kubernetes-map-type"] == "atomic" {
		out.WriteString(" atomic")
	}
	if strategy, found := schema.Extensions["x-kubernetes-patch-strategy"]; found {
		fmt.Fprintf(&out, " patch=%v", strategy)
	}
	if key, found := schema.Extensions["x-kubernetes-patch-merge-key"]; found {
		fmt.Fprintf(&out, " patch-key=%v", key)
	}
	if isScalar(schema.Default) {
		text, _ := json.Marshal(schema.Default)
		fmt.Fprintf(&out, " default=%s", text)
	}
	return out.String()
}

// isScalar leaves out the zero values that the generator writes for every field that is not a pointer.
func isScalar(value any) bool {
	switch value := value.(type) {
	case string:
		return value != ""
	case float64:
		return value != 0
	case bool:
		return value
	}
	return false
}
