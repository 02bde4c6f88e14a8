{{- define "doorward-crds.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" "doorward"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_")
  "app.kubernetes.io/part-of" "doorward"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_")) -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{- define "doorward-crds.annotations" -}}
{{- $own := dict -}}
{{- if .Values.keep }}{{ $_ := set $own "helm.sh/resource-policy" "keep" }}{{ end -}}
{{- with merge $own .Values.commonAnnotations }}{{ toYaml . }}{{ end -}}
{{- end -}}
