{{- /* What both monitors let one choose of a scrape. */ -}}
{{- define "doorward.scrape" -}}
{{- range $key := list "interval" "scrapeTimeout" "relabelings" "metricRelabelings" }}
{{- with index $ $key }}
{{ toYaml (dict $key .) }}
{{- end }}
{{- end }}
{{- end -}}
