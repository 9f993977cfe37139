package s3_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/sink/s3"
)

// TestPagesOfUploads lists five uploads in pages of two, with trouble at each
// page.
func TestPagesOfUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, svc := with(t, s3.Config{}, func(n int, r *http.Request, _ string) *http.Response {
			if n%2 == 1 {
				return failure(503, "SlowDown")
			}
			q := r.URL.Query()
			if q.Get("prefix") != "raw/" {
				return failure(400, "InvalidArgument")
			}
			from := 0
			if k := q.Get("key-marker"); k != "" {
				// Two uploads of one key: only both markers say where to go on.
				if _, err := fmt.Sscanf(k+" "+q.Get("upload-id-marker"), "raw/k u%d", &from); err != nil {
					return failure(400, "InvalidArgument")
				}
			}
			var b strings.Builder
			fmt.Fprintf(&b, "<ListMultipartUploadsResult><IsTruncated>%v</IsTruncated><NextKeyMarker>raw/k</NextKeyMarker><NextUploadIdMarker>u%d</NextUploadIdMarker>", from+2 < 5, from+2)
			for i := from + 1; i <= min(from+2, 5); i++ {
				fmt.Fprintf(&b, "<Upload><Key>raw/k</Key><UploadId>u%d</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>", i)
			}
			return reply(200, b.String()+"</ListMultipartUploadsResult>")
		})
		var got []string
		for u, err := range s.Uploads(t.Context(), "raw/") {
			if err != nil {
				t.Fatal(err)
			}
			if !u.Begun.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
				t.Errorf("begun %v", u.Begun)
			}
			got = append(got, u.ID)
		}
		if fmt.Sprint(got) != "[u1 u2 u3 u4 u5]" || svc.count() != 6 {
			t.Errorf("%v in %d requests", got, svc.count())
		}
	})
}

// TestPagesOfParts lists 2,500 parts as Amazon S3 pages them.
func TestPagesOfParts(t *testing.T) {
	s, _ := with(t, s3.Config{}, func(_ int, r *http.Request, _ string) *http.Response {
		from := 0
		if m := r.URL.Query().Get("part-number-marker"); m != "" {
			var err error
			if from, err = strconv.Atoi(m); err != nil {
				return failure(400, "InvalidArgument")
			}
		}
		to := min(from+1000, 2500)
		var b strings.Builder
		fmt.Fprintf(&b, "<ListPartsResult><IsTruncated>%v</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>", to < 2500, to)
		for i := from + 1; i <= to; i++ {
			fmt.Fprintf(&b, `<Part><PartNumber>%d</PartNumber><ETag>"e"</ETag><Size>7</Size></Part>`, i)
		}
		return reply(200, b.String()+"</ListPartsResult>")
	})
	parts, err := s.Parts(t.Context(), "raw/x", "u")
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != 2500 || parts[0].N != 1 || parts[2499].N != 2500 || parts[2499].Size != 7 {
		t.Errorf("%d parts", len(parts))
	}
}

// TestListingWithoutProgress sees that a server whose pages repeat themselves does
// not hold a sweep for ever.
func TestListingWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := with(t, s3.Config{}, func(_ int, r *http.Request, _ string) *http.Response {
			if r.URL.Query().Has("uploads") {
				return reply(200, "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>")
			}
			return reply(200, "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>")
		})
		for _, call := range []string{"Uploads", "Parts"} {
			if err := calls[call](t.Context(), s); err == nil {
				t.Errorf("%s succeeded", call)
			}
		}
	})
}
