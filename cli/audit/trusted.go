// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	doorwardv1alpha1 "github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/record/verify"
	"github.com/doorward/doorward/proxy/witness"
)

// maxTrust bounds a file of trusted checkpoints in bytes.
const maxTrust = 64 << 20

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxTrust+1))
	if err == nil && len(data) > maxTrust {
		err = fmt.Errorf("%q has more than %d bytes", path, maxTrust)
	}
	return data, err
}

// Trust says which checkpoints records are held against.
type Trust struct {
	cluster       *genericclioptions.ConfigFlags
	allNamespaces bool
	witness       bool
	checkpoints   []string
	witnessKey    string
}

// NewTrust makes a Trust whose witness is that of the cluster that the flags say.
func NewTrust(flags *genericclioptions.ConfigFlags) *Trust { return &Trust{cluster: flags} }

// AddFlags adds the flags.
func (o *Trust) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.checkpoints, "checkpoint", nil, "File with a trusted checkpoint: a signed note, or AuditLogs in YAML or JSON. May be given several times.")
	flags.BoolVar(&o.witness, "witness", false, "Take the checkpoints that the cluster's witness holds.")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With --witness, take those of all namespaces.")
	flags.StringVar(&o.witnessKey, "witness-key", "", "Key that must have signed each trusted checkpoint: a note verifier, a file with it, or the ConfigMap doorward-witness in YAML or JSON.")
}

// Given says whether any of the flags is.
func (o *Trust) Given() bool { return o.witness || len(o.checkpoints) > 0 || o.witnessKey != "" }

// Complete reads what the flags say into the options of a verification.
func (o *Trust) Complete(ctx context.Context, options *verify.Options) (err error) {
	if options.Witness, err = witnessKeys(o.witnessKey); err != nil {
		return err
	}
	options.Trusted, err = o.trusted(ctx, options.Witness, options.RequireAll)
	return err
}

// trusted are the checkpoints to hold the records against.
func (o *Trust) trusted(ctx context.Context, keys note.Verifiers, requireAll bool) ([]verify.Trusted, error) {
	var all []verify.Trusted
	for _, path := range o.checkpoints {
		data, err := readBounded(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read checkpoint: %w", err)
		}
		trusted, err := parseTrusted(data, path, keys)
		if err != nil {
			return nil, err
		}
		all = append(all, trusted...)
	}
	if o.witness {
		logs, err := fetch(ctx, o.cluster, o.allNamespaces)
		if err != nil {
			return nil, err
		}
		for i := range logs {
			if err := addLog(&all, &logs[i], "the cluster", keys); err != nil {
				return nil, fmt.Errorf("trusted checkpoint not usable: %w", err)
			}
		}
	}
	if len(all) == 0 && (o.witnessKey != "" || requireAll || o.witness) {
		return nil, errors.New("no trusted checkpoint: there is no AuditLog where the witness's are: check the namespace, or give --checkpoint")
	}
	return all, nil
}

