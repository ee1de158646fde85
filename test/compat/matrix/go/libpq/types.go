package main

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"time"

	"colonnade/compat/check"

	"github.com/lib/pq"
)

// A sample is a column of every_type, a value of a Go type that database/sql can scan it into, and the server's text of it.
type sample struct {
	column string
	value  any
	text   string
}

// What lib/pq has no Go type for is text.
func samples() []sample {
	moment := time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.UTC)
	allBytes := make([]byte, 256)
	for index := range allBytes {
		allBytes[index] = byte(index)
	}
	text := func(column, value string) sample { return sample{column, value, value} }
	return []sample{
		{"a_boolean", true, "true"},
		{"a_smallint", int16(math.MinInt16), "-32768"},
		{"an_integer", int32(math.MaxInt32), "2147483647"},
		{"a_bigint", int64(math.MinInt64), "-9223372036854775808"},
		text("a_numeric", "-12345678901234567890.123456789"),
		{"a_real", float32(1.5e-7), "1.5e-07"},
		{"a_double", 0.30000000000000004, "0.30000000000000004"},
		text("a_text", "grüße, 世界 \\ ' \" \n\t$1"),
		text("a_varchar", "twenty characters ok"),
		{"a_char", "abc  ", "abc"},
		{"a_bytea", allBytes, fmt.Sprintf("\\x%x", allBytes)},
		{"a_date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "2024-02-29"},
		{"a_timestamp", moment, "2024-02-29 23:59:58.123456"},
		{"a_timestamptz", moment.In(time.FixedZone("", 3600)), "2024-02-29 23:59:58.123456+00"},
		text("an_interval", "1 year 2 mons -3 days +00:00:04.005006"),
		text("a_uuid", "01020304-0506-0708-090a-0b0c0d0e0fff"),
		text("a_json", `{"a":[1,null,"ü"]}`),
		text("a_jsonb", `{"a": [1, null, "ü"]}`),
		{"integers", pq.Int64Array{1, -2, 3}, "{1,-2,3}"},
		{"texts", pq.StringArray{"a,b", `c"d\`, "", "NULL"}, `{"a,b","c\"d\\","","NULL"}`},
		text("an_inet", "192.168.0.1/24"),
		text("a_cidr", "2001:db8::/32"),
		text("a_macaddr", "08:00:2b:01:02:ff"),
		text("a_bit", "10100101"),
		text("a_varbit", "101"),
		text("a_point", "(1.5,-2)"),
		text("an_int4range", "[1,10)"),
		text("a_tstzrange", `("2024-02-29 23:59:58.123456+00",)`),
		text("an_xml", "<a>ü</a>"),
		text("a_money", "$1,234.50"),
		text("a_mood", "happy"),
		{"a_posint", int32(7), "7"},
		text("a_comp", `(5,"x,""y")`),
	}
}

func typesAsText(ctx context.Context, t *check.T) { roundTrip(ctx, t, "", 20) }

// binary_parameters sends bytes in binary, and reads in binary what lib/pq can.
func typesAsBinary(ctx context.Context, t *check.T) { roundTrip(ctx, t, "binary_parameters=yes", 30) }

func roundTrip(ctx context.Context, t *check.T, settings string, firstID int) {
	db := open(t, settings)
	defer db.Close()
	for id := firstID; id < firstID+4; id++ {
		exec(ctx, t, db, "INSERT INTO every_type (id) VALUES ($1)", id)
		for _, each := range samples() {
			for _, value := range []any{each.value, nil} {
				count := exec(ctx, t, db, "UPDATE every_type SET "+each.column+" = $2 WHERE id = $1", id, value)
				t.Equal("rows updated", count, int64(1))
				// A pointer to a pointer, which a NULL leaves nil.
				target := reflect.New(reflect.PointerTo(reflect.TypeOf(each.value)))
				var text *string
				err := db.QueryRowContext(ctx, "SELECT "+each.column+", "+each.column+"::text FROM every_type WHERE id = $1", id).
					Scan(target.Interface(), &text)
				t.OK(err, "reading "+each.column)
				if value == nil {
					t.True(target.Elem().IsNil() && text == nil, each.column+" is NULL")
					continue
				}
				t.True(!target.Elem().IsNil() && text != nil, each.column+" is not NULL")
				t.Equal(each.column+" as the server's text", *text, each.text)
				t.Equal(each.column, target.Elem().Elem().Interface(), each.value)
			}
		}
	}
}
