package commandgateprocessor

// reason is why a span was dropped; their names are the values of the metric's attribute in metadata.yaml.
type reason int

const (
	accepted reason = iota
	missingAttribute
	duplicateAttribute
	wrongType
	unknownApplication
	emptyID
	tooOld
	tooFarAhead
	unknownCommand
	latencyOutOfRange
	invalidUUID
	reasonCount
)

var reasonNames = [reasonCount]string{
	missingAttribute:   "missing_attribute",
	duplicateAttribute: "duplicate_attribute",
	wrongType:          "wrong_type",
	unknownApplication: "unknown_application",
	emptyID:            "empty_id",
	tooOld:             "too_old",
	tooFarAhead:        "too_far_ahead",
	unknownCommand:     "unknown_command",
	latencyOutOfRange:  "latency_out_of_range",
	invalidUUID:        "invalid_uuid",
}

func (r reason) String() string {
	return reasonNames[r]
}

// first returns the first that is a reason to drop, else accepted.
func first(reasons ...reason) reason {
	for _, why := range reasons {
		if why != accepted {
			return why
		}
	}
	return accepted
}
