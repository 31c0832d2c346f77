package coordtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/installed"
)

// zookeeperClasses are where Debian puts the server and its logging.
const zookeeperClasses = "/usr/share/java/zookeeper.jar"

// ZooKeeper starts a single server of ZooKeeper that keeps its data for the
// length of the test.
func ZooKeeper(t testing.TB) *Service {
	t.Helper()
	program := installed.Program(t, "java")
	address, dir := freeAddress(t), t.TempDir()
	_, port, _ := net.SplitHostPort(address)
	config := filepath.Join(dir, "zoo.cfg")
	// tickTime: sessions may then be as short as 400 ms.
	text := fmt.Sprintf("tickTime=200\nmaxClientCnxns=0\ndataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\nforceSync=no\n",
		filepath.Join(dir, "data"), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(&Service{
		Address: address, t: t, name: program, dir: dir, alive: ruok,
		args: []string{
			"-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", installed.File(t, zookeeperClasses),
			"org.apache.zookeeper.server.quorum.QuorumPeerMain", config,
		},
	})
}

// ruok asks a server of ZooKeeper whether it is well.
func ruok(address string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(c, "ruok"); err != nil {
		return false
	}
	answer, _ := io.ReadAll(c)
	return string(answer) == "imok"
}
