package confluent_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/codec/registry"
	"github.com/shardlake/shardlake/codec/registry/confluent"
)

func id(n uint32) registry.ID { return registry.ID{Framing: registry.Confluent, Number: n} }

// serve answers each request with a status and a body.
func serve(t *testing.T, status int, body string) (url string, last func() *http.Request) {
	var seen *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.WriteHeader(status)
		if _, err := fmt.Fprint(w, body); err != nil && len(body) < 1<<20 { // a client may stop reading
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() *http.Request { return seen }
}

func client(t *testing.T, c confluent.Config) *confluent.Client {
	t.Helper()
	k, err := confluent.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSchema(t *testing.T) {
	for _, test := range []struct {
		body string
		want registry.Schema
	}{
		{`{"schema":"\"string\""}`, registry.Schema{Format: registry.Avro, Definition: `"string"`}},
		{`{"schemaType":"AVRO","schema":"\"int\"","references":[],"more":1}`, registry.Schema{Format: registry.Avro, Definition: `"int"`}},
		{`{"schemaType":"JSON","schema":"{}"}`, registry.Schema{Format: registry.JSON, Definition: `{}`}},
	} {
		url, last := serve(t, http.StatusOK, test.body)
		s, err := client(t, confluent.Config{URL: url + "/api/", User: "reader", Password: "canary"}).Schema(t.Context(), id(42))
		if err != nil || s != test.want {
			t.Errorf("%s: %+v, %v", test.body, s, err)
		}
		r := last()
		if user, password, ok := r.BasicAuth(); !ok || user != "reader" || password != "canary" || r.URL.Path != "/api/schemas/ids/42" || r.Method != http.MethodGet {
			t.Errorf("%s %s as %q", r.Method, r.URL, user)
		}
	}
}

// What decides about a lane is whether the registry knows that there is no such
// schema, is not able to answer, or never will.
func TestAnswersWithoutASchema(t *testing.T) {
	other := errors.New("one that may pass")
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"no such schema", 404, `{"error_code":40403,"message":"Schema 42 not found"}`, registry.ErrUnknown},
		{"no such path", 404, `{"error_code":404,"message":"HTTP 404 Not Found"}`, registry.ErrRefused},
		{"no registry", 404, `<html>`, registry.ErrRefused},
		{"another service", 200, `{"ok":true}`, registry.ErrRefused},
		{"no JSON", 200, `hello`, registry.ErrRefused},
		{"not allowed", 403, `{"error_code":40301,"message":"User is denied operation Read"}`, registry.ErrRefused},
		{"not known", 401, ``, registry.ErrRefused},
		{"references", 200, `{"schema":"\"a.B\"","references":[{"name":"a.B","subject":"b","version":1}]}`, registry.ErrRefused},
		{"too long", 200, `{"schema":"` + strings.Repeat(" ", 4<<20) + `"}`, registry.ErrRefused},
		{"too many requests", 429, `{"error_code":42901,"message":"slow down"}`, other},
		{"fault", 500, `{"error_code":50001,"message":"Error in the backend data store"}`, other},
		{"gateway", 502, `<html>`, other},
	} {
		t.Run(test.name, func(t *testing.T) {
			url, _ := serve(t, test.status, test.body)
			_, err := client(t, confluent.Config{URL: url, User: "reader", Password: "canary"}).Schema(t.Context(), id(42))
			if err == nil || errors.Is(err, registry.ErrUnknown) != (test.want == registry.ErrUnknown) || errors.Is(err, registry.ErrRefused) != (test.want == registry.ErrRefused) {
				t.Fatalf("%v; want %v", err, test.want)
			}
			if s := err.Error(); strings.Contains(s, "canary") || !strings.Contains(s, "/schemas/ids/42") || len(s) > 1000 {
				t.Errorf("%s", s)
			}
		})
	}
}

func TestARegistryThatIsAwayMayComeBack(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c := client(t, confluent.Config{URL: s.URL})
	if _, err := c.Schema(t.Context(), id(1)); err == nil || errors.Is(err, registry.ErrRefused) || errors.Is(err, registry.ErrUnknown) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Schema(ctx, id(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestIDsOfGlueAreRefused(t *testing.T) {
	c := client(t, confluent.Config{URL: "http://127.0.0.1:1"})
	if _, err := c.Schema(t.Context(), registry.ID{Framing: registry.Glue}); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("%v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, url := range []string{"", "registry:8081", "ftp://registry", "http://", "http://user:canary@registry", "http://registry?token=canary", "http://%zzcanary"} {
		if _, err := confluent.New(confluent.Config{URL: url}); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
