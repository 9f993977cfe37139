package jsonrow

import (
	"reflect"
	"time"
	"unsafe"
)

// timeOp reads the times of RFC 3339 that end in Z, and leaves all else to
// encoding/json/v2.
func (p *Program) timeOp() op {
	general := p.generalOp(reflect.TypeFor[time.Time]())
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] == '"' {
			if t, end := utc(b, i+1); end >= 0 {
				*(*time.Time)(q) = t
				return end
			}
		}
		return general(d, b, i, q)
	}
}

// utc reads a time such as 2006-01-02T15:04:05.999999999Z and the quote behind it.
// The value is that of time.Time.UnmarshalJSON, to the bit.
func utc(b []byte, i int) (t time.Time, end int) {
	if len(b)-i < len("2006-01-02T15:04:05Z\"") {
		return t, -1
	}
	s := b[i : i+20]
	year, ok0 := two(s, 0)
	y2, ok1 := two(s, 2)
	month, ok2 := two(s, 5)
	day, ok3 := two(s, 8)
	hour, ok4 := two(s, 11)
	minute, ok5 := two(s, 14)
	second, ok6 := two(s, 17)
	year = year*100 + y2
	if !(ok0 && ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' ||
		month-1 > 11 || day-1 >= daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return t, -1
	}
	i += 19
	var nanos uint
	if b[i] == '.' {
		start := i + 1
		for i = start; i < len(b) && b[i]-'0' <= 9; i++ {
			nanos = nanos*10 + uint(b[i]-'0')
		}
		if i == start || i-start > 9 {
			return t, -1
		}
		for k := i - start; k < 9; k++ {
			nanos *= 10
		}
	}
	if len(b)-i < 2 || b[i] != 'Z' || b[i+1] != '"' {
		return t, -1
	}
	seconds := days(int64(year), int64(month), int64(day))*86400 + int64(hour*3600+minute*60+second)
	return time.Unix(seconds, int64(nanos)).UTC(), i + 2
}

func two(s []byte, i int) (v uint, ok bool) {
	a, b := uint(s[i])-'0', uint(s[i+1])-'0'
	return a*10 + b, a <= 9 && b <= 9
}

func daysIn(year, month uint) uint {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// days counts those from 1970-01-01 to a date of the proleptic Gregorian calendar.
// Years begin in March here, so that a leap day is a year's last: Howard Hinnant,
// chrono-Compatible Low-Level Date Algorithms, days_from_civil.
func days(y, m, d int64) int64 {
	if m <= 2 {
		y, m = y-1, m+12
	}
	y += 400 // no negative year
	return y*365 + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1 - 719468 - 146097
}
