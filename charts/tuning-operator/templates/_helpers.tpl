{{/* The name of this release's objects; cut so that the longest suffix fits into 63 characters. */}}
{{- define "tuning-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
The name of this release's objects that belong to no namespace. An operator for all namespaces is alone in its cluster;
operators for some of them may have the same release name in different namespaces.
*/}}
{{- define "tuning-operator.clusterName" -}}
{{- include "tuning-operator.fullname" . -}}
{{- if .Values.watchNamespaces -}}-{{ .Release.Namespace }}{{- end -}}
{{- end -}}

{{- define "tuning-operator.prometheusName" -}}
{{ include "tuning-operator.fullname" . }}-prometheus
{{- end -}}

{{- define "tuning-operator.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "tuning-operator.fullname" .) }}
{{- end -}}

{{/* What selects a component's pods. Takes [root, component]. */}}
{{- define "tuning-operator.selectorLabels" -}}
app.kubernetes.io/name: tuning-operator
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes [root, component]. */}}
{{- define "tuning-operator.labels" -}}
{{ include "tuning-operator.selectorLabels" . }}
app.kubernetes.io/part-of: tuning-operator
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Takes [root, an image value]. */}}
{{- define "tuning-operator.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tuning-operator.prometheusUrl" -}}
{{- if .Values.prometheus.bundled -}}
http://{{ include "tuning-operator.prometheusName" . }}:9090
{{- else -}}
{{ .Values.prometheus.url }}
{{- end -}}
{{- end -}}

{{/* The scrape job of the trials: what the bundled Prometheus gets, and what NOTES.txt prints for an existing one. */}}
{{- define "tuning-operator.trialJob" -}}
{{- $job := .Files.Get "files/scraping/trials.yaml" | fromYaml -}}
{{- if .Values.watchNamespaces -}}
{{- $_ := set (first $job.kubernetes_sd_configs) "namespaces" (dict "names" .Values.watchNamespaces) -}}
{{- end -}}
{{- toYaml (list $job) -}}
{{- end -}}

{{/* Where a pod may run, for the operator and the bundled Prometheus alike. */}}
{{- define "tuning-operator.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
A service account's rights: cluster-wide, or by one Role in each watched namespace.
Takes [root, component, account, suffix of the names, rules].
*/}}
{{- define "tuning-operator.rights" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $account := index . 2 -}}
{{- $suffix := index . 3 -}}
{{- $rules := index . 4 -}}
{{- $where := list (dict "prefix" "Cluster" "name" (printf "%s%s" (include "tuning-operator.clusterName" $root) $suffix)) -}}
{{- if $root.Values.watchNamespaces -}}
{{- $where = list -}}
{{- range $root.Values.watchNamespaces -}}
{{- $name := printf "%s-%s%s" (include "tuning-operator.fullname" $root) $root.Release.Namespace $suffix -}}
{{- $where = append $where (dict "prefix" "" "name" $name "namespace" .) -}}
{{- end -}}
{{- end -}}
{{- range $where }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .prefix }}Role
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "tuning-operator.labels" (list $root $component) | nindent 4 }}
rules: {{- toYaml $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .prefix }}RoleBinding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "tuning-operator.labels" (list $root $component) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .prefix }}Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end -}}
