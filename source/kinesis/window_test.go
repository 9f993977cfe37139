package kinesis

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// The client of the source tells the service to send at most half a MiB ahead of
// whoever reads a stream of HTTP/2, as Kinesis serves subscriptions: 4 MiB is what
// net/http allows by itself.
func TestWindowOfAStream(t *testing.T) {
	// For its certificate and address; its connections are taken over.
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.EnableHTTP2 = true
	windows := make(chan uint32, 1)
	srv.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
			window, err := initialWindow(c)
			if err != nil {
				t.Error(err)
			}
			windows <- window
		},
	}
	srv.StartTLS()
	defer srv.Close()
	client, ok := defaultHTTP().(*awshttp.BuildableClient)
	if !ok {
		t.Fatalf("%T", defaultHTTP())
	}
	trusting := client.WithTransportOptions(func(tr *http.Transport) {
		tr.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := trusting.Do(req); err == nil {
		t.Error("an answer from a connection that gives none", resp.Status)
	}
	if window := <-windows; window != 512<<10 {
		t.Errorf("a stream may be %d bytes ahead", window)
	}
}

// initialWindow reads what a client of HTTP/2 begins with: the preface, and a frame
// of settings, among them SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2).
func initialWindow(r io.Reader) (uint32, error) {
	head := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")+9)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, err
	}
	frame := head[len(head)-9:]
	settings := make([]byte, int(frame[0])<<16|int(frame[1])<<8|int(frame[2]))
	if frame[3] != 4 {
		return 0, errors.New("the first frame has no settings")
	}
	if _, err := io.ReadFull(r, settings); err != nil {
		return 0, err
	}
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == 4 {
			return binary.BigEndian.Uint32(settings[2:]), nil
		}
	}
	return 0, errors.New("no window is set")
}
