// Package confluent asks a registry with Confluent's REST interface for schemas, as
// Confluent's Schema Registry, Karapace and Apicurio's compatible interface have it.
//
//	client, err := confluent.New(confluent.Config{URL: "https://schemas.example.com:8081"})
//	cache, err := registry.NewCache(client, registry.CacheConfig{})
//	avro.Config{Framing: avro.Confluent, Resolver: cache}.Codec
package confluent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shardlake/shardlake/codec/registry"
)

// Config holds the settings of a client.
type Config struct {
	// URL is where the registry is, without a path or with that of a proxy. It comes
	// from whoever runs the program, never from a record.
	URL string
	// User and Password are sent as basic authentication, if there is a User. They
	// are in no error.
	User, Password string
	// HTTP sends the requests; by default a client that gives up after 30 seconds. A
	// registry.Cache in front ends each request sooner.
	HTTP *http.Client
}

// Client asks one registry. It is a registry.Resolver without memory: put a
// registry.Cache in front. Several goroutines may use it.
type Client struct {
	config Config
	base   *url.URL
}

const (
	maxAnswer = 4 << 20
	timeout   = 30 * time.Second
	accept    = "application/vnd.schemaregistry.v1+json, application/json"
	// notFound is the registry's error code of an id without a schema, by which it
	// differs from a path that does not exist: Confluent's documentation, "Schema
	// Registry API Reference", GET /schemas/ids/{id}.
	notFound = 40403
)

// New returns a client. It sends nothing. Its error says what is wrong with the
// settings.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("confluent: URL must be http or https with a host, without user and query: give these as User and Password")
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: timeout}
	}
	return &Client{c, u}, nil
}

// Schema asks for a schema by its number.
func (c *Client) Schema(ctx context.Context, id registry.ID) (registry.Schema, error) {
	if id.Framing != registry.Confluent {
		return registry.Schema{}, fmt.Errorf("confluent: %w: id %s is of framing %v", registry.ErrRefused, id, id.Framing)
	}
	at := c.base.JoinPath("schemas", "ids", id.String()).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return registry.Schema{}, fmt.Errorf("confluent: %w", err)
	}
	req.Header.Set("Accept", accept)
	if c.config.User != "" {
		req.SetBasicAuth(c.config.User, c.config.Password)
	}
	res, err := c.config.HTTP.Do(req)
	if err != nil {
		return registry.Schema{}, fmt.Errorf("confluent: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return registry.Schema{}, fmt.Errorf("confluent: GET %s: %w", at, err)
	}
	s, err := read(res.StatusCode, body)
	if err != nil {
		return registry.Schema{}, fmt.Errorf("confluent: GET %s: %s: %w", at, res.Status, err)
	}
	return s, nil
}

// read makes something of an answer.
func read(status int, body []byte) (registry.Schema, error) {
	var answer struct {
		Schema     *string           `json:"schema"`
		Type       string            `json:"schemaType"` // absent for Avro
		References []json.RawMessage `json:"references"`
		Code       int               `json:"error_code"`
		Message    string            `json:"message"`
	}
	if len(body) > maxAnswer {
		return registry.Schema{}, fmt.Errorf("%w: the answer is longer than %d bytes", registry.ErrRefused, maxAnswer)
	}
	err := json.Unmarshal(body, &answer)
	switch {
	case status == http.StatusNotFound && err == nil && answer.Code == notFound:
		return registry.Schema{}, registry.ErrUnknown
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500:
		return registry.Schema{}, fmt.Errorf("the registry is not able to answer: %q", cut(answer.Message))
	case status != http.StatusOK:
		return registry.Schema{}, fmt.Errorf("%w: %q", registry.ErrRefused, cut(answer.Message))
	case err != nil || answer.Schema == nil:
		return registry.Schema{}, fmt.Errorf("%w: the answer has no schema; is URL that of a registry?", registry.ErrRefused)
	case len(answer.References) > 0:
		return registry.Schema{}, fmt.Errorf("%w: the schema refers to others, which this client does not ask for; resolve it by a registry.Resolver that puts them into one definition", registry.ErrRefused)
	}
	f := registry.Format(strings.ToUpper(answer.Type))
	if f == "" {
		f = registry.Avro
	}
	return registry.Schema{Format: f, Definition: *answer.Schema}, nil
}

// cut keeps the start of a registry's words.
func cut(s string) string { return s[:min(len(s), 200)] }
