package knockersqlite

// How Go's arguments become the members of knocker.h's structs.

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"sort"
	"strings"
)

// ReceiveParams is a request as it came over the wire, and what wins over what its scheme reads.
type ReceiveParams struct {
	Endpoint string
	Method   string // "" is POST
	Body     []byte // exactly as received
	Headers  any    // http.Header, map[string]any, map[string]string or map[string][]string
	Query    any    // the raw text, url.Values, or one of those maps

	EventType          string
	ProviderEventID    string
	ProviderDeliveryID string
	DedupeKey          string
	QueueName          string
	MaxAttempts        int64

	Provider        any // a built-in's name, or a scheme as map[string]any
	Secrets         []string
	ProviderOptions map[string]any
	Verdict         *ProviderResult // of an endpoint that is External
}

// IngestParams is a request that the application has verified, or that needs no verifying.
type IngestParams struct {
	ReceiveParams
	SignatureValid *bool // nil: not checked
	SignatureError string
}

// ProviderResult is a verdict, with what could be read of the request.
type ProviderResult struct {
	Valid              bool
	SignatureError     string
	EventType          string
	ProviderEventID    string
	ProviderDeliveryID string
}

// many gives the values of one of the maps that a caller may have, by name.
func many(what string, from any) (map[string][]string, error) {
	found := map[string][]string{}
	switch m := from.(type) {
	case nil:
	case http.Header:
		return m, nil
	case url.Values:
		return m, nil
	case map[string][]string:
		return m, nil
	case map[string]string:
		for name, value := range m {
			found[name] = []string{value}
		}
	case map[string]any:
		for name, value := range m {
			values, ok := value.([]any)
			if !ok {
				values = []any{value}
			}
			if texts, ok := value.([]string); ok {
				found[name] = texts
				continue
			}
			for _, one := range values {
				switch text := one.(type) {
				case string:
					found[name] = append(found[name], text)
				case []byte:
					found[name] = append(found[name], string(text))
				default:
					return nil, invalid("%s %q must be a text, not %T", what, name, one)
				}
			}
		}
	default:
		return nil, invalid("%s must be a map, not %T", what, from)
	}
	return found, nil
}

func sorted(m map[string][]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func headerLines(headers any) (string, error) {
	found, err := many("headers", headers)
	var text strings.Builder
	for _, name := range sorted(found) {
		for _, value := range found[name] {
			if name == "" || strings.ContainsAny(name, ":\r\n") || strings.ContainsAny(value, "\r\n") {
				return "", invalid("header %q is no header: it has a line break or a colon, or no name", name)
			}
			text.WriteString(name + ": " + value + "\n")
		}
	}
	return text.String(), err
}

func queryText(query any) (string, error) {
	if text, ok := query.(string); ok {
		return text, nil
	}
	found, err := many("query", query)
	var parts []string
	for _, name := range sorted(found) {
		for _, value := range found[name] {
			parts = append(parts, url.QueryEscape(name)+"="+url.QueryEscape(value))
		}
	}
	return strings.ReplaceAll(strings.Join(parts, "&"), "+", "%20"), err
}

// jsonText is "" for what was not given.
func jsonText[T []string | map[string]any](what string, given T) (string, error) {
	if given == nil {
		return "", nil
	}
	text, err := json.Marshal(given)
	if err != nil {
		return "", invalid("%s cannot be written as JSON", what)
	}
	return string(text), nil
}

func providerText(provider any) (string, error) {
	switch p := provider.(type) {
	case nil:
		return "", nil
	case string:
		return p, nil
	case map[string]any:
		return jsonText("provider", p)
	}
	return "", invalid("provider must be a name or a scheme, not %T", provider)
}

func (r *ReceiveParams) pack(p *packed, verdict int64, verdictError string) error {
	headers, err := headerLines(r.Headers)
	if err != nil {
		return err
	}
	query, err := queryText(r.Query)
	if err != nil {
		return err
	}
	provider, err := providerText(r.Provider)
	if err != nil {
		return err
	}
	secrets, _ := jsonText("secrets", r.Secrets)
	options, err := jsonText("provider options", r.ProviderOptions)
	if err != nil {
		return err
	}
	ids := ProviderResult{}
	if r.Verdict != nil {
		ids, verdict, verdictError = *r.Verdict, valid, ""
		if !ids.Valid {
			verdict, verdictError = notValid, ids.SignatureError
			if verdictError == "" {
				verdictError = "rejected"
			}
		}
	}
	p.texts(r.Endpoint, r.Method, headers, query).bytes(r.Body)
	p.texts(r.EventType, r.ProviderEventID, r.ProviderDeliveryID, r.DedupeKey)
	p.texts(provider, secrets, options, r.QueueName).ints(r.MaxAttempts, verdict)
	p.texts(verdictError, ids.EventType, ids.ProviderEventID, ids.ProviderDeliveryID)
	return nil
}

func (r *IngestParams) pack(p *packed) error {
	verdict := int64(unchecked)
	if r.SignatureValid != nil {
		verdict = notValid - flag(*r.SignatureValid)
	}
	return r.ReceiveParams.pack(p, verdict, r.SignatureError)
}

func milliseconds(seconds float64) int64 { return int64(math.Round(seconds * 1000)) }
