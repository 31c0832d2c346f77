package authority

import (
	_ "embed"
	"regexp"
	"sync"
)

//go:embed event.go
var eventSource string

// EventTypes lists every type of event, in the order in which they are declared.
// It reads them off their declarations, so that it cannot miss one.
var EventTypes = sync.OnceValue(func() []EventType {
	var types []EventType
	for _, found := range regexp.MustCompile(`(?m)^\tEvent\w+ +EventType = "(\w+)"`).FindAllStringSubmatch(eventSource, -1) {
		types = append(types, EventType(found[1]))
	}
	return types
})
