package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"time"

	"colonnade/compat/check"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// A sample is a column of every_type, a value in the type pgx gives it, and the server's text of it.
type sample struct {
	column string
	value  any
	text   string
}

type comp struct {
	A int32
	B string
}

func samples() []sample {
	moment := time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.UTC)
	digits, _ := new(big.Int).SetString("-12345678901234567890123456789", 10)
	allBytes := make([]byte, 256)
	for index := range allBytes {
		allBytes[index] = byte(index)
	}
	one, three := int32(1), int32(3)
	return []sample{
		{"a_boolean", true, "true"},
		{"a_smallint", int16(math.MinInt16), "-32768"},
		{"an_integer", int32(math.MaxInt32), "2147483647"},
		{"a_bigint", int64(math.MinInt64), "-9223372036854775808"},
		{"a_numeric", pgtype.Numeric{Int: digits, Exp: -9, Valid: true}, "-12345678901234567890.123456789"},
		{"a_real", float32(1.5e-7), "1.5e-07"},
		{"a_double", 0.30000000000000004, "0.30000000000000004"},
		{"a_text", "grüße, 世界 \\ ' \" \n\t$1", "grüße, 世界 \\ ' \" \n\t$1"},
		{"a_varchar", "twenty characters ok", "twenty characters ok"},
		{"a_char", "abc  ", "abc"},
		{"a_bytea", allBytes, fmt.Sprintf("\\x%x", allBytes)},
		{"a_date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "2024-02-29"},
		{"a_time", pgtype.Time{Microseconds: 86399999999, Valid: true}, "23:59:59.999999"},
		{"a_timetz", "12:34:56.789+05:30", "12:34:56.789+05:30"},
		{"a_timestamp", moment, "2024-02-29 23:59:58.123456"},
		{"a_timestamptz", moment.In(time.FixedZone("", 3600)), "2024-02-29 23:59:58.123456+00"},
		{"an_interval", pgtype.Interval{Months: 14, Days: -3, Microseconds: 4005006, Valid: true}, "1 year 2 mons -3 days +00:00:04.005006"},
		{"a_uuid", pgtype.UUID{Bytes: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255}, Valid: true}, "01020304-0506-0708-090a-0b0c0d0e0fff"},
		{"a_json", map[string]any{"a": []any{1.0, nil, "ü"}}, `{"a":[1,null,"ü"]}`},
		{"a_jsonb", map[string]any{"a": []any{1.0, nil, "ü"}}, `{"a": [1, null, "ü"]}`},
		{"integers", []*int32{&one, nil, &three}, "{1,NULL,3}"},
		{"texts", []string{"a,b", `c"d\`, "", "NULL"}, `{"a,b","c\"d\\","","NULL"}`},
		{"an_inet", netip.MustParsePrefix("192.168.0.1/24"), "192.168.0.1/24"},
		{"a_cidr", netip.MustParsePrefix("2001:db8::/32"), "2001:db8::/32"},
		{"a_macaddr", net.HardwareAddr{8, 0, 43, 1, 2, 255}, "08:00:2b:01:02:ff"},
		{"a_bit", pgtype.Bits{Bytes: []byte{0b10100101}, Len: 8, Valid: true}, "10100101"},
		{"a_varbit", pgtype.Bits{Bytes: []byte{0b10100000}, Len: 3, Valid: true}, "101"},
		{"a_point", pgtype.Point{P: pgtype.Vec2{X: 1.5, Y: -2}, Valid: true}, "(1.5,-2)"},
		{"an_int4range", pgtype.Range[int32]{Lower: 1, Upper: 10, LowerType: pgtype.Inclusive, UpperType: pgtype.Exclusive, Valid: true}, "[1,10)"},
		{"a_tstzrange", pgtype.Range[time.Time]{Lower: moment, UpperType: pgtype.Unbounded, LowerType: pgtype.Exclusive, Valid: true}, `("2024-02-29 23:59:58.123456+00",)`},
		{"an_xml", "<a>ü</a>", "<a>ü</a>"},
		{"a_money", "$1,234.50", "$1,234.50"},
		{"a_mood", "happy", "happy"},
		{"a_posint", int32(7), "7"},
		{"a_comp", comp{A: 5, B: "x,\"y"}, `(5,"x,""y")`},
	}
}

func typesAsText(ctx context.Context, t *check.T) {
	roundTrip(ctx, t, 20, pgx.QueryExecModeExec, pgx.QueryResultFormats{pgx.TextFormatCode})
}

// pgx takes binary for every type it has a binary codec for, and text for timetz, money and the like.
func typesAsBinary(ctx context.Context, t *check.T) {
	roundTrip(ctx, t, 30, pgx.QueryExecModeCacheStatement, nil)
}

// roundTrip writes four rows, on several placements, each column's value once and once NULL.
func roundTrip(ctx context.Context, t *check.T, firstID int64, mode pgx.QueryExecMode, formats pgx.QueryResultFormats) {
	connection, done := connect(ctx, t)
	defer done()
	types, err := connection.LoadTypes(ctx, []string{"mood", "comp"})
	t.OK(err, "loading the types")
	connection.TypeMap().RegisterTypes(types)
	connection.TypeMap().RegisterDefaultPgType(comp{}, "comp")
	for id := firstID; id < firstID+4; id++ {
		_, err := connection.Exec(ctx, "INSERT INTO every_type (id) VALUES ($1)", mode, id)
		t.OK(err, "inserting")
		for _, each := range samples() {
			roundTripOf(ctx, t, connection, id, each, mode, formats)
		}
	}
}

func roundTripOf(ctx context.Context, t *check.T, connection *pgx.Conn, id int64, each sample, mode pgx.QueryExecMode, formats pgx.QueryResultFormats) {
	column := pgx.Identifier{each.column}.Sanitize()
	update := "UPDATE every_type SET " + column + " = $2 WHERE id = $1"
	selects := "SELECT " + column + ", " + column + "::text FROM every_type WHERE id = $1"
	for _, value := range []any{argumentOf(each, mode), nil} {
		tag, err := connection.Exec(ctx, update, mode, id, value)
		t.OK(err, "writing "+each.column)
		t.Equal("rows updated", tag.RowsAffected(), int64(1))
		// A pointer to a pointer, which a NULL leaves nil.
		target := reflect.New(reflect.PointerTo(reflect.TypeOf(each.value)))
		var text *string
		options := []any{mode}
		if formats != nil {
			options = append(options, formats)
		}
		err = connection.QueryRow(ctx, selects, append(options, id)...).Scan(target.Interface(), &text)
		t.OK(err, "reading "+each.column)
		if value == nil {
			t.True(target.Elem().IsNil() && text == nil, each.column+" is NULL")
			continue
		}
		t.True(!target.Elem().IsNil() && text != nil, each.column+" is not NULL")
		t.Equal(each.column+" as the server's text", *text, each.text)
		t.Equal(each.column, plain(t, target.Elem().Elem().Interface()), plain(t, each.value))
	}
}

// argumentOf is the value, except where pgx cannot tell its type from Go's: then it has to be text already.
func argumentOf(each sample, mode pgx.QueryExecMode) any {
	if mode != pgx.QueryExecModeExec {
		return each.value
	}
	switch each.value.(type) {
	case map[string]any, net.HardwareAddr, pgtype.Range[int32], pgtype.Range[time.Time]:
		return each.text
	default:
		return each.value
	}
}

// plain makes values comparable that may be written in several ways, such as a numeric's exponent.
func plain(t *check.T, value any) any {
	if valuer, isValuer := value.(driver.Valuer); isValuer {
		plain, err := valuer.Value()
		t.OK(err, "the driver's own value")
		return plain
	}
	if ranged, isRange := value.(pgtype.Range[time.Time]); isRange {
		ranged.Lower, ranged.Upper = ranged.Lower.UTC(), ranged.Upper.UTC()
		return ranged
	}
	return value
}
