package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Client is the method of *kinesis.Client that GetRecords calls.
type Client interface {
	// GetRecords is the operation of the service.
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// GetRecords makes one call and fills the answer; the answer before it is
// overwritten. If the client, or one of the options, has [JSON] or [CBOR], the
// answer is read by this package, else by the SDK: both give the same. The buffers
// belong to the caller and are not used once GetRecords has returned; nil takes
// memory for this call only.
//
// Errors are those of the client, and ErrTooLarge; with one, the answer is empty. No
// retry is made but one: a call whose binary form the server refused is repeated in
// JSON, once in the life of a client.
//
// With JSON or CBOR, an interceptor or a middleware of the client that looks at the
// output finds no records in it: they go straight into the answer.
func GetRecords(ctx context.Context, client Client, in *kinesis.GetRecordsInput, b *Buffers, a *Answer, optFns ...func(*kinesis.Options)) error {
	if b == nil {
		b = new(Buffers)
	}
	for again := false; ; again = true {
		k := call{buffers: b}
		k.answer.Behind = -1
		out, err := client.GetRecords(context.WithValue(ctx, callKey{}, &k), in, optFns...)
		if k.refused && !again {
			continue
		}
		if err != nil {
			*a = Answer{Behind: -1}
			return err
		}
		if !k.done {
			k.answer.take(out)
		}
		*a = k.answer
		a.Metadata = out.ResultMetadata
		return nil
	}
}

// call is one on its way. It goes to the protocol by way of the context, since the
// SDK gives a protocol nothing else of the caller's.
type call struct {
	buffers *Buffers
	answer  Answer
	done    bool // the answer is here, not in the SDK's output
	binary  bool // the request was written in CBOR
	refused bool // so that the server refused it
}

type callKey struct{}

// JSON is an option of a client, or of one call of GetRecords, that lets this
// package read answers. Answers of the plain form are read here: status 200, the
// members that the service documents in any order, null, missing or unknown ones
// among them, strings with escapes, and times as any number. Whatever else
// comes goes to the SDK as it is: errors, the last answer of a shard with its
// children, numbers with a sign, and everything that is broken.
func JSON(o *kinesis.Options) { install(o, nil) }

// install wraps the protocol of a client, once.
func install(o *kinesis.Options, p *probe) {
	inner := o.Protocol
	if of, ok := inner.(*protocol); ok {
		if p == nil || of.probe == p {
			return
		}
		inner = of.ClientProtocol
	}
	if inner == nil {
		return // an Options that New has not seen; the SDK reports it
	}
	o.Protocol = &protocol{ClientProtocol: inner, probe: p}
}

// protocol is the SDK's but for the answers of GetRecords. Any number of goroutines
// may use it.
type protocol struct {
	smithyhttp.ClientProtocol
	probe *probe // nil without CBOR
}

// SerializeRequest writes a request.
func (p *protocol) SerializeRequest(ctx context.Context, op *smithy.OperationSchema, in smithy.Serializable, req *smithyhttp.Request) error {
	if err := p.ClientProtocol.SerializeRequest(ctx, op, in, req); err != nil {
		return err
	}
	k, asked := ctx.Value(callKey{}).(*call)
	get, ok := in.(*kinesis.GetRecordsInput)
	if !ok || !asked || !p.probe.wanted(p.ClientProtocol) {
		return nil
	}
	k.binary = true
	return writeCBOR(get, req)
}

// DeserializeResponse reads an answer.
func (p *protocol) DeserializeResponse(ctx context.Context, op *smithy.OperationSchema, types *smithy.TypeRegistry, resp *smithyhttp.Response, out smithy.Deserializable) error {
	k, asked := ctx.Value(callKey{}).(*call)
	if _, ok := out.(*kinesis.GetRecordsOutput); !ok || !asked {
		return p.ClientProtocol.DeserializeResponse(ctx, op, types, resp, out)
	}
	k.done, k.refused, k.answer = false, false, Answer{Behind: -1} // the SDK may be trying again
	standard := func() error { return decode(ctx, p.ClientProtocol, op, types, resp, out) }
	if k.binary && resp.StatusCode != http.StatusOK {
		return p.probe.failed(k, resp, standard)
	}
	if resp.StatusCode != http.StatusOK {
		return standard()
	}
	body, err := k.buffers.read(resp.Body, resp.ContentLength)
	if err != nil {
		// The SDK would read the rest before it closes the body, and there may be much.
		err = errors.Join(err, resp.Body.Close())
		resp.Body = http.NoBody
		return &smithy.DeserializationError{Err: err}
	}
	defer k.buffers.fade(len(body))
	if k.binary && !isJSON(body) {
		if err := parseCBOR(body, &k.buffers.index, &k.answer); err != nil {
			return p.probe.refuse(k, err)
		}
		p.probe.taken.Store(true)
		k.done = true
		return nil
	}
	if k.binary {
		p.probe.giveUp("it answers in JSON")
	}
	if k.done = parseJSON(body, &k.buffers.index, &k.answer); k.done {
		return nil
	}
	if err := bearable(body); err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	replace(resp, bytes.NewReader(body))
	return standard()
}

// replace puts other bytes into the place of a body that has been read. It still
// closes the old one.
func replace(resp *smithyhttp.Response, with io.Reader) {
	resp.Body = struct {
		io.Reader
		io.Closer
	}{with, resp.Body}
}

// decode lets the SDK read an answer. Some broken ones make it panic (smithy-go
// 1.28.9: a time that is "NaN", a stray bracket), which would end the program for
// what a proxy may have done.
func decode(ctx context.Context, p smithyhttp.ClientProtocol, op *smithy.OperationSchema, types *smithy.TypeRegistry, resp *smithyhttp.Response, out smithy.Deserializable) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &smithy.DeserializationError{Err: fmt.Errorf("the answer of GetRecords is broken: reading it panics: %v", r)}
		}
	}()
	return p.DeserializeResponse(ctx, op, types, resp, out)
}

// maxMarks is how many colons, commas and opening brackets the SDK may have to read;
// 10,000 records have a tenth of that.
const maxMarks = 1_000_000

// bearable tells whether the SDK can read a body without harm. smithy-go 1.28.9 calls
// itself for each unknown member of an object, so that some millions of them end the
// program for want of stack, which no recover stops.
func bearable(body []byte) error {
	c, marks := cursor{b: body}, 0
	for c.p < len(body) {
		c.p++
		switch body[c.p-1] {
		case '"':
			if _, ok := c.finish(); !ok {
				return nil // the SDK comes to this place at most
			}
		case ':', ',', '{', '[':
			if marks++; marks > maxMarks {
				return fmt.Errorf("the answer of GetRecords is broken: it has more than %d members and values", maxMarks/2)
			}
		}
	}
	return nil
}