// parseTrusted reads a signed note, or AuditLogs as kubectl prints them: one,
// a list, or several documents.
func parseTrusted(data []byte, source string, keys note.Verifiers) ([]verify.Trusted, error) {
	if bytes.HasPrefix(data, []byte(tree.OriginPrefix)) {
		// Line feeds at the end get lost, or come to it, when text is copied.
		return []verify.Trusted{{Note: string(bytes.TrimRight(data, "\r\n")) + "\n", Source: source}}, nil
	}
	var all []verify.Trusted
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var raw []byte
		if err == nil {
			raw, err = yaml.YAMLToJSON(document)
		}
		if err == nil {
			err = addTrusted(&all, raw, source, keys)
		}
		if err != nil {
			return nil, fmt.Errorf("trusted checkpoint not usable: %q is no signed note and holds no AuditLogs: %w", source, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("trusted checkpoint not usable: %q holds no AuditLog: print them with kubectl doorward audit checkpoints", source)
	}
	return all, nil
}

func addTrusted(all *[]verify.Trusted, raw []byte, source string, keys note.Verifiers) error {
	var object struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	switch object.Kind {
	case "AuditLog":
		var log doorwardv1alpha1.AuditLog
		if err := json.Unmarshal(raw, &log); err != nil {
			return err
		}
		return addLog(all, &log, source, keys)
	case "AuditLogList", "List":
		for _, item := range object.Items {
			// The items of a typed list name no kind.
			var log doorwardv1alpha1.AuditLog
			if err := json.Unmarshal(item, &log); err != nil {
				return err
			}
			if log.Kind == "" && object.Kind == "AuditLogList" || log.Kind == "AuditLog" {
				if err := addLog(all, &log, source, keys); err != nil {
					return err
				}
			}
		}
	case "":
		if len(bytes.TrimSpace(raw)) > 0 && !bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
			return errors.New("an object without a kind")
		}
	default:
		return fmt.Errorf("an object of kind %q", object.Kind)
	}
	return nil
}

// addLog adds what an AuditLog says of its log. Where the witness's keys are
// known, one of them must have certified whose log it is.
func addLog(all *[]verify.Trusted, log *doorwardv1alpha1.AuditLog, source string, keys note.Verifiers) error {
	if keys != nil && (log.Status.Certificate != "" || log.Status.Checkpoint != "") {
		c, err := witness.OpenCertificate(log.Status.Certificate, keys)
		if err != nil {
			return fmt.Errorf("AuditLog %s/%s: %w", log.Namespace, log.Name, err)
		}
		if c.Log != log.Name || len(log.Status.Keys) == 0 || c.Key != log.Status.Keys[0] || c.Namespace != log.Namespace ||
			c.Connection != log.Spec.ConnectionRef.Name || c.Instance != log.Spec.Instance {
			return fmt.Errorf("AuditLog %s/%s: the witness has certified it for instance %q of Connection %s/%s", log.Namespace, log.Name, c.Instance, c.Namespace, c.Connection)
		}
	}
	reason := ""
	if c := meta.FindStatusCondition(log.Status.Conditions, doorwardv1alpha1.ConditionConsistent); c != nil && c.Status == metav1.ConditionFalse {
		reason = c.Reason
	}
	*all = append(*all, verify.Trusted{
		Log: log.Name, Note: log.Status.Checkpoint, Keys: log.Status.Keys, Rotations: log.Status.Rotations,
		Conflict: log.Status.State == doorwardv1alpha1.AuditLogConflict || reason != "", Reason: reason, Source: source,
	})
	return nil
}

// witnessKeys are the keys of a witness: one given itself or in a file, or all
// that the ConfigMap in which the witness publishes them connects with its
// newest. Nil where none is given.
func witnessKeys(given string) (note.Verifiers, error) {
	if given == "" {
		return nil, nil
	}
	data, err := readBounded(given)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data = []byte(given)
	case err != nil:
		return nil, fmt.Errorf("cannot read witness key: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if verifier, err := note.NewVerifier(text); err == nil {
		return note.VerifierList(verifier), nil
	}
	var published corev1.ConfigMap
	if err := yaml.Unmarshal(data, &published); err != nil || published.Kind != "ConfigMap" {
		return nil, fmt.Errorf("witness key not usable: %q is no note verifier, no file with one, and no ConfigMap: kubectl get configmap %s -o yaml in the operator's namespace prints it", given, witness.KeysConfigMapName)
	}
	chain, err := witness.DecodeChain([]byte(published.Data[witness.KeysChain]))
	if err != nil {
		return nil, fmt.Errorf("witness key not usable: %q: %w", given, err)
	}
	keys, err := chain.Verifiers(published.Data[witness.KeysVerifier])
	if err != nil {
		return nil, fmt.Errorf("witness key not usable: %q: %w", given, err)
	}
	return keys, nil
}
