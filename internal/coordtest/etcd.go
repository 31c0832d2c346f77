package coordtest

import (
	"context"
	"net/http"
	"testing"

	"github.com/jetonhq/jeton/internal/installed"
)

// Etcd starts a single etcd that keeps its data for the length of the test.
func Etcd(t testing.TB) *Service {
	t.Helper()
	program := installed.Program(t, "etcd")
	clients, peers, dir := freeAddress(t), freeAddress(t), t.TempDir()
	return run(&Service{
		Address: clients, t: t, name: program, dir: dir,
		args: []string{
			"--data-dir", dir, "--name", "one", "--log-level", "error", "--logger", "zap",
			"--listen-client-urls", "http://" + clients, "--advertise-client-urls", "http://" + clients,
			"--listen-peer-urls", "http://" + peers, "--initial-advertise-peer-urls", "http://" + peers,
			"--initial-cluster", "one=http://" + peers, "--unsafe-no-fsync",
		},
		alive: func(address string) bool {
			request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/health", nil)
			if err != nil {
				return false
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return false
			}
			_ = response.Body.Close()
			return response.StatusCode == http.StatusOK
		},
	})
}
