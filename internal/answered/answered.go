// Package answered remembers what a handler answered, for logs and counters.
package answered

import "net/http"

// Writer passes an answer on and remembers its status and size.
type Writer struct {
	http.ResponseWriter
	Status int   // 0 until something is written
	Bytes  int64 // of the body
}

// WriteHeader implements [http.ResponseWriter]. Informational answers (1xx) come
// before the one that counts.
func (w *Writer) WriteHeader(status int) {
	if w.Status < http.StatusOK {
		w.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *Writer) Write(b []byte) (int, error) {
	if w.Status < http.StatusOK {
		w.Status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.Bytes += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
