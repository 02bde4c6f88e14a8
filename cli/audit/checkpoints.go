// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/yaml"

	doorwardv1alpha1 "github.com/doorward/doorward/api/v1alpha1"
)

// pageSize is how many objects are asked for at once.
const pageSize = 500

func newCheckpoints(streams genericiooptions.IOStreams) *cobra.Command {
	cluster := genericclioptions.NewConfigFlags(true)
	allNamespaces, output := false, "yaml"
	cmd := &cobra.Command{
		Use:   "checkpoints",
		Short: "Print what the witness holds of each log, to be kept elsewhere",
		Long: `Print the AuditLogs of a namespace: for each log the newest checkpoint, signed by
the log and by the witness, and the log's keys. Kept where those who run the cluster
cannot change it, the output proves later that no log was cut, rolled back or
replaced since: give it to "kubectl doorward audit verify --checkpoint".`,
		Example: `  # Keep today's checkpoints of all namespaces
  kubectl doorward audit checkpoints -A > witness-$(date +%F).yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "yaml" && output != "json" {
				return fmt.Errorf("output format not known: %q: one of (yaml, json)", output)
			}
			logs, err := fetch(cmd.Context(), cluster, allNamespaces)
			if err != nil {
				return err
			}
			if len(logs) == 0 {
				return fmt.Errorf("no AuditLog found: check the namespace, or say -A: a log has one when its proxy has shown the witness a checkpoint")
			}
			text, err := export(logs, output)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(text)
			return err
		},
	}
	cmd.Flags().BoolVarP(&allNamespaces, "all-namespaces", "A", false, "Print those of all namespaces.")
	cmd.Flags().StringVarP(&output, "output", "o", output, "Output format. One of: (yaml, json).")
	cluster.AddFlags(cmd.Flags())
	return cmd
}

// export is the list of AuditLogs without what only the API server needs.
func export(logs []doorwardv1alpha1.AuditLog, format string) ([]byte, error) {
	list := doorwardv1alpha1.AuditLogList{Items: logs}
	list.SetGroupVersionKind(doorwardv1alpha1.GroupVersion.WithKind("AuditLogList"))
	for i := range list.Items {
		item := &list.Items[i]
		item.SetGroupVersionKind(doorwardv1alpha1.GroupVersion.WithKind("AuditLog"))
		item.ObjectMeta = metav1.ObjectMeta{
			Name: item.Name, Namespace: item.Namespace, UID: item.UID, CreationTimestamp: item.CreationTimestamp,
			ResourceVersion: item.ResourceVersion,
		}
	}
	if format == "json" {
		text, err := json.MarshalIndent(&list, "", "  ")
		return append(text, '\n'), err
	}
	return yaml.Marshal(&list)
}

// fetch reads the AuditLogs of the cluster that the flags say.
func fetch(ctx context.Context, flags *genericclioptions.ConfigFlags, all bool) ([]doorwardv1alpha1.AuditLog, error) {
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := doorwardv1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	result := resource.NewBuilder(flags).
		WithScheme(scheme, doorwardv1alpha1.GroupVersion).
		NamespaceParam(namespace).DefaultNamespace().AllNamespaces(all).
		ResourceTypeOrNameArgs(true, "auditlogs."+doorwardv1alpha1.GroupVersion.Group).
		RequestChunksOf(pageSize).Latest().Flatten().Do()
	infos, err := result.Infos()
	if err != nil {
		return nil, fmt.Errorf("cannot read AuditLogs: %w", err)
	}
	var logs []doorwardv1alpha1.AuditLog
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		log, ok := info.Object.(*doorwardv1alpha1.AuditLog)
		if !ok {
			return nil, fmt.Errorf("cannot read AuditLogs: the cluster returned a %T", info.Object)
		}
		logs = append(logs, *log)
	}
	return logs, nil
}
