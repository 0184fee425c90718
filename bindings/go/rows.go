package knockersqlite

// What calls give. A nullable text is "", a nullable id or time 0, where it is null.

// Result is what a receipt became; the route answers with its status, headers and body.
type Result struct {
	DeliveryID      int64             `json:"delivery_id"`
	EventID         int64             `json:"event_id,omitempty"` // 0: none
	Duplicate       bool              `json:"duplicate"`
	StatusCode      int               `json:"status_code"`
	ResponseHeaders map[string]string `json:"response_headers"`
	ResponseBody    []byte            `json:"response_body,omitempty"`
}

// Event is what a handler gets.
type Event struct {
	ID                 int64          `json:"id"`
	Endpoint           string         `json:"endpoint"`
	EventType          string         `json:"event_type,omitempty"`
	ProviderEventID    string         `json:"provider_event_id,omitempty"`
	ProviderDeliveryID string         `json:"provider_delivery_id,omitempty"`
	DedupeKey          string         `json:"dedupe_key,omitempty"`
	Status             string         `json:"status"`
	AttemptCount       int64          `json:"attempt_count"`
	Headers            map[string]any `json:"headers"`
	Query              map[string]any `json:"query"`
	Body               []byte         `json:"body,omitempty"`
	ReceivedAt         int64          `json:"received_at"`
	HandledAt          int64          `json:"handled_at,omitempty"`
	LastError          string         `json:"last_error,omitempty"`
}

// Delivery is one receipt as stored.
type Delivery struct {
	ID                 int64          `json:"id"`
	EventID            int64          `json:"event_id,omitempty"` // 0: an orphan
	Endpoint           string         `json:"endpoint"`
	EventType          string         `json:"event_type,omitempty"`
	ProviderEventID    string         `json:"provider_event_id,omitempty"`
	ProviderDeliveryID string         `json:"provider_delivery_id,omitempty"`
	DedupeKey          string         `json:"dedupe_key,omitempty"`
	Method             string         `json:"method"`
	Headers            map[string]any `json:"headers"`
	Query              map[string]any `json:"query"`
	Body               []byte         `json:"body,omitempty"`
	ReceivedAt         int64          `json:"received_at"`
	SignatureValid     *bool          `json:"signature_valid"` // nil: not checked
	SignatureError     string         `json:"signature_error,omitempty"`
}

// Verdict is what Verify says of a request.
type Verdict struct {
	Valid              bool              `json:"valid"`
	Error              string            `json:"error,omitempty"`
	EventType          string            `json:"event_type,omitempty"`
	ProviderEventID    string            `json:"provider_event_id,omitempty"`
	ProviderDeliveryID string            `json:"provider_delivery_id,omitempty"`
	DedupeKey          string            `json:"dedupe_key,omitempty"`
	ResponseStatus     int64             `json:"response_status,omitempty"`
	ResponseHeaders    map[string]string `json:"response_headers"`
	ResponseBody       []byte            `json:"response_body,omitempty"`
}
