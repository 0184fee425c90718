package knockersqlite

// The border to C: packing what goes there, copying what comes back. It knows no rule.

// #cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -fvisibility=hidden
// #cgo LDFLAGS: -lsqlite3 -lcrypto -lpthread -lm
// #include "shim.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"unsafe"
)

// Row is a row of a query by column: nil, int64, float64, string or []byte.
type Row map[string]any

// packed is one call's arguments: all texts in one buffer, their lengths and the integers in order.
type packed struct {
	text  []byte
	words []int64
}

func (p *packed) texts(all ...string) *packed {
	for _, one := range all {
		if one == "" {
			p.words = append(p.words, -1)
			continue
		}
		p.text = append(p.text, one...)
		p.words = append(p.words, int64(len(one)))
	}
	return p
}

func (p *packed) bytes(one []byte) *packed {
	p.text = append(p.text, one...)
	p.words = append(p.words, int64(len(one)))
	return p
}

func (p *packed) ints(all ...int64) *packed {
	p.words = append(p.words, all...)
	return p
}

// pointers lends the buffers for one call; neither is empty, so that each has an address.
func (p *packed) pointers() (*C.char, *C.int64_t) {
	p.text, p.words = append(p.text, 0), append(p.words, 0)
	return (*C.char)(unsafe.Pointer(&p.text[0])), (*C.int64_t)(unsafe.Pointer(&p.words[0]))
}

func failure(result C.int32_t, e *C.knocker_error) error {
	if result >= 0 {
		return nil
	}
	code := Code(result)
	return &Error{Code: code, Name: C.GoString(C.knocker_error_name(C.int64_t(code))), Text: C.GoString(&e.text[0])}
}

// call makes a call of the core, which may leave rows; the integer tells "done" from "nothing there".
func call(f func(out **C.knocker_rows, e *C.knocker_error) C.int32_t) (*C.knocker_rows, int, error) {
	var out *C.knocker_rows
	var e C.knocker_error
	result := f(&out, &e)
	return out, int(result), failure(result, &e)
}

// pure is a call of the core that needs no inbox.
func pure(what C.int32_t, p *packed) (*C.knocker_rows, error) {
	text, words := p.pointers()
	rows, _, err := call(func(out **C.knocker_rows, e *C.knocker_error) C.int32_t {
		return C.shim_ask(what, nil, nil, text, words, nil, out, e)
	})
	return rows, err
}

// each gives every row's cells, by their columns' names, and frees the rows.
func each(rows *C.knocker_rows, row func(names []string, cells []C.knocker_value)) {
	if rows == nil {
		return
	}
	defer C.knocker_rows_free(rows)
	count := int(C.knocker_rows_columns(rows))
	names := make([]string, count)
	for i := range names {
		names[i] = C.GoString(C.knocker_rows_name(rows, C.int32_t(i)))
	}
	cells := make([]C.knocker_value, count+1)
	for C.shim_row(rows, &cells[0], C.int32_t(count)) == 0 {
		row(names, cells[:count])
	}
}

// copied makes maps of rows.
func copied(rows *C.knocker_rows) []Row {
	found := []Row{}
	each(rows, func(names []string, cells []C.knocker_value) {
		row := make(Row, len(cells))
		for i, name := range names {
			row[name] = value(&cells[i])
		}
		found = append(found, row)
	})
	return found
}

func value(cell *C.knocker_value) any {
	switch cell._type {
	case C.KNOCKER_INTEGER:
		return int64(cell.integer)
	case C.KNOCKER_REAL:
		return float64(cell.real)
	case C.KNOCKER_TEXT:
		return string(unsafe.Slice((*byte)(cell.bytes.data), int(cell.bytes.len)))
	case C.KNOCKER_BLOB:
		return append([]byte{}, unsafe.Slice((*byte)(cell.bytes.data), int(cell.bytes.len))...)
	}
	return nil
}

// statement packs SQL and its values.
func statement(sql string, args []any) (*packed, error) {
	p := new(packed).bytes([]byte(sql))
	for i, arg := range args {
		switch v := arg.(type) {
		case nil:
			p.ints(C.KNOCKER_NULL, 0)
			continue
		case []byte:
			if v == nil {
				p.ints(C.KNOCKER_NULL, 0)
			} else {
				p.ints(C.KNOCKER_BLOB).bytes(v)
			}
			continue
		}
		switch v := reflect.ValueOf(arg); v.Kind() {
		case reflect.Bool:
			p.ints(C.KNOCKER_INTEGER, flag(v.Bool()))
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			p.ints(C.KNOCKER_INTEGER, v.Int())
		case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			if v.Uint() > math.MaxInt64 {
				return nil, invalid("value %d is beyond 64 bits", i+1)
			}
			p.ints(C.KNOCKER_INTEGER, int64(v.Uint()))
		case reflect.Float32, reflect.Float64:
			p.ints(C.KNOCKER_REAL, int64(math.Float64bits(v.Float())))
		case reflect.String:
			p.ints(C.KNOCKER_TEXT).bytes([]byte(v.String()))
		default:
			return nil, invalid("value %d is a %T, which SQLite has no type for", i+1, arg)
		}
	}
	return p, nil
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// into fills structs from rows: a field has the column that its json tag names, or that with _json.
func into[T any](rows *C.knocker_rows) []T {
	made := []T{}
	each(rows, func(names []string, cells []C.knocker_value) {
		var one T
		fill(&one, names, cells)
		made = append(made, one)
	})
	return made
}

func fill[T any](one *T, names []string, cells []C.knocker_value) {
	fields, v := fieldsOf[T](), reflect.ValueOf(one).Elem()
	for i, name := range names {
		field, ok := fields[strings.TrimSuffix(name, "_json")]
		if cell := value(&cells[i]); ok && cell != nil {
			assign(v.Field(field), cell)
		}
	}
}

// known has the fields of each struct that rows fill, by their columns.
var known sync.Map

func fieldsOf[T any]() map[string]int {
	kind := reflect.TypeOf((*T)(nil)).Elem()
	if fields, ok := known.Load(kind); ok {
		return fields.(map[string]int)
	}
	fields := map[string]int{}
	for n := 0; n < kind.NumField(); n++ {
		name, _, _ := strings.Cut(kind.Field(n).Tag.Get("json"), ",")
		fields[name] = n
	}
	known.Store(kind, fields)
	return fields
}

func assign(field reflect.Value, cell any) {
	switch to := field.Addr().Interface().(type) {
	case *int:
		*to = int(cell.(int64))
	case *int64:
		*to = cell.(int64)
	case *bool:
		*to = cell.(int64) != 0
	case **bool:
		on := cell.(int64) != 0
		*to = &on
	case *string:
		*to = fmt.Sprint(cell)
	case *[]byte:
		if text, ok := cell.(string); ok {
			cell = []byte(text)
		}
		*to = cell.([]byte)
	case *map[string]any:
		_ = json.Unmarshal([]byte(cell.(string)), to) // the core wrote it
	case *map[string]string:
		*to = lines(cell)
	}
}

func lines(cell any) map[string]string {
	var text string
	switch v := cell.(type) {
	case string:
		text = v
	case []byte:
		text = string(v)
	}
	found := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			found[name] = value
		}
	}
	return found
}
