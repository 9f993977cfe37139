package parquet

import "sync"

// idle keeps writers for the next files: fresh memory is dear. They hold memory that
// no budget knows of, so only so much may wait. It is safe for concurrent use.
type idle struct {
	mu      sync.Mutex
	writers []*writer
	bytes   int64
}

const (
	// maxIdleBytes bounds the memory of all writers that wait.
	maxIdleBytes = 32 << 20
	maxIdle      = 64
)

// take returns the writer that was put last, or nil if there is none.
func (i *idle) take() *writer {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := len(i.writers) - 1
	if n < 0 {
		return nil
	}
	w := i.writers[n]
	i.writers[n] = nil
	i.writers = i.writers[:n]
	i.bytes -= w.buffered()
	return w
}

// put takes a writer that was reset, unless enough of them wait.
func (i *idle) put(w *writer) {
	n := w.buffered()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.bytes+n <= maxIdleBytes && len(i.writers) < maxIdle {
		i.writers = append(i.writers, w)
		i.bytes += n
	}
}
