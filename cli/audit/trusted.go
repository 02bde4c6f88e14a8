// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	doorwardv1alpha1 "github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/record/verify"
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

// parseTrusted reads a signed note, or AuditLogs as kubectl prints them: one,
// a list, or several documents.
func parseTrusted(data []byte, source string) ([]verify.Trusted, error) {
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
			err = addTrusted(&all, raw, source)
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

func addTrusted(all *[]verify.Trusted, raw []byte, source string) error {
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
		*all = append(*all, trustedOf(&log, source))
	case "AuditLogList", "List":
		for _, item := range object.Items {
			// The items of a typed list name no kind.
			var log doorwardv1alpha1.AuditLog
			if err := json.Unmarshal(item, &log); err != nil {
				return err
			}
			if log.Kind == "" && object.Kind == "AuditLogList" || log.Kind == "AuditLog" {
				*all = append(*all, trustedOf(&log, source))
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

// trustedOf is what an AuditLog says of its log.
func trustedOf(log *doorwardv1alpha1.AuditLog, source string) verify.Trusted {
	return verify.Trusted{
		Log: log.Name, Note: log.Status.Checkpoint, Keys: log.Status.Keys, Rotations: log.Status.Rotations,
		Conflict: log.Status.State == doorwardv1alpha1.AuditLogConflict, Source: source,
	}
}
