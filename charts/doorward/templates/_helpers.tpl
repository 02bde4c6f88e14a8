{{- /* Labels of every object. Those of the chart itself cannot be replaced. */ -}}
{{- define "doorward.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" "doorward"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_")
  "app.kubernetes.io/part-of" "doorward"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_")) -}}
{{- toYaml (merge $own (.Values.commonLabels | default dict)) -}}
{{- end -}}

{{- /* Labels of the manager's own objects: those and its component. */ -}}
{{- define "doorward.managerLabels" -}}
{{- toYaml (merge (fromYaml (include "doorward.selector" .)) (fromYaml (include "doorward.labels" .))) -}}
{{- end -}}

{{- /* Labels that select the manager's pods. They never change: a Deployment's selector cannot. */ -}}
{{- define "doorward.selector" -}}
app.kubernetes.io/name: doorward
app.kubernetes.io/component: manager
{{- end -}}

{{- /* Labels of a role for people. */ -}}
{{- define "doorward.roleLabels" -}}
{{- $labels := fromYaml (include "doorward.labels" .root) -}}
{{- if and .root.Values.rbac.aggregateToView (eq .role "doorward-requester") -}}
{{- $_ := set $labels "rbac.authorization.k8s.io/aggregate-to-view" "true" -}}
{{- end -}}
{{- if and .root.Values.rbac.aggregateToAdmin (has .role (list "doorward-auditor" "doorward-editor")) -}}
{{- $_ := set $labels "rbac.authorization.k8s.io/aggregate-to-admin" "true" -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{- /* The line annotations of an object's metadata, and what is under it: maps of a list, the former win. Nothing where all are empty. */ -}}
{{- define "doorward.annotations" -}}
{{- $all := dict -}}
{{- range . }}{{ $all = merge $all (. | default dict) }}{{ end -}}
{{- with $all }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "doorward.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default "doorward-manager" -}}
{{- end -}}

{{- /* An image of repository, tag and digest; the digest wins. A tag can have no +. */ -}}
{{- define "doorward.image" -}}
{{- $repository := .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .version) -}}
{{- end -}}
{{- end -}}

{{- define "doorward.managerImage" -}}
{{- include "doorward.image" (dict "image" .Values.image "version" (.Chart.AppVersion | replace "+" ".")) -}}
{{- end -}}

{{- /* The image of proxies: what is set for them, else the manager's. A tag or a repository of their own leaves the manager's digest behind. */ -}}
{{- define "doorward.proxyImage" -}}
{{- $own := .Values.proxy.image -}}
{{- $digest := $own.digest | default (ternary "" .Values.image.digest (or (not (empty $own.tag)) (not (empty $own.repository)))) -}}
{{- $image := dict
  "repository" ($own.repository | default .Values.image.repository)
  "tag" ($own.tag | default .Values.image.tag)
  "digest" $digest -}}
{{- include "doorward.image" (dict "image" $image "version" (.Chart.AppVersion | replace "+" ".")) -}}
{{- end -}}

{{- /* The file that the manager is given with --proxy-pod. Only what is set is in it. */ -}}
{{- define "doorward.proxyPod" -}}
{{- $proxy := .Values.proxy -}}
{{- $settings := dict -}}
{{- with $proxy.image.pullPolicy | default .Values.image.pullPolicy }}{{ $_ := set $settings "imagePullPolicy" . }}{{ end -}}
{{- with $proxy.imagePullSecrets | default .Values.imagePullSecrets }}{{ $_ := set $settings "imagePullSecrets" . }}{{ end -}}
{{- /* The manager finds its pods by labels of its own, and refuses to be given others. */ -}}
{{- $common := omit (.Values.commonLabels | default dict) "app.kubernetes.io/name" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" -}}
{{- with merge (dict) ($proxy.podLabels | default dict) $common }}{{ $_ := set $settings "labels" . }}{{ end -}}
{{- with merge (dict) ($proxy.podAnnotations | default dict) (.Values.commonAnnotations | default dict) }}{{ $_ := set $settings "annotations" . }}{{ end -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- with index $proxy $key }}{{ $_ := set $settings $key . }}{{ end -}}
{{- end -}}
{{- range $key := list "topologySpreadConstraints" "resources" -}}
{{- if not (kindIs "invalid" (index $proxy $key)) }}{{ $_ := set $settings $key (index $proxy $key) }}{{ end -}}
{{- end -}}
{{- with $proxy.extraEnv }}{{ $_ := set $settings "env" . }}{{ end -}}
{{- $_ := set $settings "logFormat" $proxy.logging.format -}}
{{- with $proxy.logging.level }}{{ $_ := set $settings "logLevel" . }}{{ end -}}
{{- with $proxy.tracing.clientParents }}{{ $_ := set $settings "traceClientParents" . }}{{ end -}}
{{- toYaml $settings -}}
{{- end -}}

{{- /* Refuses values that are each right and do not fit together. */ -}}
{{- define "doorward.validate" -}}
{{- if and (not .Values.namespaces) (not .Values.clusterWide) -}}
{{- fail "namespaces: name the namespaces of Connections, for instance --set 'namespaces={shop-access}'; or set clusterWide=true, which lets the manager read every Secret of the cluster" -}}
{{- end -}}
{{- if and .Values.namespaces .Values.clusterWide -}}
{{- fail "clusterWide: cannot be true while namespaces are listed: leave out one of the two" -}}
{{- end -}}
{{- if has .Release.Namespace .Values.namespaces -}}
{{- fail (printf "namespaces: %q is the operator's own: who may create pods in a namespace of Connections could use the operator's keys" .Release.Namespace) -}}
{{- end -}}
{{- if and .Values.createNamespaces .Values.clusterWide -}}
{{- fail "createNamespaces: there is nothing to create with clusterWide=true" -}}
{{- end -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- if and $budget.enabled (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable) -}}
{{- fail "podDisruptionBudget: without maxUnavailable and minAvailable no pod may be evicted, and no node be drained: set one of them, or enabled=false" -}}
{{- end -}}
{{- if and .Values.login.enabled (not .Values.login.url) -}}
{{- fail "login.url: say by which https URL callers reach the login portal, for instance https://login.example.com" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "serviceMonitor.enabled: needs metrics.service.enabled" -}}
{{- end -}}
{{- range $key, $_ := .Values.proxy.podLabels -}}
{{- if or (has $key (list "app.kubernetes.io/name" "app.kubernetes.io/component" "app.kubernetes.io/managed-by")) (regexMatch "^([^/]*\\.)?doorward\\.dev/" $key) -}}
{{- fail (printf "proxy.podLabels: %q is set by the manager, which finds its pods by it: leave it out" $key) -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name: name the ServiceAccount that is there already, or set serviceAccount.create=true" -}}
{{- end -}}
{{- end -}}

{{- /* Which namespaces of Connections the manager may reach into. */ -}}
{{- define "doorward.connectionNamespaces" -}}
{{- if .Values.networkPolicy.directWay.namespaceLabels -}}
namespaceSelector:
  matchLabels:
    {{- toYaml .Values.networkPolicy.directWay.namespaceLabels | nindent 4 }}
{{- else if .Values.clusterWide -}}
namespaceSelector: {}
{{- else -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
        {{- toYaml .Values.namespaces | nindent 8 }}
{{- end }}
{{- end }}
