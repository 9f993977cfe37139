// Package wire reads the answers of GetRecords straight into records.
//
// The SDK decodes an answer token by token into one object per field, which costs
// five to ten times what the bytes themselves do. Here an answer is read in two
// passes: the first finds where every payload, key and number lies in the body, so
// that the second can put them all into one piece of memory of the right size.
// Nothing is allocated per record.
//
// It works through kinesis.Options.Protocol, the SDK's public option for how
// requests and answers are written: signing, retries, endpoints and every other
// operation stay as they are. Only answers of the plain form are read here. All
// others, with the same bytes, go to the protocol that the client had before, so no
// answer is ever decided differently; see [JSON]. [CBOR] asks for answers in the
// binary form that Java clients use.
package wire
