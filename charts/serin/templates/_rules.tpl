{{/*
PromQL of the rollback rules. A version's answers in a window are split into good and bad ones, for each criterion:
failed, refused, or slower than the limit. A rule fires when the lower Wilson bound of the bad share is above the limit.
*/}}

{{/*
What a counter counted in a window, exactly: `increase` extrapolates, which would make evidence out of nothing.
The value a window ago is looked for up to one shortest window further back, so that a few failed scrapes change
nothing. A series that is new, or whose pod was restarted, counts from its first value in the window.
*/}}
{{- define "serin.counted" -}}
(
      last_over_time({{ .series }}[{{ .window }}])
    - last_over_time({{ .series }}[{{ .shortest }}] offset {{ .window }})
  unless
    resets({{ .series }}[{{ .window }}]) > 0
) >= 0
or
  last_over_time({{ .series }}[{{ .window }}]) - min_over_time({{ .series }}[{{ .window }}])
{{- end -}}

{{/*
The lower bound of a share of which k of n were seen: Wilson's score interval with continuity correction, at z
standard errors (Newcombe 1998, method 4). Unlike k/n it is far below the share while n is small: 5 of 30 give 4.1 %.
*/}}
{{- define "serin.lowerBound" -}}
(
    2 * {{ .k }} + {{ .z }}^2 - 1
  - {{ .z }} * sqrt({{ .z }}^2 - 2 - 1 / {{ .n }} + 4 * {{ .k }} * ({{ .n }} - {{ .k }} + 1) / {{ .n }})
)
/ (2 * ({{ .n }} + {{ .z }}^2))
{{- end -}}

{{/*
The thresholds of the revisions under test. Aggregated, so that a second operator, or one that was restarted under
another address, makes no second series.
*/}}
{{- define "serin.threshold" -}}
max by ({{ .by }}) (
  last_over_time(serin_threshold{ {{- .selector -}} }[{{ .memory }}])
)
{{- end -}}

{{/* Prometheus' own template: the value of a recorded series for the alert's revision. */}}
{{- define "serin.recorded" -}}
{{ "{{" }} with printf "{{ .record }}{namespace='%s',modeldeployment='%s',revision='%s',{{ .labels }}}" $labels.namespace $labels.modeldeployment $labels.revision | query }}
{{- "{{" }} . | first | value{{ with .format }} | {{ . }}{{ end }} }}{{ "{{" }} end }}
{{- end -}}

{{/* The end of every rollback alert's description: what was counted. */}}
{{- define "serin.countedSentence" -}}
{{- $labels := printf "criterion='%s',window='%s'" .criterion .window -}}
{{ include "serin.recorded" (dict "record" "revision:serin_bad_answers:count" "labels" $labels) }} of
{{ include "serin.recorded" (dict "record" "revision:serin_answers:count" "labels" $labels) }} answers in {{ .window }}.
{{- end -}}

{{- define "serin.rollbackRunbook" -}}
Serin gives this revision's traffic back to the stable version by itself. `kubectl describe mdep
{{ `-n {{ $labels.namespace }} {{ $labels.modeldeployment }}` }}` says what was seen; the failed pods stay for `failedRetention`, so
read their logs, then apply a mended image as a new version.
{{- end -}}
