{{/* The bundled Prometheus's configuration. */}}
{{- define "tuning-operator.prometheusConfiguration" -}}
global:
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
scrape_configs:
  - job_name: tuning-operator
    # The operator's series about a study carry that study's namespace.
    honor_labels: true
    static_configs:
      - targets: ["{{ include "tuning-operator.fullname" . }}:8080"]
  {{- include "tuning-operator.trialJob" . | nindent 2 }}
{{- end -}}

{{/* The TCP port of the Prometheus that the operator asks. */}}
{{- define "tuning-operator.prometheusPort" -}}
{{- $url := include "tuning-operator.prometheusUrl" . | urlParse -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}
