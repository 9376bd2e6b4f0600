package engine

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/testenv"
)

// model answers every check with an input of its own, and nothing else.
type model struct{ Provider }

func (model) Check(*Request) (Checked, error) {
	return Checked{Defaults: props.Map{"answeredBy": "the model"}}, nil
}

const (
	configMap = "urn:pulumi:dev::project::kubernetes:core/v1:ConfigMap::settings"
	ingress   = "urn:pulumi:dev::project::kubernetes:networking.k8s.io/v1:Ingress::front"
)

// TestAProgramAnswersInPlaceOfTheModel asks Pulumi's own provider of Kubernetes through the server of the model.
func TestAProgramAnswersInPlaceOfTheModel(t *testing.T) {
	path := testenv.NeedKubernetes(t, "pulumi-resource-kubernetes")
	// A provider ends when the engine, whose address it gets, does not answer.
	engine, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	go func() { _ = grpc.NewServer().Serve(engine) }()
	var started []*exec.Cmd
	// Nothing writes to the pipe. A read of alive returns the end of the file when the first process has exited.
	alive, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	servers := New(Hooks{})
	defer servers.Stop()
	err = servers.Serve("kubernetes", model{}, &Program{
		Models: func(urn resource.URN) bool { return urn.Type().Name() == "Ingress" },
		Command: func(address string) *exec.Cmd {
			c := exec.Command(path, address)
			c.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
			if len(started) == 0 {
				c.ExtraFiles = []*os.File{held}
			}
			started = append(started, c)
			return c
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	answeredBy := func(p pulumirpc.ResourceProviderClient, urn string) string {
		news, err := structpb.NewStruct(map[string]any{"metadata": map[string]any{"name": "a"}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urn, News: news, RandomSeed: make([]byte, 32)})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetInputs().AsMap()["answeredBy"].(string)
	}
	connect := func() (*grpc.ClientConn, pulumirpc.ResourceProviderClient) {
		address := "127.0.0.1" + strings.TrimPrefix(servers.Addresses(), "kubernetes")
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		p := pulumirpc.NewResourceProviderClient(conn)
		if _, err := p.Attach(t.Context(), &pulumirpc.PluginAttach{Address: engine.Addr().String()}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: &structpb.Struct{}}); err != nil {
			t.Fatal(err)
		}
		return conn, p
	}
	first, p := connect()
	held.Close()
	_, _ = connect()
	if len(started) != 2 || started[0].Process.Pid == started[1].Process.Pid {
		t.Fatalf("two connections have %d processes", len(started))
	}
	if by := answeredBy(p, ingress); by != "the model" {
		t.Errorf("the Ingress is checked by %s", by)
	}
	if info, err := p.GetPluginInfo(t.Context(), nil); err != nil || info.GetVersion() != newest {
		t.Errorf("the engine sees version %q, %v", info.GetVersion(), err)
	}
	request := &pulumirpc.CheckRequest{Urn: configMap, News: &structpb.Struct{}, RandomSeed: make([]byte, 32)}
	got, err := p.Check(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, modelled := got.GetInputs().AsMap()["answeredBy"]; modelled {
		t.Error("the ConfigMap is checked by the model")
	}
	first.Close()
	if err := alive.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := alive.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the process outlives its connection: %v", err)
	}
}
