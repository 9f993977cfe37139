package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serving runs "shardlake local", takes in what it prints as a shell would, and
// returns that and how to end it.
func serving(t *testing.T, args ...string) (printed string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"local"}, args...), strings.NewReader(""), w, io.Discard)
		w.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.HasSuffix(lines.Text(), "-from oldest") {
		printed += lines.Text() + "\n"
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok && !strings.HasPrefix(lines.Text(), "#") {
			t.Setenv(name, value)
		}
	}
	rest := make(chan string, 1)
	go func() {
		text := ""
		for lines.Scan() {
			text += lines.Text() + "\n"
		}
		rest <- text
	}()
	return printed, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		printed = <-rest
		t.Log(printed)
	}
}

// What other programs do over the network, with the addresses that local prints.
func TestLocal(t *testing.T) {
	lake := filepath.Join(t.TempDir(), "lake")
	printed, end := serving(t, "-lake", lake, "-stream", "clicks:3", "-stream", "orders", "-bucket", "lake")
	for _, want := range []string{"export AWS_ENDPOINT_URL_KINESIS=http://127.0.0.1:", "export AWS_ENDPOINT_URL_S3=http://127.0.0.1:", "export AWS_REGION=", "export AWS_ACCESS_KEY_ID=", "export AWS_SECRET_ACCESS_KEY="} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is not in\n%s", want, printed)
		}
	}
	var in, out, log bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&in, "{\"user\":%d,\"n\":%d}\n", i%7, i)
	}
	if err := run(t.Context(), []string{"put", "-stream", "clicks", "-key", "user"}, &in, &out, &log); err != nil {
		t.Fatal(err, &log)
	}
	if err := run(t.Context(), []string{"tail", "-stream", "clicks", "-from", "oldest", "-n", "100"}, nil, &out, &log); err != nil {
		t.Fatal(err, &log)
	}
	if n := strings.Count(out.String(), "\n"); n != 100 || !strings.Contains(out.String(), `{"user":1,"n":99}`) {
		t.Errorf("%d lines:\n%s", n, &out)
	}
	object := os.Getenv("AWS_ENDPOINT_URL_S3") + "/lake/day=1/a.txt"
	s3Request(t, http.MethodPut, object, "hello")
	if b, err := os.ReadFile(filepath.Join(lake, "lake", "day=1", "a.txt")); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	end()
	_, end = serving(t, "-lake", lake)
	if got := s3Request(t, http.MethodGet, os.Getenv("AWS_ENDPOINT_URL_S3")+"/lake/day=1/a.txt", ""); got != "hello" {
		t.Errorf("after a restart: %q", got)
	}
	end()
}

func s3Request(t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err != nil || closed != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, url, resp.StatusCode, b, err)
	}
	return string(b)
}

func TestLocalMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"add -listen-anywhere": {"-kinesis", "0.0.0.0:0"},
		"-s3 :0":               {"-s3", ":0"},
		"want an address":      {"-s3", "4566"},
		"NAME:SHARDS":          {"-stream", "clicks:many"},
		"-stream a b":          {"-stream", "a b:1"},
		"lower-case":           {"-bucket", "Lake"},
		"-lake":                {"-lake", file},
		"-memory 0":            {"-memory", "0"},
		"is no flag":           {"now"},
	} {
		if _, err := call(t, append([]string{"local"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
