// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
)

// core asks for the few kinds of Kubernetes' own that a proxy has to do with.
// client-go's clientset would be as good, but it registers every kind of every
// API group, which is a quarter of the proxy's size.
type core struct {
	client rest.Interface
	codec  runtime.ParameterCodec
}

func newCore(config *rest.Config, client *http.Client) (*core, error) {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.ConfigMap{}, &corev1.Event{}, &corev1.Secret{}, &corev1.SecretList{})
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	scheme.AddKnownTypes(authenticationv1.SchemeGroupVersion, &authenticationv1.TokenRequest{}, &authenticationv1.TokenReview{})
	metav1.AddToGroupVersion(scheme, authenticationv1.SchemeGroupVersion)
	config = rest.CopyConfig(config)
	group := corev1.SchemeGroupVersion
	config.GroupVersion, config.APIPath = &group, "/api"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	requests, err := rest.RESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return &core{client: requests, codec: runtime.NewParameterCodec(scheme)}, nil
}

func (c *core) configMaps(namespace string) *gentype.Client[*corev1.ConfigMap] {
	return gentype.NewClient("configmaps", c.client, c.codec, namespace, func() *corev1.ConfigMap { return &corev1.ConfigMap{} })
}

func (c *core) events(namespace string) *gentype.Client[*corev1.Event] {
	return gentype.NewClient("events", c.client, c.codec, namespace, func() *corev1.Event { return &corev1.Event{} })
}

func (c *core) secrets(namespace string) *gentype.ClientWithList[*corev1.Secret, *corev1.SecretList] {
	return gentype.NewClientWithList("secrets", c.client, c.codec, namespace,
		func() *corev1.Secret { return &corev1.Secret{} },
		func() *corev1.SecretList { return &corev1.SecretList{} })
}

// createToken asks for a token of a ServiceAccount.
func (c *core) createToken(ctx context.Context, namespace, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	answer := &authenticationv1.TokenRequest{}
	err := c.client.Post().Namespace(namespace).Resource("serviceaccounts").Name(account).SubResource("token").
		Body(request).Do(ctx).Into(answer)
	return answer, err
}
