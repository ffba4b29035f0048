{{- define "serin.registry.fullname" -}}
{{- printf "%s-registry" (include "serin.fullname" . | trunc 43 | trimSuffix "-") -}}
{{- end -}}

{{- define "serin.registry.selector" -}}
app.kubernetes.io/name: serin
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: registry
{{- end -}}

{{- define "serin.registry.labels" -}}
{{ include "serin.registry.selector" . }}
{{ include "serin.commonLabels" . }}
{{- end -}}

{{- define "serin.registry.serviceAccount" -}}
{{- .Values.registry.serviceAccount.name | default (include "serin.registry.fullname" .) -}}
{{- end -}}

{{- define "serin.registry.jwtSecret" -}}
{{- .Values.registry.auth.existingSecret | default (printf "%s-jwt" (include "serin.registry.fullname" .)) -}}
{{- end -}}

{{/* Whether anything is kept on the pod's volume: SQLite, or a folder of artifacts. */}}
{{- define "serin.registry.keeps" -}}
{{- if or (not .Values.registry.database.existingSecret) (not .Values.registry.artifacts.location) -}}yes{{- end -}}
{{- end -}}

{{/* The file of one key of a mounted Secret, as a setting. */}}
{{- define "serin.registry.file" -}}
- {name: SERIN_REGISTRY_{{ .setting }}_FILE, value: /run/serin/{{ .volume }}/{{ .key }}}
{{- end -}}

{{/* What the registry may do with one namespace's objects, and the namespace's labels, which say whose it is. */}}
{{- define "serin.registry.rules" -}}
- apiGroups: [serving.serin.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end -}}

{{/* The Secrets that are mounted under /run/serin, each by the name of its folder. */}}
{{- define "serin.registry.secrets" -}}
{{- $registry := .Values.registry -}}
{{- with $registry.database.existingSecret }}
database: {{ . }}
{{- end }}
{{- if $registry.artifacts.location }}
{{- with $registry.artifacts.existingSecret }}
store: {{ . }}
{{- end }}
{{- end }}
{{- with $registry.artifacts.encryptionSecret }}
encryption: {{ . }}
{{- end }}
{{- if eq $registry.auth.algorithm "HS256" }}
jwt: {{ include "serin.registry.jwtSecret" . }}
{{- end }}
{{- with $registry.tls.existingSecret }}
tls: {{ . }}
{{- end }}
{{- end -}}
