package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Names of the sockets that systemd may open for us (FileDescriptorName= of a
// socket unit). A server that restarts then keeps its sockets, and who connects
// meanwhile waits instead of being refused.
const (
	publicSocket = "public"
	manageSocket = "manage"
)

// firstActivated is the number of the first descriptor that is handed over
// (sd_listen_fds(3)).
const firstActivated = 3

// sockets are listeners that were handed over, by name.
type sockets map[string]net.Listener

// activated reads what sd_listen_fds(3) describes: LISTEN_PID, LISTEN_FDS and
// LISTEN_FDNAMES. It is empty when nothing was handed over to this process.
func activated(getenv func(string) string, first int) (sockets, error) {
	given := sockets{}
	if pid, err := strconv.Atoi(getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return given, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 16 {
		return nil, errors.New("server: LISTEN_FDS is not a small number")
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		var name string
		if i < len(names) {
			name = names[i]
		}
		file := os.NewFile(uintptr(first+i), name)
		ln, err := net.FileListener(file)
		err = errors.Join(err, file.Close()) // the listener has a descriptor of its own
		if err != nil {
			return nil, errors.Join(fmt.Errorf("server: socket %q that was handed over: %w", name, err), given.close())
		}
		if given[name] != nil {
			return nil, errors.Join(fmt.Errorf("server: two sockets that were handed over are named %q", name), ln.Close(), given.close())
		}
		given[name] = ln
	}
	return given, nil
}

// take is the socket of that name, or a new one at the address.
func (s sockets) take(ctx context.Context, name, address string) (net.Listener, error) {
	if ln := s[name]; ln != nil {
		delete(s, name)
		return ln, nil
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

func (s sockets) close() error {
	var errs []error
	for _, ln := range s {
		errs = append(errs, ln.Close())
	}
	return errors.Join(errs...)
}
