{{- define "serin.fullname" -}}
{{- if contains "serin" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-serin" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "serin.selector" -}}
app.kubernetes.io/name: serin
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "serin.labels" -}}
{{ include "serin.selector" . }}
{{ include "serin.commonLabels" . }}
{{- end -}}

{{- define "serin.commonLabels" -}}
app.kubernetes.io/part-of: serin
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "serin.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "serin.fullname" .) -}}
{{- end -}}

{{- define "serin.webhookSecret" -}}
{{- .Values.webhook.existingSecret | default (printf "%s-webhook" (include "serin.fullname" .)) -}}
{{- end -}}

{{/* An image by digest or tag, of a block with repository, tag and digest. */}}
{{- define "serin.imageName" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .version) -}}
{{- end -}}
{{- end -}}

{{- define "serin.image" -}}
{{- include "serin.imageName" (dict "image" .Values.image "version" .Chart.AppVersion) -}}
{{- end -}}

{{/* What the operator may do with one namespace's objects. No Secrets, and no wildcard. */}}
{{- define "serin.namespaceRules" -}}
- apiGroups: [serving.serin.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [serving.serin.dev]
  resources: [modeldeployments/status]
  verbs: [patch]
# Children are written by server-side apply: a patch, and create where there is none yet.
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* A duration such as 90s, 2m or 1h in seconds. */}}
{{- define "serin.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- $unit := regexFind "[smh]$" . -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600) $unit) -}}
{{- end -}}
