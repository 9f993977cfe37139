// Package proxy is a TCP proxy on loopback that stands between one client and one
// service and disturbs what passes: it refuses and cuts connections, holds bytes
// back, slows them down, swallows answers, or answers in the service's place that
// it has too much to do.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Mode is what a proxy does to connections.
type Mode string

// The modes. A change of mode holds for connections that are open already, too.
const (
	// Pass passes everything on.
	Pass Mode = "pass"
	// Refuse resets all connections, new ones at once: a service that is not there.
	// A request whose bytes were on their way may or may not have arrived.
	Refuse Mode = "refuse"
	// Stall holds all bytes back, in both directions, until the mode changes; then
	// they go on, and requests arrive late, perhaps long after the client has given
	// up on them.
	Stall Mode = "stall"
	// Slow passes pieces of at most 4 KiB, each after Fault.Delay.
	Slow Mode = "slow"
	// Mute passes requests and swallows answers: the service has done what was
	// asked, and the client does not learn of it. Connections that lost an answer are
	// reset when the mode changes.
	Mute Mode = "mute"
	// Throttle resets all connections and answers each request on new ones by
	// Fault.Answer; the service gets none.
	Throttle Mode = "throttle"
)

// Fault is a mode with what it needs.
type Fault struct {
	Mode   Mode
	Delay  time.Duration // of each piece, for Slow
	Answer Answer        // for Throttle
}

// Proxy passes connections to one service. It is safe for concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup
	ctx      context.Context // ends with Close
	end      context.CancelFunc

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed by the next Set
	conns   map[*pair]bool
}

// Listen starts a proxy to a service at host:port, on a free port of 127.0.0.1. Its
// goroutines end with Close. It connects to the service only for a connection of
// its own, so the service may be started later.
func Listen(target string) (*Proxy, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", target, err)
	}
	p := &Proxy{target: target, listener: l, fault: Fault{Mode: Pass}, changed: make(chan struct{}), conns: map[*pair]bool{}}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set changes what the proxy does, from now on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	if f.Mode == Refuse || f.Mode == Throttle {
		for c := range p.conns {
			c.reset()
		}
	}
}

// Close ends all connections and waits for their goroutines.
func (p *Proxy) Close() error {
	p.end()
	err := p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.reset()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

// now returns what the proxy does, and what is closed when it does something else.
func (p *Proxy) now() (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !sleep(p.ctx, acceptPause) {
				return
			}
			continue
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

const (
	acceptPause = 50 * time.Millisecond // after an error such as too many open files
	dialTimeout = 5 * time.Second
	piece       = 4 << 10
)

// serve is one connection of the client.
func (p *Proxy) serve(client net.Conn) {
	c := &pair{client: client}
	defer c.reset()
	if !p.enter(c) {
		return
	}
	defer p.leave(c)
	f, _ := p.now()
	switch f.Mode {
	case Refuse:
		return
	case Throttle:
		f.Answer.serve(client)
		return
	}
	d := net.Dialer{Timeout: dialTimeout}
	service, err := d.DialContext(p.ctx, "tcp", p.target)
	if err != nil || !c.join(service) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(c, service, client, false) })
	both.Go(func() { p.pump(c, client, service, true) })
	both.Wait()
}

// enter and leave keep the set of open connections.
func (p *Proxy) enter(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) leave(c *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// pump passes bytes in one direction until one of both sides ends.
func (p *Proxy) pump(c *pair, to io.Writer, from io.Reader, answers bool) {
	defer c.close()
	buf := make([]byte, piece)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.gate(answers) {
				c.reset()
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			// That a side has ended is news, too.
			p.gate(answers)
			return
		}
	}
}

// gate holds up a piece for as long as the mode says; false drops it and its
// connection.
func (p *Proxy) gate(answer bool) bool {
	for {
		f, changed := p.now()
		switch {
		case f.Mode == Pass, f.Mode == Mute && !answer:
			return true
		case f.Mode == Slow:
			return sleep(p.ctx, f.Delay)
		case f.Mode == Stall:
			select {
			case <-changed:
				continue // whatever it is now
			case <-p.ctx.Done():
			}
			return false
		case f.Mode == Mute:
			select {
			case <-changed:
			case <-p.ctx.Done():
			}
			return false
		default:
			return false
		}
	}
}

// sleep returns false when the proxy is closed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// pair is a connection of the client and the one to the service.
type pair struct {
	mu      sync.Mutex
	client  net.Conn
	service net.Conn // nil until it is dialled
	ended   bool
}

// join adds the connection to the service, unless the pair has ended meanwhile.
func (c *pair) join(service net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.service = service
	if c.ended {
		hangUp(service, true)
	}
	return !c.ended
}

// close ends both connections after what has been written; reset at once.
func (c *pair) close() { c.finish(false) }
func (c *pair) reset() { c.finish(true) }

func (c *pair) finish(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	hangUp(c.client, reset)
	if c.service != nil {
		hangUp(c.service, reset)
	}
}

// hangUp closes a connection. An error says that it is closed already, or that the
// other side was faster.
func hangUp(c net.Conn, reset bool) {
	if t, ok := c.(*net.TCPConn); ok && reset {
		if err := t.SetLinger(0); err != nil {
			return // closed
		}
	}
	if err := c.Close(); err != nil {
		return
	}
}
