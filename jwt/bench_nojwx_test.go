//go:build !jwx

package jwt_test

import (
	"testing"

	"github.com/jetonhq/jeton/jwk"
)

// benchmarkJWX measures jwx when the tests are built with -tags jwx.
func benchmarkJWX(*testing.B, string, jwk.Algorithm, any, string) {}
