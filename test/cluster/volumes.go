// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// provisionerName is what the StorageClass "standard" names.
	provisionerName = "cluster.test.doorward.dev/folder"
	// volumeInterval is how often claims and volumes are looked at.
	volumeInterval = 500 * time.Millisecond
)

// provisioner makes a local volume, a folder of the node, for each claim of the StorageClass,
// and removes it when the claim has gone. Local volumes get a pod's fsGroup, as a cloud's do;
// nothing bounds their size.
type provisioner struct {
	client kubernetes.Interface
	node   string
	root   string // folder of the volumes
}

// startProvisioner works until the cluster ends.
func (c *Cluster) startProvisioner(context.Context) error {
	config, err := c.RestConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	p := &provisioner{client: client, node: c.Name, root: c.path("volumes")}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx) })
	c.stops = append(c.stops, func() error {
		cancel()
		running.Wait()
		return nil
	})
	return nil
}

// run looks at claims and volumes again and again: what fails, be it that the API server is
// away, succeeds later.
func (p *provisioner) run(ctx context.Context) {
	ticker := time.NewTicker(volumeInterval)
	defer ticker.Stop()
	for {
		_ = errors.Join(p.provision(ctx), p.reclaim(ctx))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// provision makes the volumes that claims wait for.
func (p *provisioner) provision(ctx context.Context) error {
	claims, err := p.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for i := range claims.Items {
		claim := &claims.Items[i]
		waits := claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil
		if waits && claim.Annotations["volume.kubernetes.io/storage-provisioner"] == provisionerName {
			errs = append(errs, p.make(ctx, claim))
		}
	}
	return errors.Join(errs...)
}

// make makes the folder and the volume of a claim.
func (p *provisioner) make(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(p.root, name)
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make a volume: %w", err)
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisionerName},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Spec.Resources.Requests,
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			// A local volume has to say which node has it.
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.node},
				}}}},
			}},
		},
	}
	if _, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("cannot make a volume: %w", err)
	}
	return nil
}

// reclaim removes the volumes whose claims have gone, and what was in them.
func (p *provisioner) reclaim(ctx context.Context) error {
	volumes, err := p.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for i := range volumes.Items {
		volume := &volumes.Items[i]
		ours := volume.Annotations["pv.kubernetes.io/provisioned-by"] == provisionerName
		if !ours || volume.Status.Phase != corev1.VolumeReleased || volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.root, volume.Name)); err != nil {
			errs = append(errs, fmt.Errorf("cannot remove a volume: %w", err))
			continue
		}
		err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("cannot remove a volume: %w", err))
		}
	}
	return errors.Join(errs...)
}
