package question

// Tags of machine images, and of the builder: the instance that an image is made from.
const (
	// ImageTag is on both. Its value is ImageBuilder or ImageReady.
	ImageTag = "kubeadm-aws/image"
	// ImageBaseTag is the image that the builder was launched from, as EC2's RunInstances accepts it.
	ImageBaseTag = "kubeadm-aws/image-base"
	// ImageKubernetesTag is the release of the Kubernetes packages in an image.
	ImageKubernetesTag = "kubeadm-aws/image-kubernetes"
	// ImageContentTag is a digest of the scripts and settings that prepared an image.
	ImageContentTag = "kubeadm-aws/image-content"

	ImageBuilder = "builder"
	ImageReady   = "image"
)

// What an ImageRequest asks for.
const (
	// ImageLaunch ends builders of earlier builds and launches one.
	ImageLaunch = "launch"
	// ImageSave stops the builder, makes an image of it, and removes the images that it replaces.
	ImageSave = "save"
	// ImageDiscard ends the builders of the cluster.
	ImageDiscard = "discard"
	// ImageList lists the images of the cluster.
	ImageList = "list"
)

// ImageRequest is about the images of one cluster.
type ImageRequest struct {
	// Do is one of the constants above.
	Do string `json:"do"`
	// Cluster and VPC are in the tags of everything that is made.
	Cluster string `json:"cluster"`
	VPC     string `json:"vpc"`
	// Builder is for ImageLaunch.
	Builder Builder `json:"builder,omitzero"`
	// Instance, Name, Tags and Keep are for ImageSave: the id of the builder, the name and further tags of the image, and
	// an image that stays.
	Instance string            `json:"instance,omitempty"`
	Name     string            `json:"name,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Keep     string            `json:"keep,omitempty"`
}

// Builder describes the instance to launch.
type Builder struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Subnet and Group are ids. The group has to admit SSH.
	Subnet string `json:"subnet"`
	Group  string `json:"group"`
	// Newest is the SSM parameter with the newest image of the vendor. Pinned is the image of the settings, or empty. A
	// pinned image that was made here is not built upon: its base is.
	Newest string `json:"newest"`
	Pinned string `json:"pinned,omitempty"`
	// RootGiB is the size of the root disk, and of the image.
	RootGiB  int32  `json:"rootGiB"`
	UserData string `json:"userData"`
}

// ImageAnswer is the answer to an ImageRequest.
type ImageAnswer struct {
	// Instance, Address and Base describe the builder that was launched. Base is for ImageBaseTag.
	Instance string `json:"instance,omitempty"`
	Address  string `json:"address,omitempty"`
	Base     string `json:"base,omitempty"`
	// Image is the id of the image that was made.
	Image string `json:"image,omitempty"`
	// Removed are the ids of the images that were removed. Left are those that could not be, with the reason.
	Removed []string `json:"removed,omitempty"`
	Left    []string `json:"left,omitempty"`
	// Images are the tags of the images by their id.
	Images map[string]map[string]string `json:"images,omitempty"`
}
