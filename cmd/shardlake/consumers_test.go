package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConsumers(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 1)
		o := consumersOptions{tailOf(srv, "").Config}
		list := func() string {
			var out bytes.Buffer
			if err := o.run(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		if got := list(); got != "" {
			t.Errorf("before any is there: %q", got)
		}
		for _, name := range []string{"lake", "other"} {
			body := fmt.Sprintf(`{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/clicks","ConsumerName":%q}`, name)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL(), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", "Kinesis_20131202.RegisterStreamConsumer")
			resp, err := srv.Client().Do(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if got := list(); strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, "lake\tACTIVE\tsince 2000-01-01T") {
			t.Errorf("%q", got)
		}
		o.Consumer = "lake"
		if got := list(); got != "lake is removed\n" {
			t.Errorf("%q", got)
		}
		time.Sleep(time.Minute)
		o.Consumer = ""
		if got := list(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "other\t") {
			t.Errorf("%q", got)
		}
	})
}
