package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// CBOR makes an option of a client that lets GetRecords ask for answers in the form
// application/x-amz-cbor-1.1, in which payloads are bytes and not base64. The AWS
// SDKs for Java ask for it by default; that the service gives it to anyone is not
// documented. Everything else stays in JSON: other operations, and the calls of
// GetRecords that are not made by this package.
//
// The first calls find out whether the server takes it. It does not if it answers
// in JSON, or with 415, or with an UnknownOperationException or a
// SerializationException; or, before it has ever answered in CBOR, with 400 or 404
// and no error in CBOR; or with an answer in CBOR that this package does not
// understand, like times in seconds. From then on the option is what [JSON] is, and
// log, unless nil, has one warning.
//
// What was found out belongs to the option: make one for each client. Any number of
// goroutines may use it.
func CBOR(log *slog.Logger) func(*kinesis.Options) {
	p := &probe{log: log}
	return func(o *kinesis.Options) { install(o, p) }
}

// contentCBOR is what AWS SDKs for Java call it: JSON 1.1 with its target and member
// names in CBOR (RFC 8949), with blobs as byte strings and times as milliseconds
// since 1970, after tag 1 or without it, where RFC 8949 wants seconds (SdkCborGenerator
// of aws-sdk-java, aws-sdk-java-v2 issue 4661).
const contentCBOR = "application/x-amz-cbor-1.1"

// probe is what is known of a server.
type probe struct {
	log    *slog.Logger
	taken  atomic.Bool // it has answered in CBOR
	giveup atomic.Bool // it is not asked for CBOR any more
}

// wanted tells whether to write a request in CBOR. That is possible where the
// protocol has put an X-Amz-Target into it.
func (p *probe) wanted(inner smithyhttp.ClientProtocol) bool {
	return p != nil && !p.giveup.Load() && inner.ID().Name == "awsJson1_1"
}

func (p *probe) giveUp(why string) {
	if p.giveup.CompareAndSwap(false, true) && p.log != nil {
		p.log.Warn("kinesis does not give records in CBOR here; they are asked for in JSON from now on", "reason", why)
	}
}

// refuse is for an answer that shows that CBOR does not work. The call is repeated.
func (p *probe) refuse(k *call, err error) error {
	k.refused = true
	p.giveUp(err.Error())
	return &smithy.DeserializationError{Err: fmt.Errorf("the answer of GetRecords in CBOR: %w", err)}
}

// maxError bounds the part of an error that is looked at.
const maxError = 64 << 10

// failed reads an answer that is an error to a request in CBOR. An error in CBOR is
// written in JSON for the SDK, so that it becomes one of the SDK's types.
func (p *probe) failed(k *call, resp *smithyhttp.Response, standard func() error) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return &smithy.DeserializationError{Err: fmt.Errorf("failed to read the answer: %w", err)}
	}
	if fields, ok := parseError(body); ok {
		text, err := json.Marshal(fields)
		if err != nil {
			return &smithy.DeserializationError{Err: err}
		}
		p.taken.Store(true)
		replace(resp, bytes.NewReader(text))
	} else {
		replace(resp, io.MultiReader(bytes.NewReader(body), resp.Body))
		switch resp.StatusCode {
		case http.StatusBadRequest, http.StatusNotFound:
			if !p.taken.Load() {
				return p.refuse(k, fmt.Errorf("status %d, and no error in CBOR", resp.StatusCode))
			}
		case http.StatusUnsupportedMediaType:
			return p.refuse(k, errors.New("status 415, unsupported media type"))
		}
	}
	err = standard()
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "UnknownOperationException", "UnknownOperation", "SerializationException":
			return p.refuse(k, err)
		}
	}
	return err
}

// isJSON tells it from CBOR, in which an opening brace begins a text of more than
// eight exabytes.
func isJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '{'
}
