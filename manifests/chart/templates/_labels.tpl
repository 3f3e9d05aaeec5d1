{{- /* Labels of an object; called with a dict of context and name. */ -}}
{{- define "labels" -}}
{{- with .name }}
app.kubernetes.io/name: {{ . }}
{{- end }}
app.kubernetes.io/part-of: backup-operator
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version }}
{{- end }}

{{- /* Labels that select a program's pods; called with its name. They never change. */ -}}
{{- define "selector" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: backup-operator
{{- end }}
