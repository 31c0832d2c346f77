package sqlite

import (
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) authority.Store { return openTest(t) })
}
