package proxy_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/shardlake/shardlake/examples/chaos/proxy"
)

// A client talks to a service over a proxy, which has the service throttle it for a
// while.
func Example() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer service.Close()
	p, err := proxy.Listen(service.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	ask := func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.Addr(), nil)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Status)
		if err := resp.Body.Close(); err != nil {
			log.Fatal(err)
		}
	}
	ask()
	p.Set(proxy.Fault{Mode: proxy.Throttle, Answer: proxy.S3()})
	ask()
	p.Set(proxy.Fault{Mode: proxy.Pass})
	ask()
	if err := p.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 200 OK
	// 503 Service Unavailable
	// 200 OK
}
