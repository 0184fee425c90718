package knockersqlite

// Errors, and the errors with which a handler says what is to become of its event.

import (
	"fmt"
	"time"
)

// Code is the cause of an Error, as knocker.h numbers it.
type Code int

// Error is a failure of a call. errors.Is tells its cause by the Err values.
type Error struct {
	Code Code
	Name string // "busy"
	Text string // one sentence, without secrets
}

func (e *Error) Error() string { return e.Text }

// Is reports whether target is an Error of the same cause.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// The causes, for errors.Is.
var (
	ErrInvalidArgument = &Error{-1, "invalid_argument", "invalid argument"}
	ErrUnknownEndpoint = &Error{-2, "unknown_endpoint", "unknown endpoint"}
	ErrUnknownEvent    = &Error{-3, "unknown_event", "unknown event"}
	ErrUnknownDelivery = &Error{-4, "unknown_delivery", "unknown delivery"}
	ErrWrongStatus     = &Error{-5, "wrong_status", "wrong status"}
	ErrBusy            = &Error{-6, "busy", "busy"}
	ErrStorage         = &Error{-7, "storage", "storage"}
	ErrCorrupt         = &Error{-8, "corrupt", "corrupt"}
	ErrClosed          = &Error{-9, "closed", "closed"}
	ErrLeaseLost       = &Error{-10, "lease_lost", "lease lost"}
	ErrSQL             = &Error{-11, "sql", "sql"}
)

func invalid(format string, args ...any) error {
	return &Error{ErrInvalidArgument.Code, ErrInvalidArgument.Name, fmt.Sprintf(format, args...)}
}

// outcome is what a handler asks for by returning it.
type outcome struct {
	kind   int64
	reason string
	delay  time.Duration
}

func (o *outcome) Error() string { return o.reason }

// RetryAfter makes a handler's event due again after a while, without counting an attempt.
func RetryAfter(d time.Duration, reason string) error { return &outcome{retryAfter, reason, d} }

// Ignore ends a handler's event as ignored.
func Ignore(reason string) error { return &outcome{ignored, reason, 0} }

// Dead ends a handler's event as dead, without a retry.
func Dead(reason string) error { return &outcome{dead, reason, 0} }
