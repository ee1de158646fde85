// Package check runs a program's checks and tells how each ended, one JSON line each, as
// compat-program.ts asks for. It knows nothing of drivers.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"time"
)

// A check that takes longer hangs: the slowest ends within ten seconds on a busy machine.
const timeout = 40 * time.Second

// Check is one line of the matrix.
type Check struct {
	ID  string
	Run func(context.Context, *T)
}

// T is what a check states its expectations by; the first that does not hold ends the check.
type T struct{}

type failure string
type absence string

// Run runs all checks in their order, whatever becomes of each.
func Run(checks ...Check) {
	out := json.NewEncoder(os.Stdout)
	for _, each := range checks {
		outcome, detail := run(each)
		line := map[string]string{"check": each.ID, "outcome": outcome, "detail": detail}
		if err := out.Encode(line); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func run(each Check) (outcome, detail string) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case failure:
			outcome, detail = "failed", string(cause)
		case absence:
			outcome, detail = "absent", string(cause)
		default:
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", each.ID, cause, debug.Stack())
			outcome, detail = "failed", fmt.Sprint("panic: ", cause)
		}
	}()
	each.Run(ctx, &T{})
	return "passed", ""
}

// Absent ends the check: the driver itself has no such feature.
func (t *T) Absent(why string) { panic(absence(why)) }

// Fail ends the check.
func (t *T) Fail(format string, arguments ...any) { panic(failure(fmt.Sprintf(format, arguments...))) }

// OK ends the check where err is one.
func (t *T) OK(err error, doing string) {
	if err != nil {
		t.Fail("%s: %v", doing, err)
	}
}

// True ends the check where it is not so.
func (t *T) True(is bool, what string) {
	if !is {
		t.Fail("%s: it is not", what)
	}
}

// Equal ends the check where the two differ.
func (t *T) Equal(what string, got, want any) {
	if !same(got, want) {
		t.Fail("%s: got %v, want %v", what, brief(got), brief(want))
	}
}

// OneOf ends the check where got is none of them.
func (t *T) OneOf(what string, got string, of ...string) {
	if !slices.Contains(of, got) {
		t.Fail("%s: got %q, want one of %q", what, got, of)
	}
}

// SQLState ends the check unless err is a server's error of this code. Both drivers' errors have the method.
func (t *T) SQLState(doing string, err error, want string) {
	if err == nil {
		t.Fail("%s: no error, want %s", doing, want)
	}
	var coded interface{ SQLState() string }
	if !errors.As(err, &coded) {
		t.Fail("%s: got %v, want %s", doing, err, want)
	}
	if coded.SQLState() != want {
		t.Fail("%s: got %s (%v), want %s", doing, coded.SQLState(), err, want)
	}
}

// Two moments are equal in any zone; everything else is compared as it is.
func same(got, want any) bool {
	left, isTime := got.(time.Time)
	right, isTimeToo := want.(time.Time)
	if isTime && isTimeToo {
		return left.Equal(right)
	}
	return reflect.DeepEqual(got, want)
}

func brief(value any) string {
	text := fmt.Sprintf("%#v", value)
	if len(text) > 300 {
		return text[:300] + "..."
	}
	return text
}

// Environment is a variable that the runner sets.
func Environment(name string) string {
	value, isSet := os.LookupEnv(name)
	if !isSet {
		fmt.Fprintf(os.Stderr, "%s is not set: start this program by npm run test:compat\n", name)
		os.Exit(2)
	}
	return value
}
