package peer

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is a kind of objects and the resource that serves it.
type Kind struct {
	schema.GroupVersionKind
	Plural string
}

// Resource returns where the server keeps objects of this kind.
func (k Kind) Resource() schema.GroupVersionResource {
	return k.GroupVersion().WithResource(k.Plural)
}

func kind(group, version, name, plural string) Kind {
	return Kind{schema.GroupVersionKind{Group: group, Version: version, Kind: name}, plural}
}

// Kinds are thirty built-in kinds, the same in every program.
var Kinds = []Kind{
	kind("", "v1", "Pod", "pods"),
	kind("", "v1", "Service", "services"),
	kind("", "v1", "Endpoints", "endpoints"),
	kind("", "v1", "ConfigMap", "configmaps"),
	kind("", "v1", "Secret", "secrets"),
	kind("", "v1", "ServiceAccount", "serviceaccounts"),
	kind("", "v1", "Node", "nodes"),
	kind("", "v1", "Namespace", "namespaces"),
	kind("", "v1", "PersistentVolume", "persistentvolumes"),
	kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
	kind("", "v1", "ReplicationController", "replicationcontrollers"),
	kind("", "v1", "LimitRange", "limitranges"),
	kind("", "v1", "ResourceQuota", "resourcequotas"),
	kind("apps", "v1", "Deployment", "deployments"),
	kind("apps", "v1", "ReplicaSet", "replicasets"),
	kind("apps", "v1", "StatefulSet", "statefulsets"),
	kind("apps", "v1", "DaemonSet", "daemonsets"),
	kind("batch", "v1", "Job", "jobs"),
	kind("batch", "v1", "CronJob", "cronjobs"),
	kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
	kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
	kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses"),
	kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
	kind("rbac.authorization.k8s.io", "v1", "Role", "roles"),
	kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
	kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles"),
	kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings"),
	kind("storage.k8s.io", "v1", "StorageClass", "storageclasses"),
	kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
	kind("coordination.k8s.io", "v1", "Lease", "leases"),
}
