package aws

import (
	"errors"
	"fmt"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Image is a machine image of Limits.Images.
type Image struct {
	// Architecture is x86_64 if it is empty.
	Architecture string
	// RootGiB is the size of the root disk, 8 if it is 0.
	RootGiB int
}

// getAmi finds an image by its id. Without Limits.Images the region has every image.
func getAmi(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	ids := filterValues(args, "image-id")
	if len(ids) != 1 {
		return nil, errors.New("the sandbox finds an image by its id only")
	}
	image, known := p.Limits.Images[ids[0]]
	tags := map[string]any{}
	p.Account.Lock()
	built := p.Account.Find(amiType, ids[0])
	p.Account.Unlock()
	if built != nil {
		known, image.RootGiB = true, config.MinVolumeSize
		for key, value := range built.Tags() {
			tags[key] = value
		}
	}
	if !known && p.Limits.Images != nil {
		//lint:ignore ST1005 this is the message of the real provider
		return nil, errors.New("Your query returned no results. Please change your search criteria and try again.")
	}
	root := map[string]any{"deviceName": "/dev/sda1", "noDevice": "", "virtualName": "",
		"ebs": map[string]any{"volume_size": fmt.Sprint(max(image.RootGiB, 8)), "volume_type": "gp3"}}
	return props.Map{"id": ids[0], "imageId": ids[0], "architecture": p.Limits.imageArchitecture(ids[0]), "rootDeviceType": "ebs",
		"rootDeviceName": "/dev/sda1", "platform": "", "blockDeviceMappings": []any{root}, "state": "available",
		"tags": tags}, nil
}

// getRecords lists the records of a zone, with the final dot of Route 53.
func getRecords(p *Provider, _ *engine.Request, args props.Map) (props.Map, error) {
	a := p.Account
	a.Lock()
	defer a.Unlock()
	zone := a.Find(zoneType, args.Str("zoneId"))
	if zone == nil {
		return nil, fmt.Errorf("NoSuchHostedZone: %s", args.Str("zoneId"))
	}
	sets := []any{}
	for _, o := range a.Where(func(o *store.Object) bool {
		return o.Type == recordType && o.Inputs.Str("zoneId") == zone.ID
	}) {
		sets = append(sets, map[string]any{"name": recordIn(zone, o.Inputs.Str("name")) + ".", "type": o.Inputs.Str("type")})
	}
	return props.Map{"id": zone.ID, "zoneId": zone.ID, "resourceRecordSets": sets}, nil
}
