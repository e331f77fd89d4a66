{{- define "tuning-operator.checkPrometheus" -}}
{{- if and .Values.prometheus.bundled .Values.prometheus.url -}}
{{- fail "\n\nprometheus.url names an existing Prometheus, and prometheus.bundled asks for one of our own. For the existing one:\n\n    --set prometheus.bundled=false\n" -}}
{{- end -}}
{{- if not (or .Values.prometheus.bundled .Values.prometheus.url) -}}
{{- fail "\n\nThe operator reads trials' metrics from Prometheus. Name yours, or take the bundled one:\n\n    --set prometheus.url=http://prometheus-operated.monitoring:9090\n    --set prometheus.bundled=true\n" -}}
{{- end -}}
{{- end -}}

{{/* Says whether an object is this release's own: "yes" or nothing. Takes [root, object]. */}}
{{- define "tuning-operator.isOwn" -}}
{{- $root := index . 0 -}}
{{- $annotations := (index . 1).metadata.annotations | default dict -}}
{{- if and (eq (index $annotations "meta.helm.sh/release-name" | default "") $root.Release.Name) (eq (index $annotations "meta.helm.sh/release-namespace" | default "") $root.Release.Namespace) -}}
yes
{{- end -}}
{{- end -}}

{{/* Helm would say "invalid ownership metadata"; this says what to do. */}}
{{- define "tuning-operator.checkCrds" -}}
{{- if .Values.crds.install -}}
{{- $foreign := list -}}
{{- $owner := "kubectl or another tool" -}}
{{- range $path, $content := .Files.Glob "files/crd/*.yaml" -}}
{{- $name := ($content | toString | fromYaml).metadata.name -}}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- if and $found (not (include "tuning-operator.isOwn" (list $ $found))) -}}
{{- $foreign = append $foreign $name -}}
{{- $annotations := $found.metadata.annotations | default dict -}}
{{- with index $annotations "meta.helm.sh/release-name" -}}
{{- $owner = printf "the Helm release %s in namespace %s" . (index $annotations "meta.helm.sh/release-namespace") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $foreign -}}
{{- $crds := join " " $foreign -}}
{{- fail (printf "\n\nThe cluster has these CustomResourceDefinitions already, installed by %s:\n    %s\n\nLeave them as they are (they must be of this version):\n\n    --set crds.install=false\n\nor, where their owner is gone, let this release manage them from now on; studies are not touched:\n\n    kubectl label crd %s app.kubernetes.io/managed-by=Helm --overwrite\n    kubectl annotate crd %s meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s --overwrite\n" $owner $crds $crds $crds .Release.Name .Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Two operators that serve one namespace would both run each of its studies. */}}
{{- define "tuning-operator.checkOtherOperators" -}}
{{- $root := . -}}
{{- range (lookup "apps/v1" "Deployment" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $isOperator := and (eq (index $labels "app.kubernetes.io/name" | default "") "tuning-operator") (eq (index $labels "app.kubernetes.io/component" | default "") "operator") -}}
{{- if and $isOperator (not (include "tuning-operator.isOwn" (list $root .))) -}}
{{- include "tuning-operator.refuseOverlap" (list $root .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes [root, the other operator's Deployment]. */}}
{{- define "tuning-operator.refuseOverlap" -}}
{{- $root := index . 0 -}}
{{- $other := (index . 1).metadata -}}
{{- $annotations := $other.annotations | default dict -}}
{{- $theirs := splitList "," (index $annotations "tuning-operator.dev/watch-namespaces" | default "") | compact -}}
{{- $ours := $root.Values.watchNamespaces -}}
{{- $shared := list -}}
{{- range $ours -}}
{{- if has . $theirs -}}
{{- $shared = append $shared . -}}
{{- end -}}
{{- end -}}
{{- if or (empty $theirs) (empty $ours) $shared -}}
{{- $release := index $annotations "meta.helm.sh/release-name" -}}
{{- $where := ternary "all namespaces" (join ", " $theirs) (empty $theirs) -}}
{{- $remove := "" -}}
{{- if $release -}}
{{- $remove = printf "    helm uninstall %s --namespace %s\n\nor give each its own namespaces, for example:\n\n    helm upgrade %s CHART --namespace %s --reuse-values --set 'watchNamespaces={team-a}'\n    --set 'watchNamespaces={team-b}' --set crds.install=false   (here)\n" $release $other.namespace $release $other.namespace -}}
{{- else -}}
{{- $remove = printf "    kubectl delete deployments,services,configmaps,serviceaccounts --namespace %s --selector app.kubernetes.io/name=tuning-operator,app.kubernetes.io/managed-by=kustomize\n    kubectl delete clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings --selector app.kubernetes.io/name=tuning-operator,app.kubernetes.io/managed-by=kustomize\n" $other.namespace -}}
{{- end -}}
{{- fail (printf "\n\nAnother tuning-operator already serves %s (Deployment %s in namespace %s), and two would both run the same studies. Remove that one first; CustomResourceDefinitions and studies stay:\n\n%s" $where $other.name $other.namespace $remove) -}}
{{- end -}}
{{- end -}}
