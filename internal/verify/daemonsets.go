package verify

import (
	"context"
	"slices"
)

// DaemonSetImages returns the container images that the DaemonSets of a cluster start on its nodes, sorted.
func DaemonSetImages(ctx context.Context, api *API) ([]string, error) {
	type container struct {
		Image string `json:"image"`
	}
	var list struct {
		Items []struct {
			Spec struct {
				Template struct {
					Spec struct {
						Containers     []container `json:"containers"`
						InitContainers []container `json:"initContainers"`
					} `json:"spec"`
				} `json:"template"`
			} `json:"spec"`
		} `json:"items"`
	}
	if err := api.get(ctx, "/apis/apps/v1/daemonsets", &list); err != nil {
		return nil, err
	}
	var images []string
	for _, set := range list.Items {
		pod := set.Spec.Template.Spec
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			images = append(images, c.Image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}
