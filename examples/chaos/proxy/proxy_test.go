package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardlake/shardlake/examples/chaos/proxy"
)

// echo is a service that answers each line by itself, and tells the test of it.
func echo(t *testing.T) (addr string, heard <-chan string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewScanner(c)
				for in.Scan() {
					lines <- in.Text()
					if _, err := io.WriteString(c, in.Text()+"\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), lines
}

func listen(t *testing.T, target string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// client is one connection.
type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, addr string) client {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return client{c, bufio.NewReader(c)}
}

func (c client) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (c client) hear(t *testing.T, want string) {
	t.Helper()
	got, err := c.in.ReadString('\n')
	if err != nil || got != want+"\n" {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

// broken wants the connection to end without another byte.
func (c client) broken(t *testing.T) {
	t.Helper()
	if got, err := c.in.ReadByte(); err == nil {
		t.Fatalf("the connection gave %q", got)
	}
}

func TestPassesUntilTold(t *testing.T) {
	addr, _ := echo(t)
	p := listen(t, addr)
	c := dial(t, p.Addr())
	for _, line := range []string{"a", "b", strings.Repeat("long", 10_000)} {
		c.say(t, line)
		c.hear(t, line)
	}
	p.Set(proxy.Fault{Mode: proxy.Slow, Delay: time.Nanosecond})
	c.say(t, "slow")
	c.hear(t, "slow")
}

func TestRefusedConnectionsEnd(t *testing.T) {
	addr, _ := echo(t)
	p := listen(t, addr)
	c := dial(t, p.Addr())
	c.say(t, "a")
	c.hear(t, "a")
	p.Set(proxy.Fault{Mode: proxy.Refuse})
	c.broken(t)
	// The system may tell of the reset when the connection is made, or behind that.
	if again, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Addr()); err == nil {
		client{again, bufio.NewReader(again)}.broken(t)
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	p.Set(proxy.Fault{Mode: proxy.Pass})
	c = dial(t, p.Addr())
	c.say(t, "b")
	c.hear(t, "b")
}

func TestMutedServiceDoesWhatItIsAsked(t *testing.T) {
	addr, heard := echo(t)
	p := listen(t, addr)
	c := dial(t, p.Addr())
	p.Set(proxy.Fault{Mode: proxy.Mute})
	c.say(t, "a")
	if got := <-heard; got != "a" {
		t.Fatalf("the service heard %q", got)
	}
	p.Set(proxy.Fault{Mode: proxy.Refuse}) // whatever comes next, the answer is lost
	c.broken(t)
}

func TestStalledRequestsArriveLate(t *testing.T) {
	addr, heard := echo(t)
	p := listen(t, addr)
	c := dial(t, p.Addr())
	c.say(t, "before")
	c.hear(t, "before")
	p.Set(proxy.Fault{Mode: proxy.Stall})
	c.say(t, "late")
	// Somebody else is served meanwhile.
	d := dial(t, addr)
	d.say(t, "other")
	d.hear(t, "other")
	p.Set(proxy.Fault{Mode: proxy.Pass})
	c.hear(t, "late")
	for _, want := range []string{"before", "other", "late"} {
		if got := <-heard; got != want {
			t.Fatalf("the service heard %q, then want %q", got, want)
		}
	}
}

func TestThrottledRequestsDoNotReachTheService(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(srv.Close)
	p := listen(t, srv.Listener.Addr().String())
	for _, a := range []proxy.Answer{proxy.Kinesis(), proxy.DynamoDB(), proxy.S3()} {
		p.Set(proxy.Fault{Mode: proxy.Throttle, Answer: a})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+p.Addr(), strings.NewReader(strings.Repeat("x", 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != a.Body || resp.StatusCode != a.Status {
			t.Errorf("answer %d %q, %v; want %d %q", resp.StatusCode, body, err, a.Status, a.Body)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the service was asked %d times", n)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	addr, _ := echo(t)
	for _, mode := range []proxy.Mode{proxy.Pass, proxy.Stall, proxy.Mute, proxy.Slow} {
		p, err := proxy.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		c := dial(t, p.Addr())
		c.say(t, "a")
		c.hear(t, "a")
		p.Set(proxy.Fault{Mode: mode, Delay: time.Hour})
		c.say(t, "b")
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
